"""The watch: runs that said nothing for a while are looked at, and deployments that went silent are given up.

A run that is alive (queued, waiting for approval, running) is never stuck. While GitHub cannot be asked, nothing that
has a run is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Final

import structlog

from ..errors import LedgerUnavailable
from ..github import GitHub
from ..ledger import Ledger
from ..ledger.outbox_questions import Watched, Wish
from ..outgoing import Trouble
from ..triggering import UNASKED, UNHEARD
from ..versions import read_moment
from .errands import BY
from .kinds import Kind, kind_of
from .leases import Key, Leases
from .timing import Timing

BUILD_STUCK_AFTER_S: Final = 3600.0
_LOG = structlog.get_logger("release_ledger.worker")
AT_ONCE: Final = 8
UNASKED_FACTOR: Final = 6  # as long as GitHub cannot be asked to cancel a run, it is asked again
GONE: Final = "{} does not know the workflow's run any more."


class Watch:
    """What one worker looks at."""

    def __init__(self, ledger: Ledger, leases: Leases, kinds: dict[str, Kind], github: GitHub | None, timing: Timing):
        self._ledger, self._leases, self._kinds, self._github, self._timing = ledger, leases, kinds, github, timing

    def look(self, elsewhere: bool = False) -> None:
        """Look once at everything unfinished that was silent for long enough; `elsewhere`: what has to be folded.

        Side by side, since GitHub may be slow; and what is wrong with one hides no other.
        """
        self._leases.forget_turns()
        looks = [partial(self._look_at, each) for each in self._ledger.unfinished(elsewhere)]
        looks += [partial(self._look_at_build, each) for each in self._ledger.building(elsewhere)]
        if looks:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
                for _ in pool.map(_alone, looks):
                    pass

    def _look_at(self, watched: Watched) -> None:
        deployment, wish = watched.deployment, watched.wish
        stuck_after_s = watched.environment.settings.stuck_after_s
        silent = _silent_s(deployment["heard_at"] or deployment["requested_at"])
        has_run = wish is not None and wish.run_id is not None and self._has_runs(wish)
        pause = self._timing.silence_s if stuck_after_s is None else min(self._timing.silence_s, stuck_after_s / 4)
        if wish is not None and has_run and silent >= pause and self._may_look(wish, pause):
            self._ask(watched, wish, is_stuck=stuck_after_s is not None and silent > stuck_after_s)
        if deployment["ended_by"] == "cancel":
            self._end_cancel(watched)
        elif stuck_after_s is not None and silent > stuck_after_s and not has_run:
            self._give_up(watched, wish, stuck_after_s)

    def _ask(self, watched: Watched, wish: Wish, *, is_stuck: bool) -> None:
        """Ask how the run stands, and record what is news. One that is not found is given up once it is stuck."""
        try:
            run = kind_of(self._kinds, wish).look(wish)
        except Trouble:
            return  # asked again after a while
        if run is not None:
            self._ledger.run_reported(wish, run, by=BY)
        elif is_stuck:
            self._ledger.give_up(watched, error_message=GONE.format(self._whom(wish)), by=BY)

    def _end_cancel(self, watched: Watched) -> None:
        """A run that was asked to end and does not say so in time counts as canceled."""
        wishes = self._ledger.wishes_of(watched.deployment["id"])
        wish = next((wish for wish in wishes if wish.kind == "cancel"), None)
        waited = _silent_s(wish.settled_at or wish.wanted_at) if wish is not None else inf
        within_s, why = self._timing.cancel_within_s, UNHEARD
        if wish is not None and wish.settled_at is None:
            within_s, why = UNASKED_FACTOR * within_s, UNASKED.format(self._whom(wish))
        if waited > within_s:
            self._ledger.give_up(watched, error_message=why, by=BY)

    def _give_up(self, watched: Watched, wish: Wish | None, stuck_after_s: int) -> None:
        if wish is not None and wish.status == "wanted":
            return  # it is still being triggered, and each try is recorded
        if wish is not None and wish.status == "done":
            try:
                found = kind_of(self._kinds, wish).find(wish)
            except Trouble:
                return
            if found.run is not None:
                self._ledger.triggered(wish, run_id=found.run.run_id, run_url=found.run.url, how="found", by=BY)
                self._ledger.run_reported(wish, found.run, by=BY)
                return
        self._ledger.give_up(
            watched, error_message=f"No report for {stuck_after_s} s, and no run of it is known.", by=BY
        )

    def _look_at_build(self, wish: Wish) -> None:
        if not self._has_runs(wish):
            return  # whoever builds it, reports it
        silent = _silent_s(wish.settled_at or wish.wanted_at)
        if wish.run_id is not None:
            if silent >= self._timing.silence_s and self._may_look(wish, self._timing.silence_s):
                self._ask_build(wish, is_stuck=silent > BUILD_STUCK_AFTER_S)
        elif silent > BUILD_STUCK_AFTER_S:
            self._build_failed(wish, f"No report for {BUILD_STUCK_AFTER_S:.0f} s, and no run of it is known.")

    def _ask_build(self, wish: Wish, *, is_stuck: bool) -> None:
        try:
            run = kind_of(self._kinds, wish).look(wish)
        except Trouble:
            return
        if run is not None:
            self._ledger.run_reported(wish, run, by=BY)
        elif is_stuck:
            self._build_failed(wish, GONE.format(self._whom(wish)))

    def _build_failed(self, wish: Wish, why: str) -> None:
        self._ledger.report_build(
            wish.project_name,
            wish.release_candidate_version,
            status="failed",
            build_id=wish.subject,
            error_message=why,
            by=BY,
        )

    def _has_runs(self, wish: Wish) -> bool:
        """Whether its workflow is of a kind that has runs to look at."""
        kind = self._kinds.get((wish.workflow or {}).get("kind", ""))
        return kind is not None and kind.has_runs

    def _whom(self, wish: Wish) -> str:
        """Who was to be asked, in a message."""
        kind = self._kinds.get((wish.workflow or {}).get("kind", ""))
        return kind.title if kind is not None else "Whoever runs the workflow"

    def _may_look(self, wish: Wish, pause: float) -> bool:
        """Whether it is this worker's turn: of all workers, one looks at a run in so many seconds."""
        key = Key(wish.stream, "watch", -wish.number if wish.kind == "build" else wish.number)
        return self._leases.take_turn(key, pause)


def _silent_s(moment: str) -> float:
    """How many seconds ago that was."""
    return (datetime.now(UTC) - read_moment(moment)).total_seconds()


def _alone(look: Callable[[], None]) -> None:
    try:
        look()
    except LedgerUnavailable:
        pass  # it is looked at again
    except Exception:
        _LOG.exception("something unfinished could not be looked at")
