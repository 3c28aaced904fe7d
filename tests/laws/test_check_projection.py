"""`release_ledger.testing`, as plug-ins use it, on our own read models; each of its checks is shown what it refuses."""

import random
import time
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from release_ledger.events import DeploymentReported, DeploymentRequested, Event
from release_ledger.projection import Projection, Rows, installed, on, read_model
from release_ledger.testing import check_projection
from release_ledger.testing.histories import Step, events_of, legal_histories

MANY = 100
SUCCESS = {"release_candidate_version": "1.0.0-rc2", "status": "success"}
LIVELY = [
    Step("deploy", "production", {"release_candidate_version": "1.0.0-rc2"}),
    Step("report", "production", SUCCESS),
    Step("report", "production", {**SUCCESS, "occurred_at": "2024-03-01T12:00:00.000000+00:00"}),
    Step("roll_back", "production", {}),
    Step("deploy", "staging", {"release_candidate_version": "2.0.0-rc1"}),
    Step("freeze", "production", {"reason": "audit"}),
]


@pytest.mark.parametrize("database_kind", ["postgresql"])
@pytest.mark.parametrize("examples", [3, pytest.param(MANY, marks=pytest.mark.soak)])
def test_every_projection_keeps_its_promises(upgraded_url: str, examples: int) -> None:
    """On SQLite, and on PostgreSQL beside it. No event of ours looks at more than four rows."""

    @settings(max_examples=examples)
    @given(events=legal_histories())
    def over_any_history(events: list[Event]) -> None:
        for projection in installed().values():
            check_projection(projection, events, url=upgraded_url, touched=4)

    over_any_history()


@pytest.fixture(scope="module")
def lively() -> list[Event]:
    return events_of(LIVELY)


def test_a_legal_history_is_of_whole_streams(lively: list[Event]) -> None:
    """Each from its first event on, without a gap, under the same names every time."""
    streams: dict[str, list[Event]] = {}
    for event in lively:
        streams.setdefault(str(event.originator_id), []).append(event)

    assert list(streams) == ["access", "project/shop", "environment/shop/production", "environment/shop/staging"]
    for events in streams.values():
        assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
    assert {event.project_name for event in lively if hasattr(event, "project_name")} == {"shop"}


class Sound(Projection):
    """How often was each deployment reported on?"""

    name = "reports"
    key = ("number",)
    table = read_model("reports", Column("number", BigInteger), Column("count", BigInteger, nullable=False), key=key)

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": 0}

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {**rows[event.number], "count": rows[event.number]["count"] + 1}


class ChangedInPlace(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number]["count"] += 1


class WithAClock(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": datetime.now(UTC).year}


class WithAnotherClock(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": int(time.time()) // 10**9}


class WithChance(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": random.randrange(1)}


class WithAFile(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        with open("/dev/null") as file:
            rows[event.number] = {"number": event.number, "count": len(file.read())}


class WithMemory(Sound):
    def __init__(self) -> None:
        self.seen = 0

    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        self.seen += 1
        rows[event.number] = {"number": event.number, "count": self.seen}


class WithLists(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": [1]}


class WithBooleans(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": True}


class WithNull(Sound):
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "count": None}


class EverGrowing(Sound):
    def reported(self, _event: DeploymentReported, rows: Rows) -> None:
        for number in range(1, 20):
            rows.get(number)


class ChangingTheEvent(Sound):
    def reported(self, event: DeploymentReported, _rows: Rows) -> None:
        vars(event)["seen"] = True


class ChangingWhatIsInTheEvent(Sound):
    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        super().requested(event, rows)
        if event.leaves is not None:
            event.leaves.append("seen")


class GivingTheEventAnotherType(Sound):
    def reported(self, event: DeploymentReported, _rows: Rows) -> None:
        vars(event)["number"] = str(event.number)


class ForgettingOnLoad(Sound):
    def load(self, row: Any) -> Any:
        return {"number": row["number"], "count": 0}


class KeyedByCI(Projection):
    """How often was this version deployed? (CI chooses versions.)"""

    name = "reports"
    key = ("version",)
    table = read_model("reports_of_version", Column("version", Text), key=key)

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        rows[event.release_candidate_version] = {"version": event.release_candidate_version}


class KeyedByTheirClock(Projection):
    """When was something reported? (CI may say when.)"""

    name = "reports_at"
    key = ("moment",)
    table = read_model("reports_at", Column("moment", Text), key=key)

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.happened_at] = {"moment": event.happened_at}


class WithoutAColumn(Sound):
    def dump(self, row: Any) -> dict[str, Any]:
        return {"number": row["number"]}


class OfAnotherTable(Sound):
    name = "reports_on"
    table = read_model("counts", Column("number", BigInteger), Column("count", BigInteger), key=("number",))


class WithALongIndex(Sound):
    table = read_model(
        "reports",
        Column("number", BigInteger),
        Column("count", BigInteger),
        key=("number",),
        indexes=[Index(f"reports_{'x' * 66}", "count")],
    )


class WithoutGenerations(Sound):
    table = Table("reports", MetaData(), Column("number", BigInteger, primary_key=True), Column("count", BigInteger))


class RefusedByTheTable(Sound):
    """Rows that SQLite takes for something else, and PostgreSQL refuses."""

    name = "reports_as_text"
    table = read_model(name, Column("number", BigInteger), Column("count", Text, nullable=False), key=("number",))


def test_a_sound_projection_passes(lively: Sequence[Event]) -> None:
    """What the others are broken copies of; it is not left installed."""
    check_projection(Sound(), lively)

    assert "reports" not in installed()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (ChangedInPlace, "a row changed without being set"),
        (WithAClock, "calls datetime.now"),
        (WithAnotherClock, "calls time"),
        (WithChance, "calls Random.getrandbits"),
        (WithAFile, "calls open"),
        (WithMemory, "the rows are others"),
        (WithLists, "values are text, integers and null"),
        (WithBooleans, "values are text, integers and null"),
        (WithNull, "may not be"),
        (EverGrowing, "looks at 19 rows, more than 8"),
        (ChangingTheEvent, "the fold changes the event"),
        (ChangingWhatIsInTheEvent, "the fold changes the event"),
        (GivingTheEventAnotherType, "the fold changes the event"),
        (ForgettingOnLoad, "`load` and `dump` that differ"),
        (KeyedByCI, "the keys depend on what CI sends"),
        (KeyedByTheirClock, "the keys depend on what CI sends"),
        (WithoutAColumn, "`dump` gives no value for the column 'count'"),
        (OfAnotherTable, "its table or index counts does not begin with its name, reports_on"),
        (WithALongIndex, "is longer than 63 bytes"),
        (WithoutGenerations, "its table has no column stream"),
        (RefusedByTheTable, "was set aside: NotAsWritten"),
    ],
)
def test_a_broken_promise_is_named(broken: type[Projection], complaint: str, lively: Sequence[Event]) -> None:
    """Each in words that say what to change."""
    with pytest.raises(AssertionError) as raised:
        check_projection(broken(), deepcopy(lively))

    assert complaint in str(raised.value)
