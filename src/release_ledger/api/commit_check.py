"""GitHub is asked for a candidate's repository and commit before it is cut, where a token for GitHub is set.

Only of a candidate that is new, and last: what the ledger itself refuses or knows is answered without GitHub.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import structlog
from flask import current_app

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
_LOG = structlog.get_logger("release_ledger.api")


def github_of(settings: Settings) -> GitHub | None:
    """The GitHub that is asked for commits; None where no token for it is set."""
    if settings.github_token is None:
        return None
    outgoing = Outgoing(trusted=[settings.github_url], connect_within_s=2.0, within_s=ONE_CALL_S)
    return GitHub(settings.github_url, settings.github_token, outgoing)


def cut(project_name: str, version: str, body: dict[str, Any], by: Caller) -> tuple[Answer, int]:
    """Cut a candidate, once GitHub knows its commit. Raises `GithubUnavailable` and records nothing without an answer.

    With `github_check` best_effort it is cut all the same, and checked later by the worker.
    """
    github: GitHub | None = current_app.extensions["github"]
    settings: Settings = current_app.extensions["settings"]
    try:
        checked = None if github is not None else True
        return ledger().cut_release_candidate(project_name, version, checked=checked, by=by, **body)
    except NotChecked:
        assert github is not None  # noqa: S101 - raised for None only
        known = _is_known(github, body["repo"], body["commit"], settings.github_check == "required")
    return ledger().cut_release_candidate(project_name, version, checked=known, by=by, **body)


def _is_known(github: GitHub, repo: str, commit: str, required: bool) -> bool:
    """Whether GitHub knows them; false where it does not answer and need not. Raises what is said of it else."""
    began = time.monotonic()
    try:
        if not _twice(lambda: github.has_repository(repo), began):
            raise RepositoryNotFound(repo=repo)
        if not _twice(lambda: github.has_commit(repo, commit), began):
            raise InvalidCommit(commit="GitHub does not know it in this repository")
    except Trouble as trouble:
        _LOG.warning("commit not checked", repo=repo, commit=commit, cause=trouble.message)
        if required:
            raise GithubUnavailable(github=trouble.message) from None
        return False
    return True


def _twice(ask: Callable[[], T], began: float) -> T:
    """What is answered, perhaps only when asked again. Raises `Trouble`."""
    try:
        return ask()
    except Trouble as trouble:
        is_hopeless = trouble.final or trouble.retry_after_s is not None
        if is_hopeless or time.monotonic() - began > WITHIN_S - ONE_CALL_S:
            raise
    return ask()
