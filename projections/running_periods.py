"""Running periods: what ran here, from when to when, by reported and by recorded time.

A period is a stretch in which the ledger answered that one deployment runs. By recorded time periods never overlap, and
where there is none, nothing ran. By reported time a period begins with the report of the success that made it run, and
ends where the next one begins. The order of both is the same, so that a range of time is a range of numbers.
See `docs/decisions/0010-running-periods.md`.
"""

from __future__ import annotations

from typing import Final, TypedDict

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Text

from release_ledger.events import DeploymentReported
from release_ledger.projection import Projection, Rows, on, read_model

NEWEST: Final = 0
_MOMENT: Final = Text().with_variant(Text(collation="C"), "postgresql")


class Period(TypedDict):
    """A row. Moments are UTC strings, `*_to` is null while it runs, `taken_back` is 0 or 1.

    `slot` is `NEWEST` for the newest period, whose key the fold must know, and `number` for each that is followed.
    `*_version` is that of the event by which it was recorded to begin, and to be over.
    """

    slot: int
    number: int
    deployment_number: int
    deployment_id: str
    release_candidate_version: str
    commit: str
    reported_from: str
    reported_to: str | None
    recorded_from: str
    recorded_to: str | None
    taken_back: int
    from_version: int
    to_version: int | None


class RunningPeriods(Projection):
    """Which candidate ran here, from when to when, and when did the ledger come to know it?

    Numbered densely per environment. A success that was taken back while it ran, ran for no time: what the environment
    falls back to has run since then. What was followed is settled: a later correction is seen in `deployments`.
    """

    name = "running_periods"
    definition = "2"
    key = ("slot",)
    table = read_model(
        "running_periods",
        Column("slot", BigInteger),
        Column("number", BigInteger, nullable=False),
        Column("deployment_number", BigInteger, nullable=False),
        Column("deployment_id", Text, nullable=False),
        Column("release_candidate_version", Text, nullable=False),
        Column("commit", Text, nullable=False),
        Column("reported_from", _MOMENT, nullable=False),
        Column("reported_to", _MOMENT),
        Column("recorded_from", _MOMENT, nullable=False),
        Column("recorded_to", _MOMENT),
        Column("taken_back", SmallInteger, nullable=False),
        Column("from_version", BigInteger, nullable=False),
        Column("to_version", BigInteger),
        key=key,
        indexes=[
            Index("running_periods_by_number", "stream", "generation", "number"),
            Index("running_periods_by_time", "stream", "generation", "reported_from", "number"),
            Index("running_periods_by_commit", "commit", "stream"),
            Index("running_periods_by_version", "stream", "generation", "from_version"),
        ],
    )

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        newest: Period | None = rows.get(NEWEST)
        running = newest if newest is not None and newest["recorded_to"] is None else None
        if event.outcome == "success":
            if running is None or event.number > running["deployment_number"]:
                # Never before the one that it follows: the newer by creation runs, the other then ran for no time.
                begins = max(event.happened_at, newest["reported_from"] if newest is not None else "")
                _follow(rows, newest, _begun(event, begins))
        elif running is not None and running["deployment_number"] == event.number:
            _take_back(rows, running, event)


def _take_back(rows: Rows, running: Period, event: DeploymentReported) -> None:
    """What runs did not succeed after all; what it took the place of has run in its stead, if anything has."""
    since = running["reported_from"]
    over: Period = {**running, "reported_to": since, "recorded_to": event.recorded_at, "taken_back": 1}
    over["to_version"] = event.originator_version
    rows[NEWEST] = over
    if event.falls_back_to is not None:
        ran = event.falls_back_to
        again: Period = {
            **_begun(event, since),
            "deployment_number": ran["number"],
            "deployment_id": ran["id"],
            "release_candidate_version": ran["release_candidate_version"],
            "commit": ran["commit"],
        }
        _follow(rows, over, again)


def _begun(event: DeploymentReported, begins: str) -> Period:
    """A first period of the deployment of the event."""
    return {
        "slot": NEWEST,
        "number": 1,
        "deployment_number": event.number,
        "deployment_id": event.deployment_id,
        "release_candidate_version": event.release_candidate_version,
        "commit": event.commit,
        "reported_from": begins,
        "reported_to": None,
        "recorded_from": event.recorded_at,
        "recorded_to": None,
        "taken_back": 0,
        "from_version": event.originator_version,
        "to_version": None,
    }


def _follow(rows: Rows, newest: Period | None, next_one: Period) -> None:
    """Put a period after the newest, which ends with it unless it is over already."""
    if newest is not None:
        number = newest["number"]
        over: Period = {**newest, "slot": number}
        if newest["recorded_to"] is None:
            over["reported_to"], over["recorded_to"] = next_one["reported_from"], next_one["recorded_from"]
            over["to_version"] = next_one["from_version"]
        rows[number] = over
        next_one = {**next_one, "number": number + 1}
    rows[NEWEST] = next_one
