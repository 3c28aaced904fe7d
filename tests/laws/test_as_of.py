"""What the ledger would have answered then: the answers about a version are those that were given at it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, select, update

from release_ledger.errors import Refusal
from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.moments import Moment
from release_ledger.ledger.project_questions import Page
from release_ledger.projection import environment_stream, mend, project_stream
from release_ledger.store import Statement
from release_ledger.store.schema import PEOPLE, STREAMS
from release_ledger.store.store import head_of
from release_ledger.testing.histories import (
    ENVIRONMENTS,
    MOMENTS,
    REPO,
    STATUSES,
    UNKNOWN,
    VERSIONS,
    Step,
    begin,
    carry_out,
    commit_of,
    histories,
)
from release_ledger.versions import write_moment

PROJECTS = itertools.count(1)
EMAIL: Final = "dev@example.com"
LATER: Final = "9.0.0-rc1"
FEW = settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_PEOPLE = Statement(select(PEOPLE.c.person_id).where(PEOPLE.c.email == bindparam("email")))
_TAKE_OFF = Statement(
    update(STREAMS).where(STREAMS.c.stream == bindparam("of_stream")).values(folded=bindparam("folded"))
)
Answers = dict[str, Any]
Ask = Callable[..., Any]


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(upgraded_url, pool_size=2)
    yield opened
    opened.close()


@pytest.fixture
def caller(ledger: Ledger) -> Caller:
    """Somebody with an e-mail, so that answers look up people too."""
    ledger.create_token("tester", role="admin", email=EMAIL, by=Caller(recorded_by="tests"))
    person_id = ledger.store.read(_PEOPLE, {"email": EMAIL})[0]["person_id"]
    return Caller(recorded_by="tester", person_id=person_id, email=EMAIL, request_id="r")


@pytest.fixture(params=[3, 200], ids=["snapshots", "none yet"])
def snapshots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a snapshot of every third version, and with none in so short a history."""
    monkeypatch.setattr("release_ledger.projections.environments.SNAPSHOT_EVERY", request.param)


@pytest.mark.usefixtures("snapshots")
@FEW
@given(history=histories, cut_at=st.integers(0, 20))
def test_what_was_answered_is_answered_still(ledger: Ledger, caller: Caller, history: list[Step], cut_at: int) -> None:
    """Of every version that a command left, by version and by time; from live rows, from the history folded up to it,
    and from rows that were folded anew."""
    project = f"project-{next(PROJECTS)}"
    begin(ledger, project, caller)
    then: dict[tuple[str, int], tuple[str, Answers]] = {}
    for position, step in enumerate(history):
        if position == cut_at:
            ledger.cut_release_candidate(project, LATER, repo=REPO, commit=commit_of(LATER), by=caller)
        carry_out(ledger, project, step, caller)
        for name in {step.environment, ENVIRONMENTS[position % 2]}:
            version = head_of(ledger.store, environment_stream(project, name)).version
            then[name, version] = write_moment(datetime.now(UTC)), answers(ledger, project, name)

    assert_unchanged(ledger, project, then)
    for name in ENVIRONMENTS:
        mend(ledger.store, environment_stream(project, name))
    assert_unchanged(ledger, project, then)
    for stream in (project_stream(project), *(environment_stream(project, name) for name in ENVIRONMENTS)):
        ledger.store.write(_TAKE_OFF, {"of_stream": stream, "folded": ""})
    assert_unchanged(ledger, project, then)


@pytest.mark.usefixtures("snapshots")
@FEW
@given(history=histories)
def test_every_version_has_its_answers(ledger: Ledger, caller: Caller, history: list[Step]) -> None:
    """Also one amid the events of a command; from live rows as from the history folded up to it."""
    project = f"project-{next(PROJECTS)}"
    begin(ledger, project, caller)
    for step in history:
        carry_out(ledger, project, step, caller)
    streams = {name: environment_stream(project, name) for name in ENVIRONMENTS}
    versions = {name: range(1, head_of(ledger.store, stream).version + 1) for name, stream in streams.items()}

    live = {
        (name, version): answers(ledger, project, name, moment=Moment(version=version))
        for name in ENVIRONMENTS
        for version in versions[name]
    }

    for (_, version), found in live.items():
        assert found["itself"][0]["version"] == found["itself"][1] == version
        assert all(page.version == version for page in found["pages"])
    for stream in streams.values():
        ledger.store.write(_TAKE_OFF, {"of_stream": stream, "folded": ""})
    for (name, version), found in live.items():
        assert answers(ledger, project, name, moment=Moment(version=version)) == found


def assert_unchanged(ledger: Ledger, project: str, then: dict[tuple[str, int], tuple[str, Answers]]) -> None:
    newest = {(name, at): found for (name, _), (at, found) in then.items()}
    for (name, at), found in newest.items():
        assert answers(ledger, project, name, moment=Moment(at=at)) == found
    for (name, version), (_, found) in then.items():
        by_version = answers(ledger, project, name, moment=Moment(version=version))
        # The project may have moved on while the environment did not: a candidate was cut after this version.
        assert {**by_version, "to later": None} == {**found, "to later": None}


def answers(ledger: Ledger, project: str, name: str, *, moment: Moment | None = None) -> Answers:
    """Every question that can be asked of the past, with its answer or refusal."""
    when: dict[str, Any] = {} if moment is None else {"moment": moment}

    def said(ask: Ask, *given: Any, **more: Any) -> Any:
        try:
            return ask(project, name, *given, **more, **when)
        except Refusal as refusal:
            return refusal.code

    pages: list[Page] = [said(ledger.deployments, page=page, per_page=4) for page in range(1, 4)]
    filters = [(status, version) for status in (None, *STATUSES) for version in (None, VERSIONS[1])]
    ranges: list[dict[str, Any]] = [{"page": page} for page in (1, 2, 3)]
    ranges += [{"begins": MOMENTS[1]}, {"ends": MOMENTS[1]}]
    asked = ({}, {"strategy": "previous"}, {"strategy": "walk_back"}, *({"to": each} for each in (*VERSIONS, UNKNOWN)))
    ids = [one["id"] for page in pages[:2] for one in page.items]
    return {
        "itself": said(ledger.environment),
        "pages": pages,
        "running": [said(ledger.running, per_page=3, **range_) for range_ in ranges],
        "one by one": [said(ledger.deployment_with_events, each) for each in (*ids, "nobody's")],
        "filtered": [
            said(ledger.deployments, page=page, per_page=2, status=status, version=version)
            for status, version in filters
            for page in (1, 2)
        ],
        "previews": [said(ledger.rollback_preview, **given_) for given_ in asked],
        "to later": said(ledger.rollback_preview, to=LATER),
    }
