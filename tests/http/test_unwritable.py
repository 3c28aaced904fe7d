"""The database full, locked or read-only: 503 with Retry-After, nothing half written, and all is well afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from werkzeug.test import TestResponse

from release_ledger.store.database import Database

from .client import BOTH_DATABASES, REPO, EnvironmentClient, Service, commit_of, fine, refused

Command = Callable[[EnvironmentClient], TestResponse]
COMMANDS: Final[dict[str, Command]] = {
    "project": lambda p: p.client.put("/api/releases/other", {"repo": REPO}),
    "settings": lambda p: p.client.put(p.path, {"tier": "production"}),
    "freeze": lambda p: p.client.put(f"{p.path}/freeze", {"reason": "holidays"}),
    "cut": lambda p: p.client.post(f"{p.project_path}/releases/C-rc1", {"repo": REPO, "commit": commit_of("C-rc1")}),
    "deploy": lambda p: p.client.post(p.deployments_path, {"release_candidate_version": "A-rc1", "force": True}),
    "report": lambda p: p.client.patch(
        p.deployments_path, {"release_candidate_version": "A-rc1", "status": "failure", "error_message": "x" * 10_000}
    ),
    "rollback": lambda p: p.client.post(f"{p.path}/rollback", {"force": True}),
}


@pytest.fixture
def lived_in(production: EnvironmentClient) -> EnvironmentClient:
    production.ran("A-rc1", "B-rc1")
    return production


@contextmanager
def on_every_connection(database: Database, *pragmas: str) -> Iterator[None]:
    """The application's own connections have these settings until the end."""

    def configure(connection: Any, *_: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    database.forget_connections()
    event.listen(database.engine, "connect", configure)
    yield
    event.remove(database.engine, "connect", configure)
    database.forget_connections()


def contents(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Everything that the database holds, but the tokens' stream."""
    read_models = ("projects", "release_candidates", "environments", "deployments", "running_periods")
    tables = ("events", "streams", *read_models, "projection_faults")
    return {table: service.rows(f"select * from {table} order by 1, 2") for table in tables}


def is_unavailable(answer: TestResponse) -> None:
    refused(answer, 503, "ledger_unavailable", "The ledger cannot be written")
    assert int(answer.headers["Retry-After"]) >= 1


def works_again(production: EnvironmentClient) -> None:
    for command in COMMANDS.values():
        fine(command(production))


def test_a_full_disk(service: Service, lived_in: EnvironmentClient) -> None:
    """While nothing can be added, a command is 503 and leaves no trace, reading goes on, no projection is blamed."""
    pages = service.rows("PRAGMA page_count")[0]["page_count"]
    service.run("create table ballast (b blob)")
    answers = {}

    with on_every_connection(service.ledger.store.database, f"max_page_count={pages + 1}"):
        fill_up(service)
        for name, command in COMMANDS.items():
            known = contents(service)
            answers[name] = command(lived_in)
            # A small one may find room in a page that is half empty.
            assert answers[name].status_code in (200, 201) or contents(service) == known
        reading = lived_in.shown()

    is_unavailable(answers["report"])
    assert {each.status_code for each in answers.values()} <= {200, 201, 503}
    assert service.faults() == set()
    assert reading["name"] == "production"
    works_again(lived_in)


def test_a_disk_that_is_full_half_way(service: Service, lived_in: EnvironmentClient) -> None:
    """Room for the events and not for the rows: 503, nothing is kept, no projection is blamed; then it is taken."""
    pages = service.rows("PRAGMA page_count")[0]["page_count"]
    service.run("create table ballast (b blob)")
    refusals = 0

    with on_every_connection(service.ledger.store.database, f"max_page_count={pages + 40}"):
        fill_up(service)
        known, answer = contents(service), COMMANDS["report"](lived_in)
        while answer.status_code != 200:
            refusals += 1
            is_unavailable(answer)
            assert contents(service) == known
            service.run("delete from ballast where rowid = (select min(rowid) from ballast)")
            answer = COMMANDS["report"](lived_in)

    assert refusals > 3
    assert service.faults() == set()
    assert lived_in.deployments()[1]["error_message"] == "x" * 10_000


def fill_up(service: Service) -> None:
    """Use every page that is free, so that the next row finds none."""
    engine = service.ledger.store.database.engine
    for size in (4_000, 100, 1):
        with engine.connect() as connection, suppress(OperationalError):
            while True:
                connection.execute(text("insert into ballast values (zeroblob(:size))"), {"size": size})


def test_a_locked_file(service: Service, lived_in: EnvironmentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the write lock, commands are 503 after a bounded wait, and reading goes on."""
    known = contents(service)
    url = service.ledger.store.database.url

    monkeypatch.setattr("release_ledger.store.database.BUSY_TIMEOUT_S", 0.02)
    with create_engine(url, poolclass=NullPool).connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        answers = [command(lived_in) for command in COMMANDS.values()]
        reading = lived_in.shown()
        other.exec_driver_sql("ROLLBACK")

    for answer in answers:
        is_unavailable(answer)
    assert reading["name"] == "production"
    assert contents(service) == known
    works_again(lived_in)


def test_a_read_only_file(service: Service, lived_in: EnvironmentClient) -> None:
    """A database that takes no writes still answers questions, and retries of what is recorded; commands are 503."""
    first = deploy_with_key(lived_in)
    lived_in.report("A-rc1", "success")
    known = contents(service)

    with on_every_connection(service.ledger.store.database, "query_only=on"):
        answers = [command(lived_in) for command in COMMANDS.values()]
        again = deploy_with_key(lived_in)
        reading = lived_in.shown(), lived_in.preview()

    for answer in answers:
        is_unavailable(answer)
    assert (again.headers.get("Idempotent-Replayed"), again.get_json()) == ("true", first.get_json())
    assert reading[1]["target"] == "B-rc1"
    assert contents(service) == known
    works_again(lived_in)


def deploy_with_key(production: EnvironmentClient) -> TestResponse:
    body, key = {"release_candidate_version": "A-rc1"}, {"Idempotency-Key": "once"}
    return production.client.post(production.deployments_path, body, headers=key)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_read_only_server(service: Service, lived_in: EnvironmentClient) -> None:
    """A standby that was not promoted yet takes no writes: 503, until one does."""
    known, database = contents(service), service.ledger.store.database

    service.run(f"alter database {database.url.database} set default_transaction_read_only = on")
    database.forget_connections()
    answers = [command(lived_in) for command in COMMANDS.values()]
    reading = lived_in.shown()
    with create_engine(database.url, poolclass=NullPool).connect() as other:
        other.exec_driver_sql("set transaction read write")
        other.exec_driver_sql(f"alter database {database.url.database} reset default_transaction_read_only")
        other.commit()
    database.forget_connections()

    for answer in answers:
        is_unavailable(answer)
    assert reading["name"] == "production"
    assert contents(service) == known
    works_again(lived_in)


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_locked_table(service: Service, lived_in: EnvironmentClient) -> None:
    """While somebody holds the events' table, commands are 503 after a bounded wait."""
    known, database = contents(service), service.ledger.store.database
    service.run(f"alter database {database.url.database} set lock_timeout = '50ms'")

    with create_engine(database.url, poolclass=NullPool).begin() as other:
        other.exec_driver_sql("lock table events in exclusive mode")
        with short_of_patience(database):
            answers = [command(lived_in) for command in COMMANDS.values()]
            reading = lived_in.shown()

    for answer in answers:
        is_unavailable(answer)
    assert reading["name"] == "production"
    assert contents(service) == known
    works_again(lived_in)


@contextmanager
def short_of_patience(database: Database) -> Iterator[None]:
    """The application's own connections wait 50 ms for a lock, not 5 s."""

    def configure(connection: Any, *_: object) -> None:
        connection.execute("set lock_timeout = '50ms'")

    database.forget_connections()
    event.listen(database.engine, "connect", configure)
    yield
    event.remove(database.engine, "connect", configure)
    database.forget_connections()


@BOTH_DATABASES
def test_readiness_says_whether_it_can_be_asked(service: Service) -> None:
    """`/readyz` is 503 for a database without the tables, in the contract's shape; `/healthz` goes on."""
    stranger = service.stranger()
    assert stranger.get("/readyz").status_code == 200

    service.run("drop table alembic_version")

    is_unavailable(stranger.get("/readyz"))
    assert stranger.get("/healthz").status_code == 200
