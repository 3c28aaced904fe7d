"""Running periods a second time: slow, over whole lists of deployments, each line a sentence of the contract or of
`docs/decisions/0010-running-periods.md`. Shares nothing with the fold, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from release_ledger.deployment import Deployment
from release_ledger.events import EnvironmentEvent
from release_ledger.projection.folded import fold_events
from release_ledger.projections.deployments import Deployments


@dataclass
class Stretch:
    """One deployment ran: moments by recorded and by reported time; None: until now."""

    number: int
    recorded_from: str
    recorded_to: str | None
    reported_from: str
    reported_to: str | None = None


def rows_at(events: Sequence[EnvironmentEvent], version: int) -> list[Deployment]:
    """The deployments at a version, newest first."""
    folded, _ = fold_events([Deployments()], events[:version])
    return [row for _, row in sorted(folded["deployments"].items(), reverse=True)]


def running_number(rows: Sequence[Deployment]) -> int | None:
    """ "Newest" is by creation, "running" is the newest success."""
    return next((row["number"] for row in rows if row["status"] == "success"), None)


def stretches(events: Sequence[EnvironmentEvent]) -> list[Stretch]:
    """Every stretch in which the answer to "what runs" was the same deployment, oldest first."""
    found: list[Stretch] = []
    ran: int | None = None
    for version, event in enumerate(events, 1):
        rows = rows_at(events, version)
        runs = running_number(rows)
        if runs == ran:
            continue
        status = {row["number"]: row["status"] for row in rows}
        before = found[-1] if found else None
        if before is not None and ran is not None:
            before.recorded_to = event.recorded_at
            # A success that was taken back while it ran, ran for no time.
            before.reported_to = before.reported_from if status[ran] != "success" else None
        if runs is not None:
            found.append(Stretch(runs, event.recorded_at, None, _begin(rows, runs, ran, before)))
            if before is not None and before.reported_to is None:
                before.reported_to = found[-1].reported_from
        ran = runs
    return found


def _begin(rows: Sequence[Deployment], runs: int, ran: int | None, before: Stretch | None) -> str:
    """The time of the report of success, but not before what it follows began; what is fallen back to has run since
    what was taken back began."""
    by_number = {row["number"]: row for row in rows}
    if before is not None and ran is not None and by_number[ran]["status"] != "success":
        return before.reported_from
    reported = by_number[runs]["deploy_end_at"] or ""
    return max(reported, before.reported_from) if before is not None else reported


def best_known(rows: Sequence[Deployment], moment: str) -> int | None:
    """What ran at a moment as is known now: the newest by creation whose success had been reached by then."""
    had = [row["number"] for row in rows if row["status"] == "success" and (row["deploy_end_at"] or "") <= moment]
    return max(had, default=None)
