"""What the ledger would have answered then: the answers about a version are those that were given at it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
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
SEEDS: Final = st.integers(0, 10**6)
# `make soak` takes more of them: as many as its profile says.
LONG_OR_SHORT: Final = pytest.mark.parametrize(
    "examples",
    [lambda: 4, pytest.param(lambda: settings().max_examples // 100, marks=pytest.mark.soak)],
    ids=["few", "many"],
)
# Between the two steps a candidate is cut, which a rollback as of the first cannot go to.
CUT_LATER: Final = [Step("freeze", "production", {"reason": "audit"}), Step("unfreeze", "production", {})]
_PEOPLE = Statement(select(PEOPLE.c.person_id).where(PEOPLE.c.email == bindparam("email")))
_TAKE_OFF = Statement(
    update(STREAMS).where(STREAMS.c.stream == bindparam("of_stream")).values(folded=bindparam("folded"))
)
Answers = dict[str, Any]
Ask = Callable[..., Any]


@dataclass(frozen=True)
class Questions:
    """Which page of deployments, which of a status or a version, which running periods, which rollbacks."""

    page: int
    filters: list[Answers]
    ranges: list[Answers]
    targets: list[Answers]


Then = dict[tuple[str, int], tuple[str, Questions, Answers]]


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
@LONG_OR_SHORT
def test_what_was_answered_is_answered_still(ledger: Ledger, caller: Caller, examples: Callable[[], int]) -> None:
    """Of every version that a command left, by version and by time; from live rows, from the history folded up to it,
    and from rows that were folded anew."""

    @settings(max_examples=examples(), suppress_health_check=[HealthCheck.too_slow])
    @given(history=histories, cut_at=st.integers(0, 20), seed=SEEDS)
    @example(history=CUT_LATER, cut_at=1, seed=0)
    def holds(history: list[Step], cut_at: int, seed: int) -> None:
        project = f"project-{next(PROJECTS)}"
        begin(ledger, project, caller)
        then: Then = {}
        for position, step in enumerate(history):
            if position == cut_at:
                ledger.cut_release_candidate(project, LATER, repo=REPO, commit=commit_of(LATER), by=caller)
            carry_out(ledger, project, step, caller)
            for name in {step.environment, ENVIRONMENTS[position % 2]}:
                version = head_of(ledger.store, environment_stream(project, name)).version
                drawn = questions(seed + version)
                then[name, version] = write_moment(datetime.now(UTC)), drawn, answers(ledger, project, name, drawn)

        assert_unchanged(ledger, project, then)
        for name in ENVIRONMENTS:
            mend(ledger.store, environment_stream(project, name))
        assert_unchanged(ledger, project, then)
        for stream in (project_stream(project), *(environment_stream(project, name) for name in ENVIRONMENTS)):
            ledger.store.write(_TAKE_OFF, {"of_stream": stream, "folded": ""})
        assert_unchanged(ledger, project, then)

    holds()


@pytest.mark.usefixtures("snapshots")
@LONG_OR_SHORT
def test_every_version_has_its_answers(ledger: Ledger, caller: Caller, examples: Callable[[], int]) -> None:
    """Also one amid the events of a command; from live rows as from the history folded up to it."""

    @settings(max_examples=examples(), suppress_health_check=[HealthCheck.too_slow])
    @given(history=histories, seed=SEEDS)
    def holds(history: list[Step], seed: int) -> None:
        project = f"project-{next(PROJECTS)}"
        begin(ledger, project, caller)
        for step in history:
            carry_out(ledger, project, step, caller)
        streams = {name: environment_stream(project, name) for name in ENVIRONMENTS}
        versions = {name: range(1, head_of(ledger.store, stream).version + 1) for name, stream in streams.items()}

        def asked(name: str, version: int) -> Answers:
            return answers(ledger, project, name, questions(seed + version), moment=Moment(version=version))

        live = {(name, version): asked(name, version) for name in ENVIRONMENTS for version in versions[name]}

        for (_, version), found in live.items():
            assert found["itself"][0]["version"] == found["itself"][1] == version
            assert found["page"].version == version
        for stream in streams.values():
            ledger.store.write(_TAKE_OFF, {"of_stream": stream, "folded": ""})
        for (name, version), found in live.items():
            assert asked(name, version) == found

    holds()


def assert_unchanged(ledger: Ledger, project: str, then: Then) -> None:
    for (name, version), (at, drawn, found) in then.items():
        assert answers(ledger, project, name, drawn, moment=Moment(at=at)) == found
        by_version = answers(ledger, project, name, drawn, moment=Moment(version=version))
        # The project may have moved on while the environment did not: a candidate was cut after this version.
        assert {**by_version, "to later": None} == {**found, "to later": None}


def questions(seed: int) -> Questions:
    """Some of all that can be asked, the same for the same seed: all of it, at each moment, took most of the time."""
    drawn = random.Random(seed)
    filters = [(status, version) for status in (None, *STATUSES) for version in (None, VERSIONS[1])]
    ranges: list[Answers] = [*({"page": page} for page in (1, 2, 3)), {"begins": MOMENTS[1]}, {"ends": MOMENTS[1]}]
    targets = [
        {},
        {"strategy": "previous"},
        {"strategy": "walk_back"},
        *({"to": each} for each in (*VERSIONS, UNKNOWN)),
    ]
    return Questions(
        page=drawn.choice((1, 1, 2, 3)),
        filters=[
            {"page": drawn.choice((1, 1, 2)), "status": status, "version": version}
            for status, version in (filters[1:2] + drawn.sample(filters[2:], 4))
        ],
        ranges=drawn.sample(ranges, 2),
        targets=drawn.sample(targets, 2),
    )


def answers(ledger: Ledger, project: str, name: str, drawn: Questions, *, moment: Moment | None = None) -> Answers:
    """What was drawn of the questions that can be asked of the past, with the answers or refusals."""
    when: dict[str, Any] = {} if moment is None else {"moment": moment}

    def said(ask: Ask, *given: Any, **more: Any) -> Any:
        try:
            return ask(project, name, *given, **more, **when)
        except Refusal as refusal:
            return refusal.code

    page: Page = said(ledger.deployments, page=drawn.page, per_page=4)
    ids = [one["id"] for one in page.items[:2]]
    return {
        "itself": said(ledger.environment),
        "page": page,
        "running": [said(ledger.running, per_page=3, **range_) for range_ in drawn.ranges],
        "one by one": [said(ledger.deployment_with_events, each) for each in (*ids, "nobody's")],
        "filtered": [said(ledger.deployments, per_page=2, **filter_) for filter_ in drawn.filters],
        "previews": [said(ledger.rollback_preview, **target) for target in drawn.targets],
        "to later": said(ledger.rollback_preview, to=LATER),
    }
