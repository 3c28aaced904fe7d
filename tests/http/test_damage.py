"""Read models damaged behind the ledger's back, on both databases: what CI reports is recorded all the same.

A success is exactly as many events as the stream's version moved; wherever the damage shows, answers stay right.
"""

from contextlib import closing
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from release_ledger.projection import Rows, installed

from .client import BOTH_DATABASES, OPERATOR, REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

pytestmark = BOTH_DATABASES

TABLES: Final = (
    "projects",
    "release_candidates",
    "environments",
    "deployments",
    "running_periods",
    "known_versions",
    "tokens",
)


class Witness:
    """Sends commands, and checks after each that the ledger holds what it said, and nothing else."""

    def __init__(self, service: Service, production: EnvironmentClient) -> None:
        self.service, self.production = service, production
        self.versions = {row["stream"]: row["version"] for row in self._heads()}

    def sends(self, method: str, path: str, body: dict[str, Any]) -> TestResponse:
        """One command; its events are those by which the answer's ETag moved, none if it was refused."""
        before, known = self.service.event_count(), dict(self.versions)
        answer = self.production.client.send(method, path, body)
        self.versions = {row["stream"]: row["version"] for row in self._heads()}
        moved = sum(version - known.get(stream, 0) for stream, version in self.versions.items())
        assert self.service.event_count() - before == moved
        if answer.status_code >= 300:
            assert moved == 0, f"recorded, and answered {answer.status} {answer.text}"
        else:
            assert int(answer.headers["ETag"].strip('"')) in self.versions.values()
        return answer

    def lives_on(self) -> list[int]:
        """The day after the damage: every command once. The statuses that were answered."""
        here, project = self.production.path, self.production.project_path
        report = {"release_candidate_version": "D-rc1", "status": "failure"}
        commands: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", f"{project}/releases/D-rc1", {"repo": REPO, "commit": commit_of("D-rc1")}),
            ("POST", f"{here}/deployments", {"release_candidate_version": "D-rc1"}),
            ("PATCH", f"{here}/deployments", report),
            ("PUT", f"{here}/freeze", {"reason": "damage"}),
            ("POST", f"{here}/rollback", {"force": True}),
            ("PATCH", f"{here}/deployments", {"release_candidate_version": "C-rc1", "status": "success"}),
            ("PUT", here, {"tier": "production"}),
            ("PUT", project, {"repo": "acme/moved"}),
        ]
        return [self.sends(*command).status_code for command in commands]

    def _heads(self) -> list[dict[str, Any]]:
        return self.service.rows("select stream, version from streams where stream <> 'access'")


LIVED_ON: Final = [201, 201, 200, 200, 201, 200, 200, 200]


def is_as_if_nothing_had_happened(production: EnvironmentClient, *, to: str = "A-rc1") -> None:
    """Every question is answered as it would be without the damage."""
    shown, listed = production.shown(), production.deployments()
    assert [(each["number"], each["release_candidate_version"], each["status"]) for each in listed] == [
        (5, "C-rc1", "success"),
        (4, "D-rc1", "failure"),
        (3, "C-rc1", "success"),
        (2, "B-rc1", "success"),
        (1, "A-rc1", "success"),
    ]
    assert (shown["latest"], shown["running"]) == (listed[0], listed[0])
    assert (shown["tier"], shown["frozen"], shown["freeze"]["reason"]) == ("production", True, "damage")
    assert (production.preview()["target"], production.preview(f"?to={to}")["target"]) == ("B-rc1", to)
    candidates = fine(production.client.get(f"{production.project_path}/releases"))
    assert [each["release_candidate_version"] for each in candidates] == ["D-rc1", "C-rc1", "B-rc1", "A-rc1"]
    assert [each["repo"] for each in fine(production.client.get("/api/releases"))] == ["acme/moved"]


@pytest.fixture
def witness(service: Service, production: EnvironmentClient) -> Witness:
    """Of an environment in which A, B and C were deployed with success."""
    production.ran("A-rc1", "B-rc1", "C-rc1")
    return Witness(service, production)


def test_without_damage(witness: Witness) -> None:
    """The day that the other tests repeat, on read models that are whole."""
    assert witness.lives_on() == LIVED_ON

    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() == set()


@pytest.mark.parametrize("table", TABLES)
def test_a_dropped_table(witness: Witness, table: str) -> None:
    """Everything is recorded and answered right from the events; only this projection is set aside."""
    witness.service.run(f"drop table {table}")

    assert witness.lives_on() == LIVED_ON

    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() == ({table} if table != "tokens" else set())


@pytest.mark.parametrize("table", ["projects", "environments"])
def test_the_one_row_of_a_stream_deleted(witness: Witness, table: str) -> None:
    """A stream that has lost the row that it must have is folded: every answer is right, nothing is set aside."""
    witness.service.run(f"delete from {table}")

    assert witness.lives_on() == LIVED_ON

    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() == set()


@pytest.mark.parametrize("which", ["number = 2", "number = 3", "1 = 1"])
def test_deployments_deleted(witness: Witness, which: str) -> None:
    """A gap among deployments shows: the list, the environment and the rollback are right all the same."""
    production = witness.production
    before = production.deployments(), production.shown(), production.preview()
    witness.service.run(f"delete from deployments where {which}")

    after = production.deployments(), production.shown(), production.preview()

    assert after == before
    assert witness.lives_on() == LIVED_ON
    is_as_if_nothing_had_happened(production)
    assert witness.service.faults() <= {"deployments"}


@pytest.mark.parametrize("which", ["number = 1", "number = 3", "1 = 1"])
def test_candidates_deleted(witness: Witness, which: str) -> None:
    """A candidate whose row is gone is neither cut again nor unknown: everything goes on as without the damage."""
    path = f"{witness.production.project_path}/releases"
    before = fine(witness.production.client.get(path))
    witness.service.run(f"delete from release_candidates where {which}")

    assert fine(witness.production.client.get(path)) == before
    assert witness.lives_on() == LIVED_ON
    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() <= {"release_candidates"}


def test_tokens_deleted(witness: Witness, upgraded_url: str) -> None:
    """A token opens what it did, also to a process that never saw it, and one that was revoked stays closed."""
    path, token = witness.production.path, witness.production.client.token
    revoked = witness.service.ledger.create_token("old", role="read", by=OPERATOR)
    witness.service.ledger.revoke_token("old", by=OPERATOR)
    witness.service.run("delete from tokens")

    with closing(Service(upgraded_url)) as other:
        fine(Client(other.app.test_client(), token).get(path))
        refused(Client(other.app.test_client(), revoked).get(path), 401, "unauthorized")
        refused(Client(other.app.test_client(), "rl_guessed").get(path), 401, "unauthorized")
    assert witness.lives_on() == LIVED_ON


@pytest.mark.parametrize("table", ["deployments", "release_candidates"])
@pytest.mark.parametrize("ahead", [1, 2])
def test_a_row_lies_where_the_next_one_belongs(witness: Witness, table: str, ahead: int) -> None:
    """A stranger's row at a number still to come does not stop that number, and is never shown or rolled back to."""
    columns = [column.name for column in installed()[table].table.columns]
    strange = {"number": f"number + {ahead}", "id": "'strange'", "release_candidate_version": "'strange-rc1'"}
    values = ", ".join(strange.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    witness.service.run(f"insert into {table} ({names}) select {values} from {table} where number = 3")

    assert witness.lives_on() == LIVED_ON

    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() == set()


@pytest.mark.parametrize("table", ["deployments", "environments"])
def test_a_column_is_missing(witness: Witness, table: str) -> None:
    """A table of another shape is as good as none."""
    column = "person_id" if table == "deployments" else "state"
    witness.service.run(f"alter table {table} drop column {column}")

    assert witness.lives_on() == LIVED_ON

    is_as_if_nothing_had_happened(witness.production)
    assert witness.service.faults() == {table}


def test_reading_needs_no_events(witness: Witness) -> None:
    """While the rows are whole, no question is answered by folding: it would find nothing here.

    One deployment's answer shows its events, which are read from the history.
    """
    production = witness.production
    paths = ["", "/deployments", "/deployments?status=success", "/rollback"]
    before = [fine(production.client.get(f"{production.path}{path}")) for path in paths]
    witness.service.run("delete from events")

    after = [fine(production.client.get(f"{production.path}{path}")) for path in paths]

    assert after == before


@pytest.mark.parametrize("name", ["deployments", "environments", "release_candidates", "projects"])
@pytest.mark.parametrize("times", [1, 1000])
def test_a_fold_that_raises(witness: Witness, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """The write that it failed on is recorded and answered 2xx; its projection is set aside, and no other."""
    left = [times]

    def fold(event: object, rows: Rows) -> None:
        if left[0]:
            left[0] -= 1
            raise ValueError("a bug in a projection")
        whole(event, rows)

    whole: Any = installed()[name].fold
    production = witness.production
    path = {"deployments": "deployments", "environments": "deployments"}.get(name)
    monkeypatch.setattr(installed()[name], "fold", fold)

    if path is not None:
        answer = witness.sends("POST", f"{production.path}/{path}", {"release_candidate_version": "A-rc1"})
    elif name == "projects":
        answer = witness.sends("PUT", production.project_path, {"repo": "acme/moved"})
    else:
        body = {"repo": REPO, "commit": commit_of("D-rc1")}
        answer = witness.sends("POST", f"{production.project_path}/releases/D-rc1", body)

    assert answer.status_code in (200, 201), answer.text
    assert witness.service.faults() == {name}


def fails(*_: object) -> None:
    """A fold with a bug."""
    raise ValueError("a bug in a projection")


def test_while_the_fold_of_deployments_fails_commands_that_need_no_row_go_on(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded is answered 2xx; what cannot be decided without the rows is 503 and records nothing."""

    here = witness.production.path
    version = {"release_candidate_version": "A-rc1"}
    monkeypatch.setattr(installed()["deployments"], "fold", fails)

    deployed = [witness.sends("POST", f"{here}/deployments", version).status_code for _ in range(3)]
    frozen = witness.sends("PUT", f"{here}/freeze", {"reason": "a bug"})
    thawed = witness.sends("DELETE", f"{here}/freeze", {})
    settings = witness.sends("PUT", here, {"tier": "staging"})
    report = witness.sends("PATCH", f"{here}/deployments", version | {"status": "success"})
    rollback = witness.sends("POST", f"{here}/rollback", {})

    assert deployed == [201] * 3
    assert [answer.status_code for answer in (frozen, thawed, settings)] == [200] * 3
    assert (frozen.get_json()["frozen"], thawed.get_json()["frozen"]) == (True, False)
    assert settings.get_json()["tier"] == "staging"
    assert [answer.status_code for answer in (report, rollback)] == [503, 503]


def test_a_keyed_retry_is_answered_while_nothing_new_can_be_decided(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the first try does not need the rows that it was made from."""
    path, body = f"{witness.production.path}/deployments", {"release_candidate_version": "A-rc1", "status": "failure"}
    headers = {"Idempotency-Key": "key"}
    first = witness.production.client.patch(path, body, headers=headers)

    monkeypatch.setattr(installed()["deployments"], "fold", fails)
    fine(witness.production.client.post(path, {"release_candidate_version": "A-rc1"}))
    again = witness.production.client.patch(path, body, headers=headers)
    other = witness.production.client.patch(path, body)

    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (200, first.data, "true")
    assert other.status_code == 503
