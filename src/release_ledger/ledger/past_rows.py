"""The rows of an environment as they were at a version, made anew from what never changes.

The state comes from the snapshot before that version and the few events since, each deployment from its own events,
running periods from the live rows, of which only the newest is ever written again. So each costs the same in the
longest history. `NotLive` is raised where one of the live rows that this goes by is not there or not as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from ..environment import Environment, apply
from ..errors import LedgerUnavailable
from ..projection import FoldedSource, installed, listed
from ..projection.folded import fold_events
from ..projection.projection import Key
from ..projections.environments import NOW
from ..projections.running_periods import NEWEST, Period
from ..store import Row, Statement, Store
from ..store.codec import decode
from . import as_of_selects, event_selects
from .absence import require_attempts, require_no_such_id, require_of_status, require_same_numbers
from .asking import NotLive, picked
from .event_selects import AT_ONCE, some
from .moments import Then, newest_by
from .named_events import events_of, versions_of
from .views import project_view


class PastRows(FoldedSource):
    """One environment as it was: its head and its state, and whatever else is brought."""

    def __init__(self, store: Store, then: Then) -> None:
        """Raises `NotLive`."""
        super().__init__()
        self.store, self.then, self.head = store, then, then.head
        self._brought: set[int] = set()
        self._people: set[str] = set()
        try:
            self.state = self._state()
            self.add(self.head, {"environments": {(NOW,): self.state}})
        except BaseException:
            self.close()
            raise

    def need(self, *names: str) -> None:
        for name in names:
            if not listed(self.then.live.folded, name):
                raise NotLive(self.head.stream, name)

    def live(self, statement: Statement, **params: Any) -> list[Row]:
        return self.store.read(statement, {"of_stream": self.head.stream, "upto": self.head.version, **params})

    def _state(self) -> Environment:
        """The state from the snapshot before the version, and what was recorded since."""
        self.need("environments")
        at = as_of_selects.snapshot_before(self.head.version)
        state: Environment | None = None
        if at:
            rows = self.live(as_of_selects.SNAPSHOT, slot=at)
            if not rows:
                raise NotLive(self.head.stream, "environments")
            state = installed()["environments"].load(picked(rows[0], "environment"))
        since = self.live(as_of_selects.EVENTS_BETWEEN, after=at)
        if len(since) != self.head.version - at:
            raise NotLive(self.head.stream, "events")
        for row in since:
            event: Any = decode(self.head.stream, row)
            state = apply(state, event)
        if state is None:
            raise NotLive(self.head.stream, "environments")
        return state

    def deployments(self, numbers: Iterable[int]) -> None:
        """Bring these deployments as they were."""
        wanted = sorted({number for number in numbers if number >= 1} - self._brought)
        for first in range(0, len(wanted), AT_ONCE):
            rows = self._as_they_were(wanted[first : first + AT_ONCE])
            self.put(self.head, "deployments", rows)
            self._bring_people(row["person_id"] for row in rows.values())
        self._brought.update(wanted)

    def _as_they_were(self, numbers: list[int]) -> dict[Key, Any]:
        """At most `AT_ONCE` deployments by their keys."""
        self.need("deployments")
        rows = [picked(row, "deployment") for row in self.live(event_selects.SOME, **some("number", numbers))]
        if sorted(row["number"] for row in rows) != numbers:
            raise NotLive(self.head.stream, "deployments")
        return self._then(rows)

    def _then(self, rows: list[Row]) -> dict[Key, Any]:
        """Live rows as they were: those of which something happened since are folded from their own events."""
        deployments = installed()["deployments"]
        named = {row["number"]: versions_of(row) for row in rows}
        found: dict[Key, Any] = {
            (row["number"],): deployments.load(row) for row in rows if named[row["number"]][-1] <= self.head.version
        }
        moved = [row for row in rows if (row["number"],) not in found]
        if any(row["event_count"] != len(named[row["number"]]) for row in moved):
            raise NotLive(self.head.stream, "deployments")
        upto = {row["number"]: [at for at in named[row["number"]] if at <= self.head.version] for row in moved}
        folded, failed = fold_events([deployments], events_of(self.store, self.head.stream, upto))
        if failed or folded["deployments"].keys() != {(number,) for number in upto}:
            raise NotLive(self.head.stream, "deployments")
        return found | folded["deployments"]

    def _bring_people(self, people: Iterable[str | None]) -> None:
        new = {person_id for person_id in people if person_id is not None} - self._people
        self.add_people(self.store, new)
        self._people |= new

    def numbers_by(self, skipped: int, rows: int, status: str | None, version: str | None) -> list[int]:
        """The numbers of the deployments that had this status, are of this version; newest first."""
        self.need("deployments")
        of = {} if version is None else {"release_candidate_version": version}
        if status is None:
            found = self._numbers(skipped, rows, of)
            page = {**of, "skipped": skipped, "one_more": rows}
            require_same_numbers(self.store, self.then.live, page, found, last=self.state.deployments)
            return found
        require_of_status(self.store, self.then.live, self.state, status)
        still = self._numbers(skipped, rows, of | {"status": status})
        lowest = still[-1] if len(still) == rows else 1
        were = self._corrected_since(status, lowest, of)
        if not were:
            return still
        # Of those that still have the status, no more than were corrected come later in the list than they do now.
        first = max(0, skipped - len(were))
        still = self._numbers(first, rows + skipped - first, of | {"status": status})
        return sorted(still + were, reverse=True)[skipped - first : skipped - first + rows]

    def _numbers(self, skipped: int, rows: int, of: dict[str, str]) -> list[int]:
        statement = event_selects.NUMBERS_BY["status" in of, "release_candidate_version" in of]
        found = self.live(statement, last=self.state.deployments, skipped=skipped, one_more=rows, **of)
        return [picked(row, "deployment")["number"] for row in found]

    def _corrected_since(self, status: str, lowest: int, of: dict[str, str]) -> list[int]:
        """The numbers, from one on, of the deployments that had finished with this status and were corrected since."""
        found: list[int] = []
        place: dict[str, Any] = {"last": self.state.deployments, "lowest": lowest, "most": AT_ONCE, **of}
        after = self.head.version
        while True:
            live = self.live(event_selects.CORRECTED[bool(of)], after=after, **place)
            rows = [picked(row, "deployment") for row in live]
            found += [number for (number,), row in self._then(rows).items() if row["status"] == status]
            if len(rows) < AT_ONCE:
                return found
            after = rows[-1]["status_version"]

    def success_of(self, version: str) -> list[int]:
        """The number of the newest deployment of this version that had succeeded."""
        found = self.numbers_by(0, 1, "success", version)
        place = {"after": found[0] if found else 0, "last": self.state.deployments}
        require_attempts(self.store, self.then.live, version, **place)
        return found

    def by_id(self, deployment_id: str) -> list[int]:
        """The number of the deployment of this id, if it was there."""
        self.need("deployments")
        found = [picked(row, "deployment")["number"] for row in self.live(as_of_selects.BY_ID, id=deployment_id)]
        if not found:
            require_no_such_id(self.store, self.then.live, self._deployments_now(), deployment_id)
        return [number for number in found if number <= self.state.deployments]

    def _deployments_now(self) -> int:
        """How many there are by now: the neighbours of an id are sought among them."""
        rows = self.live(as_of_selects.SNAPSHOT, slot=NOW)
        if not rows:
            raise NotLive(self.head.stream, "environments")
        return int(picked(rows[0], "environment")["deployments"])

    def newest_period(self) -> Period | None:
        """The newest running period as it was."""
        self.need("running_periods")
        rows = self.live(as_of_selects.NEWEST_PERIOD)
        newest = as_it_was(picked(rows[0], "period"), self.head.version) if rows else None
        runs = newest["deployment_number"] if newest is not None and newest["recorded_to"] is None else None
        if runs != (self.state.running.number if self.state.running else None):
            raise NotLive(self.head.stream, "running_periods")
        return newest

    def periods(self, above: int, upto: int) -> list[Period]:
        """Periods that were over then, by their numbers: such rows are never written again."""
        if upto <= above:
            return []
        rows = [picked(row, "period") for row in self.live(as_of_selects.PERIODS, above=above, last=upto)]
        if [row["number"] for row in rows] != list(range(above + 1, upto + 1)):
            raise NotLive(self.head.stream, "running_periods")
        return [cast(Period, row | {"slot": row["number"]}) for row in rows]

    def begun_before(self, moment: str, newest: Period) -> int:
        """The number of the last period that begins before a moment by reported time."""
        if newest["reported_from"] < moment:
            return newest["number"]
        rows = self.live(as_of_selects.BEGUN, before=moment, newest=newest["number"])
        return int(picked(rows[0], "period")["number"]) if rows else 0

    def project(self, project_stream: str, version: str) -> None:
        """Bring the project, and a candidate of it if it was cut by then; of both no more counts than that."""
        view = project_view(self.store, project_stream.partition("/")[2], version)
        if view.project is None:
            return
        then = project_version(self.store, view.head, self.then.now)
        cut = self.store.read(as_of_selects.LAST_CUT, {"of_stream": project_stream, "upto": then})
        last = getattr(decode(project_stream, cut[0]), "number", 0) if cut else 0
        was_cut = view.candidate is not None and view.candidate["number"] <= last
        candidates = {(view.candidate["number"],): view.candidate} if was_cut and view.candidate else {}
        head = replace(view.head, version=then)
        self.add(head, {"projects": {(): view.project}, "release_candidates": candidates})


def as_it_was(row: Row, version: int) -> Period:
    """The newest period of a version: it had not ended yet where that was recorded later."""
    over = row["to_version"] is not None and row["to_version"] <= version
    yet: Any = {} if over else {"reported_to": None, "recorded_to": None, "to_version": None, "taken_back": 0}
    return cast(Period, row | yet | {"slot": NEWEST})


def project_version(store: Store, live: Any, now: str) -> int:
    """A project's version at a moment of one of its environments, which was never there before the project was."""
    if not live.version:
        raise LedgerUnavailable()
    return max(1, newest_by(store, live, now))
