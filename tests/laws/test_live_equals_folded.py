"""The live rows are a shortcut: whatever is asked of them is answered the same by folding the history."""

from __future__ import annotations

import itertools
import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import bindparam, delete, select, update

from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.project_questions import Page
from release_ledger.projection import Difference, environment_stream, mend, project_stream, relevant, verify
from release_ledger.projection.alone import Seat, alone
from release_ledger.projection.rebuild import rebuild_stream
from release_ledger.store import Params, Row, Statement, Store
from release_ledger.store.schema import PEOPLE, STREAMS
from release_ledger.store.store import head_of
from release_ledger.testing.histories import (
    ENVIRONMENTS,
    MOMENTS,
    STATUSES,
    UNKNOWN,
    VERSIONS,
    Step,
    begin,
    carry_out,
    commit_of,
    histories,
    said,
)

PROJECTS = itertools.count(1)
EMAIL = "dev@example.com"
LATER = "2999-01-01T00:00:00.000000+00:00"
# What differs between two projects with the same history.
OWN = {"id", "requested_at", "deploy_start_at", "deploy_end_at", "created_at", "frozen_at", "project_name", "name"}
OWN |= {"deployment_id", "from", "to", "recorded_from", "recorded_to", "total_seconds"}
AN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PEOPLE = Statement(select(PEOPLE.c.person_id).where(PEOPLE.c.email == bindparam("email")))
_TAKE_OFF = Statement(update(STREAMS).where(STREAMS.c.stream == bindparam("of_stream")).values(folded=""))
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class OneProject(Store):
    """The store, as if there were only the streams of one project."""

    def __init__(self, store: Store, project: str) -> None:
        super().__init__(store.database)
        self.streams = streams_of(project)

    def read(self, statement: Statement, params: Params) -> list[Row]:
        rows = super().read(statement, params)
        return [row for row in rows if row.get("stream") in (None, *self.streams)]


@pytest.fixture
def caller(ledger: Ledger) -> Caller:
    """Somebody with an e-mail, so that answers look up people too."""
    ledger.create_token("tester", role="admin", email=EMAIL, by=Caller(recorded_by="tests"))
    person_id = ledger.store.read(_PEOPLE, {"email": EMAIL})[0]["person_id"]
    return Caller(recorded_by="tester", person_id=person_id, email=EMAIL, request_id="r")


@FEW
@given(history=histories)
def test_every_question_has_one_answer(ledger: Ledger, caller: Caller, history: list[Step]) -> None:
    """Whatever happened, the live rows are those that the events fold into, and every question is answered the same
    from live rows, from folded streams, and from rows that were folded anew."""
    project = f"project-{next(PROJECTS)}"
    begin(ledger, project, caller)
    for step in history:
        carry_out(ledger, project, step, caller)
    live = answers(ledger, project)
    assert differences(ledger, project) == {}

    take_off(ledger, project)

    assert answers(ledger, project) == live
    put_on_again(ledger, project)
    assert differences(ledger, project) == {}
    assert answers(ledger, project) == live


@FEW
@given(history=histories)
def test_commands_decide_the_same_without_live_rows(ledger: Ledger, caller: Caller, history: list[Step]) -> None:
    """With its rows set aside, an environment is changed by every command as it would be with them. No command makes
    them count again; when they are folded anew they are complete."""
    numbers = next(PROJECTS), next(PROJECTS)
    live, aside = (f"project-{number}" for number in numbers)
    begin(ledger, live, caller)
    begin(ledger, aside, caller)
    take_off(ledger, aside)

    for step in history:
        assert alike(carry_out(ledger, aside, step, caller)) == alike(carry_out(ledger, live, step, caller))

    assert {head_of(ledger.store, stream).folded for stream in streams_of(aside)} == {""}
    put_on_again(ledger, aside)
    assert differences(ledger, aside) == {}
    assert alike(answers(ledger, aside)) == alike(answers(ledger, live))


@FEW
@given(history=histories, meanwhile=histories)
def test_commands_between_the_pages_of_a_rebuild(
    ledger: Ledger, caller: Caller, monkeypatch: pytest.MonkeyPatch, history: list[Step], meanwhile: list[Step]
) -> None:
    """What is recorded while a rebuild goes on is in the rows that it makes live, with any bound on those it holds."""
    monkeypatch.setattr("release_ledger.projection.part.PAGE_EVENTS", 2)
    monkeypatch.setattr("release_ledger.projection.rebuild.FEW_EVENTS", 3)  # left for the last step
    monkeypatch.setattr("release_ledger.projection.part.HELD_ROWS", 1)
    project, coming = f"project-{next(PROJECTS)}", iter(meanwhile)
    begin(ledger, project, caller)
    for step in history:
        carry_out(ledger, project, step, caller)

    with alone(ledger.store.database, wait=True) as seat:

        def others_write(_: int) -> None:
            step = None if is_amid_a_transaction(seat) else next(coming, None)
            if step is not None:
                carry_out(ledger, project, step, caller)

        rebuilt = []
        for stream in streams_of(project):
            coming = iter(meanwhile)
            rebuilt.append(rebuild_stream(seat, stream, others_write))

    assert [(each.faults, each.left) for each in rebuilt] == [((), "")] * len(rebuilt)
    assert differences(ledger, project) == {}


def is_amid_a_transaction(seat: Seat) -> bool:
    """Whether it is the rebuild's own last step, for which every other writer waits."""
    driver = seat.cursor.connection
    return bool(driver.pgconn.transaction_status if seat.database.is_postgresql else driver.in_transaction)


def streams_of(project: str) -> list[str]:
    return [project_stream(project), *(environment_stream(project, name) for name in ENVIRONMENTS)]


def differences(ledger: Ledger, project: str) -> dict[str, list[Difference]]:
    """What a verification of the project finds; it looks at each of its streams."""
    found = dict(verify(OneProject(ledger.store, project)))
    assert sorted(found) == sorted(streams_of(project))
    return {stream: differences for stream, differences in found.items() if differences}


def take_off(ledger: Ledger, project: str) -> None:
    """From now on no row of the project counts as live; nor are there any, so that a look at one would show."""
    for stream in streams_of(project):
        for projection in relevant(stream):
            gone = delete(projection.table).where(projection.table.c.stream == bindparam("of_stream"))
            ledger.store.write(Statement(gone), {"of_stream": stream})
        ledger.store.write(_TAKE_OFF, {"of_stream": stream})


def put_on_again(ledger: Ledger, project: str) -> None:
    for stream in streams_of(project):
        mend(ledger.store, stream)


def answers(ledger: Ledger, project: str) -> dict[str, Any]:
    """Every question about a project, with its answer or refusal."""
    asked: dict[str, Any] = {
        "project": said(ledger.project, project),
        "projects": ledger.projects([project]),
        "environments": ledger.environments(project),
        "candidates": [ledger.candidates(project, page=page, per_page=2) for page in (1, 2, 3)],
        "exposure": [ledger.exposure(project, commit_of(version), now=LATER) for version in (*VERSIONS, UNKNOWN)],
        "candidate": [said(ledger.candidate, project, version) for version in (*VERSIONS, UNKNOWN)],
    }
    return asked | {name: of_environment(ledger, project, name) for name in ENVIRONMENTS}


def of_environment(ledger: Ledger, project: str, name: str) -> dict[str, Any]:
    pages = [ledger.deployments(project, name, page=page, per_page=4) for page in range(1, 5)]
    filters = [(status, version) for status in (None, *STATUSES) for version in (None, VERSIONS[1])]
    running = [ledger.running(project, name, page=page, per_page=3) for page in (1, 2, 3)]
    running += [ledger.running(project, name, per_page=3, begins=moment) for moment in MOMENTS]
    running += [ledger.running(project, name, per_page=3, ends=moment) for moment in MOMENTS]
    asked = ({}, {"strategy": "previous"}, {"strategy": "walk_back"}, *({"to": version} for version in VERSIONS))
    return {
        "itself": ledger.environment(project, name),
        "pages": pages,
        "running": running,
        "one by one": [ledger.deployment(project, name, one["id"]) for one in pages[0].items],
        "filtered": [
            ledger.deployments(project, name, per_page=3, status=status, version=version) for status, version in filters
        ],
        "previews": [said(ledger.rollback_preview, project, name, **given_) for given_ in asked],
    }


def alike(answer: Any) -> Any:
    """An answer without what is the project's own: ids, moments, names."""
    if isinstance(answer, Page):
        return alike(asdict(answer))
    if isinstance(answer, dict):
        return {key: (value is None) if key in OWN else alike(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [alike(one) for one in answer]
    return "an id" if isinstance(answer, str) and AN_ID.fullmatch(answer) else answer
