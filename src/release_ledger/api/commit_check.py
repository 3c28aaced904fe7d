"""GitHub is asked for a candidate's repository and commit before it is cut, where a token for GitHub is set.

Only of a candidate that is new, and last: what the ledger itself refuses or knows is answered without GitHub. A process
has few threads, which everybody shares: all but one may ask GitHub, and none for a while after it was down.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Condition
from typing import Any, Final, TypeVar

import structlog
from flask import Response, after_this_request, current_app

from ..errors import GithubUnavailable, InvalidCommit, RepositoryNotFound
from ..github import GitHub
from ..ledger import Caller
from ..ledger.answers import Answer
from ..ledger.project_commands import NotChecked
from ..outgoing import Outgoing, Trouble
from ..settings import Settings
from .access import ledger

T = TypeVar("T")
WITHIN_S: Final = 10.0  # for all that is asked of one candidate
ONE_CALL_S: Final = 3.0
PAUSE_S: Final = 10.0  # for which GitHub is not asked after it gave no answer
BUSY_S: Final = 1
AT_ONCE: Final = 3  # less than there are threads (cli/limits.py)
TURN_WITHIN_S: Final = 2.0  # for which one more waits, and longer than which no check takes on a good day
_LOG = structlog.get_logger("release_ledger.api")


class Checks:
    """The GitHub that is asked for commits by one process: by a few threads at once, and not while it is down."""

    def __init__(self, github: GitHub) -> None:
        self._github, self._turns = github, Condition()
        self._began: list[float] = []  # the checks that go on
        self._down_until, self._answers = 0.0, True

    def is_known(self, repo: str, commit: str, *, waits: bool) -> bool:
        """True; raises what GitHub says of an unknown one, and `Trouble` where it gives no answer, or is not asked.

        Where it was not asked, the trouble's `retry_after_s` says when it would be. `waits`: for a turn, for a while.
        """
        began, is_down = self._turn(TURN_WITHIN_S if waits else 0.0), False
        try:
            return _is_known(self._github, repo, commit)
        except Trouble as trouble:
            is_down = _is_down(trouble)
            raise
        finally:
            self._ended(began, is_down)

    def _turn(self, within_s: float) -> float:
        """When this check began. Nobody waits for a check that takes long: GitHub hangs, and threads are everybody's.

        Once it was down, one goes first, and nobody waits, until it has answered.
        """
        came = time.monotonic()
        with self._turns:
            while True:
                now = time.monotonic()
                if self._down_until > now:
                    raise _NotAsked("GitHub did not answer a moment ago.", retry_after_s=self._down_until - now)
                if len(self._began) < (AT_ONCE if self._answers else 1):
                    self._began.append(now)
                    return now
                left_s = min(came, *self._began) + within_s - now
                if left_s <= 0 or not self._answers:
                    raise _NotAsked("Other commits are being checked.", retry_after_s=BUSY_S)
                self._turns.wait(left_s)

    def _ended(self, began: float, is_down: bool) -> None:
        with self._turns:
            self._began.remove(began)
            self._answers = not is_down
            if is_down:
                self._down_until = time.monotonic() + PAUSE_S
            self._turns.notify_all()


class _NotAsked(Trouble):
    """GitHub was not asked."""


def github_of(settings: Settings) -> Checks | None:
    """The GitHub that is asked for commits; None where no token for it is set."""
    if settings.github_token is None:
        return None
    outgoing = Outgoing(trusted=[settings.github_url], connect_within_s=2.0, within_s=ONE_CALL_S)
    return Checks(GitHub(settings.github_url, settings.github_token, outgoing))


def cut(project_name: str, version: str, body: dict[str, Any], by: Caller) -> tuple[Answer, int]:
    """Cut a candidate, once GitHub knows its commit. Raises `GithubUnavailable` and records nothing without an answer.

    With `github_check` best_effort it is cut all the same, and checked later by the worker.
    """
    github: Checks | None = current_app.extensions["github"]
    settings: Settings = current_app.extensions["settings"]
    try:
        checked = None if github is not None else True
        return ledger().cut_release_candidate(project_name, version, checked=checked, by=by, **body)
    except NotChecked:
        assert github is not None  # noqa: S101 - raised for None only
        known = _checked(github, body["repo"], body["commit"], settings.github_check == "required")
    return ledger().cut_release_candidate(project_name, version, checked=known, by=by, **body)


def _checked(github: Checks, repo: str, commit: str, required: bool) -> bool:
    """Whether GitHub knows them; false where it does not answer and need not. Raises what is said of it else."""
    try:
        return github.is_known(repo, commit, waits=required)
    except Trouble as trouble:
        _LOG.warning("commit not checked", repo=repo, commit=commit, cause=trouble.message)
        if not required:
            return False
        if isinstance(trouble, _NotAsked):
            _retry_after(trouble.retry_after_s or BUSY_S)
        raise GithubUnavailable(github=trouble.message) from None


def _retry_after(seconds: float) -> None:
    @after_this_request
    def say(response: Response) -> Response:
        response.headers["Retry-After"] = str(math.ceil(seconds))
        return response


def _is_known(github: GitHub, repo: str, commit: str) -> bool:
    """True. Raises what GitHub says else, or `Trouble`."""
    began = time.monotonic()
    if not _twice(lambda: github.has_repository(repo), began):
        raise RepositoryNotFound(repo=repo)
    if not _twice(lambda: github.has_commit(repo, commit), began):
        raise InvalidCommit(commit="GitHub does not know it in this repository")
    return True


def _is_down(trouble: Trouble) -> bool:
    """Whether others would have no answer either. A refusal (401, 403) is one: it may be of this repository alone."""
    is_refusal = trouble.message.startswith("GitHub answered ") and not trouble.maybe_done
    return not trouble.final and (trouble.retry_after_s is not None or not is_refusal)


def _twice(ask: Callable[[], T], began: float) -> T:
    """What is answered, perhaps only when asked again. Raises `Trouble`."""
    try:
        return ask()
    except Trouble as trouble:
        is_hopeless = trouble.final or trouble.retry_after_s is not None
        if is_hopeless or time.monotonic() - began > WITHIN_S - ONE_CALL_S:
            raise
    return ask()
