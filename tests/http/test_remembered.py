"""What a process remembers spares it exchanges with the database, and never decides anything by itself.

Two applications over one database are two server processes: what one does is not in the other's memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from release_ledger.ledger.remembered import DEPLOYMENTS, LONG
from release_ledger.projection import environment_stream, verify
from release_ledger.projection.mend import mend
from release_ledger.store import FIRST_DIGEST, Store, digest
from release_ledger.store.database import Database
from release_ledger.store.statement import Cursor
from release_ledger.store.store import events_after

from .client import BOTH_DATABASES, OPERATOR, Client, EnvironmentClient, Service, fine, refused

pytestmark = BOTH_DATABASES
ROUNDS = 8


@pytest.fixture
def other_service(upgraded_url: str) -> Iterator[Service]:
    """Another server process over the same database."""
    service = Service(upgraded_url)
    yield service
    service.close()


@pytest.fixture
def elsewhere(other_service: Service, production: EnvironmentClient) -> EnvironmentClient:
    """The same environment, and the same token, through the other process."""
    client = Client(other_service.app.test_client(), production.client.token)
    return EnvironmentClient(client, production.project_path, production.name, production.known_versions)


class Counted:
    """The statements that reach the database, but for those around a transaction."""

    def __init__(self, cursor: Cursor, seen: list[str]) -> None:
        self.cursor, self.seen = cursor, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def execute(self, sql: str, *params: Any) -> Any:
        if sql not in ("BEGIN IMMEDIATE", "COMMIT"):
            self.seen.append(sql)
        return self.cursor.execute(sql, *params)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    cursor = Database.cursor

    @contextmanager
    def counted(self: Database) -> Iterator[Any]:
        with cursor(self) as found:
            yield Counted(found, seen)

    monkeypatch.setattr(Database, "cursor", counted)
    return seen


def looks(statements: list[str]) -> list[str]:
    """The statements that read anything but how a stream stands."""
    return [sql for sql in statements if sql.startswith("SELECT") and "LEFT OUTER JOIN" in sql]


def test_a_command_of_the_only_writer_does_not_look(production: EnvironmentClient, statements: list[str]) -> None:
    """From the second on: neither for the token nor for the environment."""
    production.cut("B-rc1")
    production.ran("A-rc1")
    statements.clear()

    made = production.deploy("B-rc1")
    begun = production.report("B-rc1", "in_progress")
    done = production.report("B-rc1", "success", id=made["id"])

    assert looks(statements) == []
    assert not [sql for sql in statements if sql.startswith("SELECT") and "running_periods" in sql]
    assert (begun["status"], done["status"]) == ("in_progress", "success")
    assert production.shown()["running"]["release_candidate_version"] == "B-rc1"


def test_what_a_report_folds_is_read_with_what_it_looks_at(
    production: EnvironmentClient, elsewhere: EnvironmentClient, statements: list[str]
) -> None:
    """Also where nothing is remembered, no row of a read model is read by itself."""
    production.ran("A-rc1")
    production.deploy("A-rc1")
    statements.clear()

    elsewhere.report("A-rc1", "success")

    assert len(looks(statements)) == 2  # for the token, and for the environment
    assert not [
        sql for sql in statements if sql.startswith("SELECT") and "running_periods" in sql and "head" not in sql
    ]


@pytest.mark.parametrize(
    "path", ["environments/production/deployments", "environments/production/running", f"commits/{'a' * 40}/exposure"]
)
def test_a_question_does_not_look_for_its_token(
    production: EnvironmentClient, statements: list[str], path: str
) -> None:
    """A list is one statement."""
    production.ran("A-rc1")
    statements.clear()

    fine(production.client.get(f"{production.project_path}/{path}"))

    assert len(statements) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "bad request", "nothing there", "metrics"])
def test_a_token_revoked_elsewhere_opens_nothing_from_then_on(
    service: Service, other_service: Service, production: EnvironmentClient, method: str
) -> None:
    """Whatever the request is, whatever it is refused for otherwise, and nothing of it is recorded."""
    deploying = EnvironmentClient(service.client("deploy", name="ci"), production.project_path, production.name)
    deploying.known_versions.add("A-rc1")
    production.cut("A-rc1")
    for _ in range(3):  # so that the next would be decided from memory
        deploying.deploy("A-rc1")
    other_service.ledger.revoke_token("ci", by=OPERATOR)
    events = service.event_count()

    ci, body = deploying.client, {"release_candidate_version": "A-rc1"}
    answer = {
        "GET": lambda: ci.get(deploying.deployments_path),
        "POST": lambda: ci.post(deploying.deployments_path, body),
        "PATCH": lambda: ci.patch(deploying.deployments_path, body | {"status": "success"}),
        "bad request": lambda: ci.post(deploying.deployments_path, {}),
        "nothing there": lambda: ci.get(f"{production.project_path}/environments/nowhere/deployments"),
        "metrics": lambda: ci.get("/metrics"),
    }[method]()

    refused(answer, 401, "unauthorized")
    assert service.event_count() == events


def test_a_revoked_token_where_others_went_on(
    service: Service, other_service: Service, production: EnvironmentClient
) -> None:
    """What is remembered of the environment is newer than what is remembered of the token."""
    ci = service.client("deploy", name="ci")
    production.ran("A-rc1")
    fine(ci.get(production.deployments_path))
    other_service.ledger.revoke_token("ci", by=OPERATOR)
    for _ in range(4):
        production.deploy("A-rc1")

    refused(ci.post(production.deployments_path, {"release_candidate_version": "A-rc1"}), 401, "unauthorized")


def test_a_token_made_elsewhere_changes_nothing_for_the_others(
    other_service: Service, production: EnvironmentClient
) -> None:
    """The tokens have moved: each is looked up again, and opens as before."""
    production.ran("A-rc1")
    other_service.ledger.create_token("another", by=OPERATOR)

    assert production.deploy("A-rc1")["status"] == "pending"
    assert production.shown()["latest"]["status"] == "pending"


def test_a_freeze_by_another_process_is_seen(production: EnvironmentClient, elsewhere: EnvironmentClient) -> None:
    """What was remembered had no freeze: the append is refused, the command looks, and is refused."""
    production.ran("A-rc1")
    fine(elsewhere.client.put(f"{elsewhere.path}/freeze", {"reason": "stocktaking"}))

    refused(
        production.client.post(production.deployments_path, {"release_candidate_version": "A-rc1"}),
        400,
        "environment_frozen",
    )
    fine(elsewhere.client.delete(f"{elsewhere.path}/freeze"))
    assert production.deploy("A-rc1")["status"] == "pending"


def test_a_deployment_by_another_process_is_seen(production: EnvironmentClient, elsewhere: EnvironmentClient) -> None:
    """Reports and deployments by turns: each process goes on from what the other recorded."""
    production.cut("A-rc1")
    for number in range(2 * ROUNDS):
        here, there = (production, elsewhere) if number % 3 else (elsewhere, production)
        made = here.deploy("A-rc1")
        assert there.report("A-rc1", "success")["id"] == made["id"]

    found = production.deployments("?per_page=100")
    assert len(found) == 2 * ROUNDS
    assert {one["status"] for one in found} == {"success"}
    assert production.shown()["version"] == 1 + 4 * ROUNDS


def test_a_stream_that_others_write_to_is_looked_at(
    production: EnvironmentClient, elsewhere: EnvironmentClient, statements: list[str]
) -> None:
    """By turns: each command looks once, and none appends in vain. The only writer soon does not look any more."""
    production.cut("A-rc1")
    for _ in range(2):
        production.deploy("A-rc1")
        elsewhere.deploy("A-rc1")
    statements.clear()

    for _ in range(ROUNDS):
        production.deploy("A-rc1")
        elsewhere.deploy("A-rc1")
    assert len(looks(statements)) == 2 * ROUNDS
    assert len([sql for sql in statements if "streams" in sql and sql.startswith(("UPDATE", "WITH"))]) == 2 * ROUNDS
    statements.clear()
    for _ in range(ROUNDS):
        production.deploy("A-rc1")
    assert len(looks(statements)) == 2


def test_a_candidate_that_another_process_cut(
    production: EnvironmentClient, elsewhere: EnvironmentClient, statements: list[str]
) -> None:
    """The project has moved since: what is known of its candidates may not be so any more, and is looked up again."""
    production.ran("A-rc1")
    elsewhere.cut("B-rc1")
    statements.clear()

    assert production.deploy("A-rc1")["status"] == "pending"
    assert len(looks(statements)) == 1
    assert production.deploy("B-rc1")["from_release_candidate_version"] == "A-rc1"


def test_rows_that_were_made_anew_meanwhile(service: Service, production: EnvironmentClient) -> None:
    """An environment mended by somebody else has rows of another generation: ours would be written to the old."""
    production.ran("A-rc1")
    assert mend(service.ledger.store, environment_stream("web", "production"))

    production.deploy("A-rc1")

    assert [one["status"] for one in production.deployments()] == ["pending", "success"]


def test_a_retry_is_recognised_though_the_process_remembers(production: EnvironmentClient) -> None:
    """The memory does not know the keys: the append finds the key taken, and the answer of the first try is given."""
    production.ran("A-rc1")
    body, key = {"release_candidate_version": "A-rc1"}, {"Idempotency-Key": "once"}

    first = production.client.post(production.deployments_path, body, headers=key)
    again = production.client.post(production.deployments_path, body, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.get_json(), first.headers.get("Idempotent-Replayed")) == (again.get_json(), None)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(production.deployments()) == 2


def test_a_condition_on_a_version_that_is_remembered(
    production: EnvironmentClient, elsewhere: EnvironmentClient
) -> None:
    """The version that this process remembers is not the stream's any more."""
    production.ran("A-rc1")
    version = production.shown()["version"]
    elsewhere.deploy("A-rc1")

    answer = production.client.post(
        production.deployments_path,
        {"release_candidate_version": "A-rc1"},
        headers={"If-Match": f'"{version}"'},
    )

    refused(answer, 412, "precondition_failed")


def test_a_version_that_came_twice(
    service: Service, production: EnvironmentClient, elsewhere: EnvironmentClient
) -> None:
    """A database that lost what was recorded last (restored, or a standby that lagged) and went on without it."""
    production.ran("A-rc1", "B-rc1")
    stream = environment_stream("web", "production")
    before = {table: service.rows(f"select * from {table} where stream = :s", s=stream) for table in STATE}
    production.deploy("B-rc1")
    service.run("delete from events where stream = :s and version > :v", s=stream, v=before["streams"][0]["version"])
    for table, rows in before.items():
        service.run(f"delete from {table} where stream = :s", s=stream)
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            service.run(f"insert into {table} ({names}) values ({', '.join(f':{name}' for name in row)})", **row)
    elsewhere.deploy("A-rc1")

    production.report("B-rc1", "in_progress")

    assert is_unbroken(service.ledger.store, stream)
    assert [differences for _, differences in verify(service.ledger.store) if differences] == []
    assert production.deployments()[-3]["release_candidate_version"] == "A-rc1"


STATE = ("streams", "environments", "deployments")


def is_unbroken(store: Store, stream: str) -> bool:
    """Whether each event's digest is made of its predecessor's."""
    previous = FIRST_DIGEST
    for row in events_after(store, stream):
        place = {name: row[name] for name in ("version", "topic", "recorded_at")}
        previous = digest(previous, stream=stream, state=bytes(row["state"]), **place)
        if previous != bytes(row["digest"]):
            return False
    return True


def test_who_asked_for_a_deployment_that_another_canceled(
    other_service: Service, production: EnvironmentClient
) -> None:
    """The answer to a report names who asked for the deployment, not who pressed rollback meanwhile."""
    token = other_service.token("deploy", name="bob", email="bob@example.com")
    bob = EnvironmentClient(
        Client(other_service.app.test_client(), token), production.project_path, production.name, {"A-rc1", "B-rc1"}
    )
    production.ran("A-rc1")
    made = production.deploy("B-rc1") | {"actor": "dev@example.com"}
    assert bob.press(to="A-rc1").status_code == 201

    assert bob.report("B-rc1", "success", id=made["id"])["actor"] == "dev@example.com"


def test_what_is_remembered_is_bounded(service: Service, production: EnvironmentClient) -> None:
    """Of an environment a few unfinished deployments, none with a long message."""
    production.cut("A-rc1")
    for _ in range(2 * DEPLOYMENTS):
        production.deploy("A-rc1")
    production.report("A-rc1", "in_progress", error_message="x" * LONG)

    known = service.ledger.remembered._environments[environment_stream("web", "production")].deployments
    assert sorted(known) == list(range(DEPLOYMENTS + 1, 2 * DEPLOYMENTS))
