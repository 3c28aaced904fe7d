"""The watch: runs that said nothing for a while are looked at, and deployments that went silent are given up.

A run that is alive (queued, waiting for approval, running) is never stuck. While GitHub cannot be asked, nothing that
has a run is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from ..errors import LedgerUnavailable
from ..github import GitHub
from ..ledger import Ledger
from ..ledger.outbox_questions import Watched, Wish
from ..outgoing import Trouble
from ..triggering import UNASKED, UNHEARD, WANTED
from ..versions import read_moment, write_moment
from ..workflows import Standing
from .errands import BY
from .kinds import Kind, kind_of, known_kind
from .leases import Key, Leases
from .timing import Timing

BUILD_STUCK_AFTER_S: Final = 3600.0
_LOG = structlog.get_logger("release_ledger.worker")
AT_ONCE: Final = 8
SOUGHT_FOR: Final = timedelta(hours=1)
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
        if not elsewhere:
            since = write_moment(datetime.now(UTC) - SOUGHT_FOR)
            looks += [partial(self._seek, each) for each in self._ledger.canceled_without_run(since)]
        if looks:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
                for _ in pool.map(_alone, looks):
                    pass

    def _look_at(self, watched: Watched) -> None:
        """Ask how its run stands, or for the run. It is given up once it is stuck, and nothing is known of a run."""
        wish, stuck_after_s = watched.wish, watched.environment.settings.stuck_after_s
        silent_s, lost = _ago_s(watched.silent_since), None
        unknown = f"No report for {stuck_after_s} s, and no run of it is known."
        if wish is not None and self._has_runs(wish) and (wish.run_id is not None or wish.status == "done"):
            pause = self._timing.look_s(_ago_s(wish.settled_at or wish.wanted_at), stuck_after_s)
            if silent_s >= pause and self._may_look(wish, pause):
                lost = self._ask(wish, unknown)
        elif wish is None or wish.status != WANTED:  # else it is still being triggered, and each try is recorded
            lost = unknown
        if watched.deployment["ended_by"] == "cancel":
            self._end_cancel(watched)
        elif lost is not None and stuck_after_s is not None and silent_s > stuck_after_s:
            self._ledger.give_up(watched, error_message=lost, by=BY)

    def _ask(self, wish: Wish, unknown: str) -> str | None:
        """Ask how the run stands, and record what is news; what to say where there is none, `unknown` if none ever was.

        None also where there is no answer: it is asked again after a while.
        """
        try:
            run = self._found(wish) if wish.run_id is None else kind_of(self._kinds, wish).look(wish)
        except Trouble:
            return None
        if run is None:
            return GONE.format(self._whom(wish)) if wish.run_id is not None else unknown
        self._ledger.run_reported(wish, run, by=BY)
        return None

    def _found(self, wish: Wish) -> Standing | None:
        """The run of a start that was answered without one (by an older GitHub Enterprise Server), now known."""
        run = kind_of(self._kinds, wish).find(wish).run
        if run is not None:
            record = self._ledger.build_triggered if wish.kind == "build" else self._ledger.triggered
            record(wish, run_id=run.run_id, run_url=run.url, how="found", by=BY)
        return run

    def _seek(self, canceled: Watched) -> None:
        """The run of what was canceled before it was known goes on, unless it is found: then it is canceled, too."""
        wish, ended_at = canceled.wish, canceled.deployment["deploy_end_at"]
        if wish is None or not self._has_runs(wish) or ended_at is None:
            return
        turn = Key(f"canceled {wish.stream}", "watch", wish.number)
        if self._leases.take_turn(turn, self._timing.look_s(_ago_s(ended_at))):
            with suppress(Trouble):
                self._found(wish)

    def _end_cancel(self, watched: Watched) -> None:
        """A run that was asked to end and does not say so in time counts as canceled."""
        deployment, within_s, why = watched.deployment, self._timing.cancel_within_s, UNHEARD
        wish = self._ledger.wish_for(watched.stream, "cancel", deployment["number"])
        if wish is None:
            since = self._ledger.moment_of(watched.stream, deployment["status_version"])
        else:
            since = wish.settled_at or wish.wanted_at
        if wish is None or wish.settled_at is None:
            within_s, why = UNASKED_FACTOR * within_s, UNASKED.format(self._whom(wish or watched.wish))
        if _ago_s(since) > within_s:
            self._ledger.give_up(watched, error_message=why, by=BY)

    def _look_at_build(self, wish: Wish) -> None:
        if not self._has_runs(wish):
            return  # whoever builds it, reports it
        silent_s = _ago_s(wish.settled_at or wish.wanted_at)
        pause = self._timing.look_s(silent_s)
        if silent_s >= pause and self._may_look(wish, pause):
            lost = self._ask(wish, f"No report for {BUILD_STUCK_AFTER_S:.0f} s, and no run of it is known.")
            if lost is not None and silent_s > BUILD_STUCK_AFTER_S:
                self._build_failed(wish, lost)

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
        kind = known_kind(self._kinds, wish)
        return kind is not None and kind.has_runs

    def _whom(self, wish: Wish | None) -> str:
        """Who was to be asked, in a message."""
        kind = known_kind(self._kinds, wish)
        return kind.title if kind is not None else "Whoever runs the workflow"

    def _may_look(self, wish: Wish, pause: float) -> bool:
        """Whether it is this worker's turn: of all workers, one looks at a run in so many seconds."""
        key = Key(wish.stream, "watch", -wish.number if wish.kind == "build" else wish.number)
        return self._leases.take_turn(key, pause)


def _ago_s(moment: str) -> float:
    return (datetime.now(UTC) - read_moment(moment)).total_seconds()


def _alone(look: Callable[[], None]) -> None:
    try:
        look()
    except LedgerUnavailable:
        pass  # it is looked at again
    except Exception:
        _LOG.exception("something unfinished could not be looked at")
