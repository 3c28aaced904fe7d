"""A database that cannot write: 503, nothing half written, no projection blamed, and all is well when it can again."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from release_ledger.errors import LedgerUnavailable
from release_ledger.projection import verify
from release_ledger.projection.upgrade import upgrade
from release_ledger.store import Store, open_store, transaction
from tests.support.histories import PRODUCTION, append, append_of, configured, faults, requested, run, stored, versions
from tests.support.postgres import Databases, PostgresServer

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


@pytest.fixture(autouse=True)
def _wait_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("release_ledger.store.database.BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("release_ledger.store.store.IN_DOUBT_S", 0.3)
    monkeypatch.setattr("release_ledger.store.store.CONNECT_S", 0.1)


def refused_then_taken(store: Store, cannot: Callable[[], Any], can_again: Callable[[], Any]) -> None:
    """The promise of this module, for one way of being unable to write."""
    append(store, configured())
    made = append_of(store, requested(1, reason="x" * 100_000))
    before = stored(store)

    cannot()
    with pytest.raises(LedgerUnavailable):
        store.append(made)
    can_again()

    assert stored(store) == before
    assert faults(store) == []
    store.append(made)
    assert versions(store) == [1, 2]
    assert list(verify(store)) == [(PRODUCTION, [])]


@on_sqlite
def test_a_locked_file(store: Store, tmp_path: Path) -> None:
    """Somebody holds SQLite's one write lock for longer than an answer may take."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        refused_then_taken(store, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK"))


@on_sqlite
def test_another_thread_that_writes_for_too_long(store: Store) -> None:
    """Threads of one process wait for their turn, and not for ever."""
    writing = store.database.transaction(write=True)

    refused_then_taken(store, writing.__enter__, lambda: writing.__exit__(None, None, None))


@on_sqlite
def test_a_read_only_file(store: Store) -> None:
    """A disk that the system mounted read-only after an error."""

    def query_only(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    def cannot() -> None:
        store.database.forget_connections()
        event.listen(store.database.engine, "connect", query_only)

    refused_then_taken(store, cannot, lambda: event.remove(store.database.engine, "connect", query_only))


@on_sqlite
def test_a_full_disk(store: Store) -> None:
    """The page that does not fit any more takes the whole append with it."""
    [pages] = run(store, "PRAGMA page_count")

    def no_more_pages(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages['page_count']}")

    def cannot() -> None:
        store.database.forget_connections()
        event.listen(store.database.engine, "connect", no_more_pages)

    refused_then_taken(store, cannot, lambda: event.remove(store.database.engine, "connect", no_more_pages))


@on_sqlite
def test_a_file_that_is_gone(store: Store, tmp_path: Path) -> None:
    """A volume that is not mounted at the moment."""
    elsewhere = tmp_path.with_suffix(".unmounted")

    def cannot() -> None:
        store.database.forget_connections()
        shutil.move(tmp_path, elsewhere)

    refused_then_taken(store, cannot, lambda: shutil.move(elsewhere, tmp_path))


@on_sqlite
def test_a_connection_made_after_trouble_is_as_safe_as_the_first(store: Store) -> None:
    """What was acknowledged survives a power cut, on every connection."""
    store.database.forget_connections()

    assert run(store, "PRAGMA synchronous") == [{"synchronous": 2}]
    assert run(store, "PRAGMA journal_mode") == [{"journal_mode": "wal"}]


@on_postgresql
def test_a_row_locked_for_too_long(upgraded_url: str, other_store: Store) -> None:
    """Somebody holds the head of this stream, in a transaction that does not end."""
    with (
        closing(open_store(f"{upgraded_url}?options=-c%20lock_timeout%3D100")) as store,
        other_store.database.cursor() as other,
    ):
        refused_then_taken(
            store,
            lambda: [other.execute(sql) for sql in ("BEGIN", "SELECT * FROM streams FOR UPDATE")],
            lambda: other.execute("ROLLBACK"),
        )


@on_postgresql
def test_a_database_that_became_read_only(store: Store, upgraded_url: str) -> None:
    """A failover left it a standby: connections made in that time are not kept for later."""
    name = upgraded_url.rpartition("/")[2]

    def set_read_only(value: str) -> None:
        with psycopg.connect(upgraded_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode())
        if value == "on":
            store.database.forget_connections()

    refused_then_taken(store, lambda: set_read_only("on"), lambda: set_read_only("off"))


@on_postgresql
@pytest.mark.parametrize(
    "sqlstate",
    [
        "08006",  # connection failure
        "25006",  # read-only transaction
        "53100",  # disk full
        "53200",  # out of memory
        "55P03",  # lock not available
        "57014",  # canceled by statement_timeout
        "57P03",  # starting up
        "58030",  # I/O error
        "40001",  # could not serialize, and again, and again
    ],
)
def test_an_error_that_is_nobodys_fault(store: Store, sqlstate: str) -> None:
    """Met while a read model's row was written: still the read model is not to blame."""
    raising = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END"
    run(store, f"CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$")

    refused_then_taken(
        store,
        lambda: run(store, "CREATE TRIGGER no BEFORE INSERT ON deployments EXECUTE FUNCTION raises()"),
        lambda: run(store, "DROP TRIGGER no ON deployments"),
    )


@on_postgresql
def test_an_error_that_is_nobodys_fault_beside_one_that_is_somebodys(store: Store) -> None:
    """Tried carefully because of a read model that is broken, the next one meets a full disk: it is not set aside."""
    append(store, configured())
    raising = "BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END"
    run(
        store,
        "ALTER TABLE deployments ADD CONSTRAINT no CHECK (status <> 'pending')",
        f"CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$",
        "CREATE TRIGGER no BEFORE INSERT ON environments FOR EACH STATEMENT EXECUTE FUNCTION raises()",
    )
    made, before = append_of(store, requested(1)), stored(store)

    with pytest.raises(psycopg.errors.DiskFull):
        transaction.write(store.database, [made], careful=True)

    assert stored(store) == before


@on_postgresql
@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_deadlock_is_tried_again(store: Store, sqlstate: str) -> None:
    """The database gave up this transaction in favour of another: the same append again goes through."""
    append(store, configured())
    raising = (
        f"BEGIN IF nextval('tries') <= 2 THEN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END IF; RETURN NEW; END"
    )
    run(
        store,
        "CREATE SEQUENCE tries",
        f"CREATE FUNCTION raises() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$",
        "CREATE TRIGGER once BEFORE INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION raises()",
    )

    append(store, requested(1))

    assert versions(store) == [1, 2]
    assert run(store, "SELECT last_value FROM tries") == [{"last_value": 3}]
    assert list(verify(store)) == [(PRODUCTION, [])]


@pytest.mark.parametrize("ending", [PostgresServer.stop, PostgresServer.kill])
def test_a_server_that_is_gone(ending: Callable[[PostgresServer], None]) -> None:
    """Stopped in order or killed: refused in the meantime, and taken without a restart of ours."""
    with PostgresServer() as server:
        url = Databases.create_database(server)
        upgrade(url)
        with closing(open_store(url)) as store:
            refused_then_taken(store, lambda: ending(server), server.start)
