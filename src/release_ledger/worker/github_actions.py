"""Workflows of GitHub Actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ..github import RUNS_LISTED, GitHub, Run, Started
from ..ledger.outbox_questions import Wish
from ..outgoing import Trouble
from ..versions import read_moment
from ..workflows import inputs
from .kinds import Found, known_values, own_inputs

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EARLIER: Final = timedelta(minutes=10)  # clocks differ
NEWEST: Final = 10  # runs, however old, tell whether names show ids
UNASKED: Final = "GitHub cannot be asked: RELEASE_LEDGER_GITHUB_TOKEN is not set."


class GitHubActions:
    """A run is recognised by its name, where the workflow's `run-name` contains the id that it was given."""

    def __init__(self, github: GitHub | None, is_ours: Callable[[str], bool]) -> None:
        """`is_ours`: whether an id is a deployment's or a build's of this ledger."""
        self._github, self._is_ours = github, is_ours

    def start(self, wish: Wish, begin_by: float) -> Started:
        workflow = wish.workflow or {}
        given = inputs(workflow, own_inputs(wish), known_values(wish))
        return self._asked().dispatch(wish.repo or "", workflow["workflow"], workflow["ref"], given, begin_by)

    def find(self, wish: Wish) -> Found:
        """GitHub's list of runs does not show inputs: only a name can tell. That it would is seen from the newest."""
        workflow, asked = wish.workflow or {}, self._asked()
        place = wish.repo or "", workflow["workflow"]
        newest = asked.runs(*place, None, workflow["ref"], most=NEWEST)
        listed = newest
        if len(newest) == NEWEST and not any(wish.subject in run.title for run in newest):
            listed = asked.runs(*place, read_moment(wish.wanted_at) - EARLIER, workflow["ref"])
        ours = next((run for run in listed if wish.subject in run.title), None)
        if ours is not None:
            return Found(ours, True)
        shows = [any(self._is_ours(found) for found in _ID.findall(run.title)) for run in newest]
        return Found(None, len(listed) < RUNS_LISTED and any(shows) and all(shows))

    def run(self, wish: Wish) -> Run | None:
        return self._asked().run(wish.repo or "", wish.run_id or "")

    def cancel(self, wish: Wish) -> bool:
        return self._asked().cancel(wish.repo or "", wish.run_id or "")

    def _asked(self) -> GitHub:
        if self._github is None:
            raise Trouble(UNASKED, final=True)
        return self._github
