"""What an error means decides what becomes of a report: each class of the architecture, by real errors."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, exc, text

from release_ledger.store import failures
from release_ledger.store.failures import Failure
from tests.support.postgres import Databases


@pytest.fixture
def on_postgresql(postgres: Databases) -> Iterator[Callable[[str], Exception]]:
    """Runs SQL and returns the error."""
    url = postgres.create_database()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:

        def error_of(sql: str) -> Exception:
            with pytest.raises(psycopg.Error) as raised:
                connection.execute(sql.encode())
            return raised.value

        yield error_of
    postgres.drop_database(url)


@pytest.mark.parametrize(
    ("sqlstate", "failure"),
    [
        ("40001", Failure.AGAIN),  # serialization failure
        ("40P01", Failure.AGAIN),  # deadlock
        ("08000", Failure.IN_DOUBT),  # connection exception
        ("08006", Failure.IN_DOUBT),  # connection failure
        ("57P01", Failure.IN_DOUBT),  # ended by an administrator, perhaps while it committed
        ("57P02", Failure.IN_DOUBT),  # crashed
        ("57P03", Failure.IN_DOUBT),  # starting up
        ("57P05", Failure.IN_DOUBT),  # idle for too long
        ("53100", Failure.UNAVAILABLE),  # disk full
        ("53200", Failure.UNAVAILABLE),  # out of memory
        ("53300", Failure.UNAVAILABLE),  # too many connections
        ("57014", Failure.UNAVAILABLE),  # canceled by statement_timeout
        ("58030", Failure.UNAVAILABLE),  # I/O error
        ("25006", Failure.UNAVAILABLE),  # read-only
        ("55P03", Failure.UNAVAILABLE),  # a lock was not to be had
        ("42P01", Failure.BROKEN),  # undefined table
        ("42703", Failure.BROKEN),  # undefined column
        ("42883", Failure.BROKEN),  # undefined operator: text <= bigint
        ("42804", Failure.BROKEN),  # datatype mismatch
        ("0A000", Failure.BROKEN),  # cached plan must not change result type
        ("22001", Failure.OTHER),  # value too long
        ("23502", Failure.OTHER),  # null
        ("23505", Failure.OTHER),  # a duplicate, of no table in particular
        ("23514", Failure.OTHER),  # a CHECK
        ("P0001", Failure.OTHER),  # raised by a trigger
    ],
)
def test_an_error_of_postgresql(on_postgresql: Callable[[str], Exception], sqlstate: str, failure: Failure) -> None:
    """Told by its SQLSTATE, whatever its text."""
    raising = f"RAISE EXCEPTION 'events_pkey' USING ERRCODE = '{sqlstate}'"

    error = on_postgresql(f"DO $$ BEGIN {raising}; END $$")

    assert failures.of(error) is failure


@pytest.mark.parametrize(
    ("constraint", "failure"),
    [
        ("events_pkey", Failure.CONFLICT),
        ("streams_pkey", Failure.CONFLICT),
        ("deployments_pkey", Failure.OTHER),
        ("past_events_pkey", Failure.OTHER),
    ],
)
def test_a_duplicate_on_postgresql(
    on_postgresql: Callable[[str], Exception], constraint: str, failure: Failure
) -> None:
    """The same SQLSTATE for a version that is taken and for a row of a read model: told apart by the constraint."""
    duplicates = f"CREATE TABLE t (n int CONSTRAINT {constraint} PRIMARY KEY); INSERT INTO t VALUES (1), (1)"

    assert failures.of(on_postgresql(duplicates)) is failure


def test_a_missing_table_and_a_missing_column(on_postgresql: Callable[[str], Exception], tmp_path: Path) -> None:
    """A read model that is not there: folded instead, and its projection set aside."""
    on_sqlite = sqlite_error(tmp_path, "SELECT * FROM nowhere"), sqlite_error(tmp_path, "SELECT nothing")

    assert failures.of(on_postgresql("SELECT * FROM nowhere")) is Failure.BROKEN
    assert failures.of(on_postgresql("SELECT nothing")) is Failure.BROKEN
    assert [failures.of(error) for error in on_sqlite] == [Failure.BROKEN, Failure.BROKEN]


def test_nobody_listens() -> None:
    """No SQLSTATE, because there was no server to give one."""
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect("postgresql://postgres@127.0.0.1:1/nowhere", connect_timeout=1)

    assert failures.of(raised.value) is Failure.IN_DOUBT


def test_a_value_that_the_driver_does_not_take(postgres: Databases) -> None:
    """Refused before anything was sent: the row is wrong, not the connection."""
    url = postgres.url("postgres").replace("+psycopg", "")

    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute("SELECT %s", [object()])

    assert failures.of(raised.value) is Failure.OTHER


def sqlite_error(folder: Path, *statements: str, uri: str = "") -> Exception:
    """The error that these statements end with, on a new file."""
    try:
        where = uri or f"file:{folder / 'a.db'}"
        with closing(sqlite3.connect(where, timeout=0, isolation_level=None, uri=True)) as connection:
            for statement in statements:
                connection.execute(statement)
    except sqlite3.Error as error:
        return error
    raise AssertionError("no error")


def test_a_locked_file(tmp_path: Path) -> None:
    """Somebody else writes."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert failures.of(sqlite_error(tmp_path, "BEGIN IMMEDIATE")) is Failure.UNAVAILABLE


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE t (x)", "PRAGMA max_page_count = 2", "INSERT INTO t VALUES (zeroblob(100000))"],
        ["PRAGMA query_only = ON", "CREATE TABLE t (x)"],
    ],
    ids=["full", "read-only"],
)
def test_a_file_that_cannot_be_written(tmp_path: Path, statements: list[str]) -> None:
    """The disk, not the row."""
    assert failures.of(sqlite_error(tmp_path, *statements)) is Failure.UNAVAILABLE


def test_a_file_that_cannot_be_opened_or_is_none_of_sqlites(tmp_path: Path) -> None:
    """A volume that is not there, or a file in its place."""
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 20)
    gone = sqlite_error(tmp_path, uri=f"file:{tmp_path}/gone/a.db")
    text_file = sqlite_error(tmp_path, "SELECT * FROM streams", uri=f"file:{tmp_path}/text.db")

    assert [failures.of(error) for error in (gone, text_file)] == [Failure.UNAVAILABLE, Failure.UNAVAILABLE]


@pytest.mark.parametrize(
    ("table", "failure"),
    [("events", Failure.CONFLICT), ("past_events", Failure.OTHER), ("deployments", Failure.OTHER)],
)
def test_a_duplicate_on_sqlite(tmp_path: Path, table: str, failure: Failure) -> None:
    """A version that is taken, or a row of a read model, whatever its table is called."""
    duplicates = (
        f"CREATE TABLE {table} (stream, version, UNIQUE (stream, version))",
        f"INSERT INTO {table} VALUES (1, 1), (1, 1)",
    )

    assert failures.of(sqlite_error(tmp_path, *duplicates)) is failure


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("events (stream, version, position UNIQUE)", "(1, 1, 1), (1, 2, 1)"),
        ("t (n NOT NULL)", "(NULL)"),
        ("t (n CHECK (n < 1))", "(1)"),
    ],
)
def test_a_row_that_sqlite_refuses(tmp_path: Path, table: str, row: str) -> None:
    """Something about the row."""
    name = table.partition(" ")[0]

    error = sqlite_error(tmp_path, f"CREATE TABLE {table}", f"INSERT INTO {name} VALUES {row}")

    assert failures.of(error) is Failure.OTHER


def test_an_error_in_sqlalchemys_clothes_is_the_error_inside(tmp_path: Path) -> None:
    """The queries go through SQLAlchemy, the appends do not: one error has one meaning."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as connection, pytest.raises(exc.OperationalError) as raised:
        connection.execute(text("SELECT * FROM nowhere"))
    engine.dispose()

    assert failures.of(raised.value) is Failure.BROKEN


def test_no_connection_was_free() -> None:
    """Every connection of the pool was in use for too long."""
    assert failures.of(exc.TimeoutError()) is Failure.UNAVAILABLE


def test_what_the_database_found_out_by_itself() -> None:
    """Nothing was sent, or it was the COMMIT that failed: neither can be told from the driver's error."""
    assert failures.of(failures.Unreachable()) is Failure.UNREACHABLE
    assert failures.of(failures.CommitInDoubt()) is Failure.IN_DOUBT


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), sqlite3.ProgrammingError("closed")])
def test_whatever_is_not_the_databases(error: Exception) -> None:
    """A mistake of ours is not hidden behind a 503 at once: first the append is tried carefully."""
    assert failures.of(error) is Failure.OTHER
