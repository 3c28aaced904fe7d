"""Workflows of GitHub Actions: `{"kind": "github", "workflow": "deploy.yml", "ref": "main", "parameters": {…}}`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from ..github import RUNS_LISTED, GitHub, Run
from ..ledger.outbox_questions import Wish
from ..outgoing import Trouble
from ..versions import read_moment, write_moment
from ..workflows import inputs
from .kinds import Found, Kind, SettingKey, Standing, Started, known_values, own_inputs

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
EARLIER: Final = timedelta(minutes=10)  # clocks differ
NEWEST: Final = 10  # runs, however old, tell whether names show ids
UNASKED: Final = "GitHub cannot be asked: RELEASE_LEDGER_GITHUB_TOKEN is not set."
# Of a run: the status of the deployment that it is for.
_STATUSES: Final = {
    "queued": "pending",
    "requested": "pending",
    "waiting": "pending",
    "pending": "pending",
    "in_progress": "in_progress",
}
_CONCLUSIONS: Final = {
    "success": "success",
    "failure": "failure",
    "timed_out": "failure",
    "startup_failure": "failure",
    "cancelled": "canceled",
}


def _file_or_id(text: str) -> str | None:
    """Refuse what would lead to another place of GitHub's API, and what no file is called."""
    is_a_path = "/" in text or "\\" in text or text.strip(".") == ""
    if is_a_path or text.strip() != text or not text.isprintable():
        return "Must be the name of a file in .github/workflows, without its folder, or an id."
    return None


def _branch_or_tag(text: str) -> str | None:
    if re.search(r"\s", text) or not text.isprintable():
        return "Must be a branch or tag, without spaces and control characters."
    return None


class GitHubActions(Kind):
    """A run is recognised by its name, where the workflow's `run-name` contains the id that it was given."""

    name = "github"
    title = "GitHub"
    has_runs = True
    keys = (
        SettingKey(
            "workflow",
            200,
            "The file's name in .github/workflows, or its id.",
            r"^[^\s/\\]([^/\\]*[^\s/\\])?$",
            _file_or_id,
        ),
        SettingKey("ref", 250, "A branch or tag.", r"^\S+$", _branch_or_tag),
    )

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
            return Found(_seen(ours), True)
        is_ours = self.means.is_ours
        shows = [any(is_ours(found) for found in _ID.findall(run.title)) for run in newest]
        return Found(None, len(listed) < RUNS_LISTED and any(shows) and all(shows))

    def look(self, wish: Wish) -> Standing | None:
        run = self._asked().run(wish.repo or "", wish.run_id or "")
        return _seen(run) if run is not None else None

    def cancel(self, wish: Wish) -> bool:
        return self._asked().cancel(wish.repo or "", wish.run_id or "")

    def _asked(self) -> GitHub:
        if self.means.github is None:
            raise Trouble(UNASKED, final=True)
        return self.means.github


def standing_of(run: Run) -> Standing:
    """How a run stood when GitHub changed it last. Raises `ValueError` and `OverflowError` for what is no moment.

    Time decides the order of its reports, and the attempt only within one second. That is enough: the attempts of a
    run follow one another, so that what is told of a later one is never older. GitHub gives whole seconds, in which
    one attempt may end and the next begin.
    """
    status, error_message = _said(run)
    moment = read_moment(run.updated_at) + timedelta(microseconds=min(run.attempt, 999_999))
    return Standing(run.id, run.url, status, error_message, run.attempt, write_moment(moment))


def _seen(run: Run) -> Standing:
    """The same of a run that was looked at: an unfinished one is alive now, whenever GitHub has changed it last."""
    standing = standing_of(run)
    return standing if _has_ended(run) else standing._replace(occurred_at=None)


def _has_ended(run: Run) -> bool:
    """A conclusion always ends it."""
    return run.conclusion is not None or run.status == "completed"


def _said(run: Run) -> tuple[str | None, str | None]:
    """The deployment's status, or None for one that says nothing, and its error message."""
    if not _has_ended(run):
        return _STATUSES.get(run.status), None
    ended = _CONCLUSIONS.get(run.conclusion or "")
    if ended is None:
        return "error", f"The workflow's run ended as {run.conclusion or 'unknown'}."
    return ended, "The workflow's run timed out." if run.conclusion == "timed_out" else None
