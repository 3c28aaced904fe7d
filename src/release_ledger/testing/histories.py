"""Histories for Hypothesis (which has to be installed): commands on a ledger, and the events that come of them.

Few distinct names, so that histories collide with themselves.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from ..environment import Settings
from ..errors import Refusal
from ..events import Event
from ..ledger import Caller, Ledger
from ..projection import ACCESS, environment_stream, project_stream
from ..projection.upgrade import upgrade
from ..store.codec import decode
from ..store.store import events_after, head_of

ENVIRONMENTS = ("production", "staging")
VERSIONS = ("1.0.0-rc1", "1.0.0-rc2", "2.0.0-rc1")
UNKNOWN = "9.9.9-rc9"
STATUSES = ("pending", "in_progress", "canceling", "unknown", "success", "failure", "canceled", "error")
MOMENTS = tuple(f"2024-03-0{day}T12:00:00.000000+00:00" for day in (1, 2, 3))
REPO = "acme/shop"


@dataclass(frozen=True)
class Step:
    """A method of the ledger and what it is given; `back` names one of the newest deployments by its id."""

    method: str
    environment: str
    given: dict[str, Any]
    back: int | None = None


def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from((None, *values))


def _given(**strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    drawn = st.fixed_dictionaries(strategies)
    return drawn.map(lambda given: {name: value for name, value in given.items() if value is not None})


_VERSION = st.sampled_from((*VERSIONS, *VERSIONS, UNKNOWN))
_DEPLOY = _given(release_candidate_version=_VERSION, force=st.booleans(), reason=_maybe("because"))
_REPORT = _given(
    release_candidate_version=st.sampled_from(VERSIONS),
    status=st.sampled_from((*STATUSES, "success")),
    occurred_at=_maybe(*MOMENTS),
    error_message=_maybe("killed", "no space left"),
    external_url=_maybe("https://ci.example.com/1"),
)
_BACK = _given(strategy=_maybe("previous", "walk_back"), force=st.booleans()) | _given(to=_VERSION)
_GIVEN = {
    "deploy": _DEPLOY,
    "report": _REPORT,
    "roll_back": _BACK,
    "freeze": _given(reason=st.just("audit"), until=_maybe("2999-01-01T00:00:00.000000+00:00")),
    "unfreeze": st.just({}),
    "configure_environment": st.builds(Settings, rollback_strategy=st.sampled_from(("previous", "walk_back"))).map(
        lambda settings: {"settings": settings}
    ),
}
_OFTEN = ("deploy", "report", "report", "report", "roll_back", "roll_back", *_GIVEN)


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    method = draw(st.sampled_from(_OFTEN))
    back = draw(st.sampled_from((None, None, 0, 1, 2))) if method == "report" else None
    return Step(method, draw(st.sampled_from(ENVIRONMENTS)), draw(_GIVEN[method]), back)


histories = st.lists(_steps(), min_size=1, max_size=25)


def commit_of(version: str) -> str:
    """A commit of its own for each version."""
    return version.encode().hex().ljust(40, "0")


def begin(ledger: Ledger, project: str, by: Caller) -> None:
    """A project with environments and candidates."""
    ledger.configure_project(project, repo=REPO, by=by)
    for version in VERSIONS:
        ledger.cut_release_candidate(project, version, repo=REPO, commit=commit_of(version), by=by)
    for environment in ENVIRONMENTS:
        ledger.configure_environment(project, environment, Settings(), by=by)
        ledger.deploy(project, environment, release_candidate_version=VERSIONS[0], by=by)
        ledger.report(project, environment, release_candidate_version=VERSIONS[0], status="success", by=by)


def carry_out(ledger: Ledger, project: str, step: Step, by: Caller) -> Any:
    """The answer of a step, or the code of its refusal."""
    given = dict(step.given)
    if step.back is not None:
        newest = ledger.deployments(project, step.environment, page=step.back + 1, per_page=1).items
        given |= {key: newest[0][key] for key in ("id", "release_candidate_version") if newest}
    return said(getattr(ledger, step.method), project, step.environment, **given, by=by)


def said(asked: Callable[..., Any], *names: str, **given: Any) -> Any:
    """The answer, or the code of the refusal."""
    try:
        return asked(*names, **given)
    except Refusal as refusal:
        return refusal.code


PROJECT: Final = "shop"
_BY: Final = Caller(recorded_by="ci", request_id="request")
_PROJECTS = itertools.count(1)


def legal_histories() -> st.SearchStrategy[list[Event]]:
    """The events of a project, its environments and tokens, as a ledger recorded them; each stream's in order."""
    return histories.map(events_of)


def events_of(history: Sequence[Step]) -> list[Event]:
    """What a ledger records when a project begins and these commands are carried out; refusals record nothing."""
    ledger, project = _ledger(), f"project-{next(_PROJECTS)}"
    known_access = head_of(ledger.store, ACCESS).version
    ledger.create_token(f"{project}-ci", role="deploy", by=_BY)
    begin(ledger, project, _BY)
    for step in history:
        carry_out(ledger, project, step, _BY)
    ledger.revoke_token(f"{project}-ci", by=_BY)
    streams = {project_stream(project): project_stream(PROJECT)}
    streams |= {environment_stream(project, name): environment_stream(PROJECT, name) for name in ENVIRONMENTS}
    events = _recorded(ledger, ACCESS, ACCESS, after=known_access)
    return events + [event for stream, shown in streams.items() for event in _recorded(ledger, stream, shown)]


def _recorded(ledger: Ledger, stream: str, shown: str, after: int = 0) -> list[Event]:
    """The events of a stream after a version, as if they were the first of the stream `shown`."""
    found = [decode(stream, row) for row in events_after(ledger.store, stream, after)]
    for version, event in enumerate(found, 1):
        own = {"project_name": PROJECT} if hasattr(event, "project_name") else {}
        vars(event).update(originator_id=shown, originator_version=version, **own)
    return found


@cache
def _ledger() -> Ledger:
    """A ledger for all histories of this process, in a file that goes with it."""
    folder = tempfile.mkdtemp(prefix="release-ledger-histories-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    url = f"sqlite:///{folder}/ledger.db"
    upgrade(url)
    ledger = Ledger.open(url, pool_size=2)
    atexit.register(ledger.close)
    return ledger
