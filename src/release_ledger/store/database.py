"""Connections to one database, SQLite or PostgreSQL, kept between uses; each set to lose nothing and to wait bounded.

SQLite: WAL, `synchronous=FULL`. PostgreSQL: autocommit, so that a statement is one exchange and one transaction.
Both sides bound an exchange: the server (`statement_timeout`) where it works too long, we where nothing comes at all.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import create_engine, event, exc
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import NullPool, PoolProxiedConnection

from ..errors import ConfigurationError
from . import failures
from .failures import CommitInDoubt, Failure, Unreachable
from .patience import PatientConnection
from .statement import POSTGRESQL, SQLITE, Cursor

BUSY_TIMEOUT_S: Final = 5.0
ASK_AGAIN_S: Final = 0.0005
PLACE_WITHIN_S: Final = 5.0
_POSTGRESQL_ARGS: Final = {
    "autocommit": True,
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "release-ledger",
    "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
    " -c default_transaction_isolation=read\\ committed"
    # Ours are made for their indexes, and planning one anew costs several times its execution.
    " -c plan_cache_mode=force_generic_plan",
}


class Kept(NamedTuple):
    """A connection between two uses, its cursor, and how often connections had been forgotten when it was made."""

    connection: PoolProxiedConnection
    cursor: Any
    since: int


class Database:
    """Where the ledger is kept: `sqlite:///file` or `postgresql+psycopg://…`."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = _checked(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.dialect = POSTGRESQL if self.is_postgresql else SQLITE
        self.engine = _postgresql(self.url) if self.is_postgresql else _sqlite(self.url)
        self._places = threading.BoundedSemaphore(2 * pool_size)
        self._free: deque[Kept] = deque()
        self._since = 0
        self._turn = threading.Lock()
        self.beside: dict[type, Any] = {}  # what others keep for as long as it is open, one of a class; each is closed

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor outside of any transaction; its connection is kept for the next unless it was lost or left amid one.

        Raises SQLAlchemy's `TimeoutError` when all connections stay in use.
        """
        if not self._places.acquire(timeout=PLACE_WITHIN_S):
            raise exc.TimeoutError("all connections to the database are in use")
        try:
            kept = self._taken()
            try:
                yield kept.cursor
            except BaseException:
                kept.cursor.close()
                kept = kept._replace(cursor=self._new_cursor(kept.connection))
                raise
            finally:
                self._given_back(kept)
        finally:
            self._places.release()

    def _taken(self) -> Kept:
        with suppress(IndexError):
            while True:
                kept = self._free.pop()
                driver: Any = kept.connection.dbapi_connection
                if not isinstance(driver, PatientConnection) or not driver.was_ended:
                    return kept
                kept.connection.invalidate()
        since = self._since
        connection = self._connected()
        return Kept(connection, self._new_cursor(connection), since)

    def _connected(self) -> PoolProxiedConnection:
        try:
            return self.engine.raw_connection()
        except Exception as error:
            if failures.of(error) is Failure.IN_DOUBT:
                raise Unreachable(str(error)) from error
            raise

    def _new_cursor(self, connection: PoolProxiedConnection) -> Any:
        driver: Any = connection.dbapi_connection
        return psycopg.RawCursor(driver) if self.is_postgresql else driver.cursor()

    def _given_back(self, kept: Kept) -> None:
        driver: Any = kept.connection.dbapi_connection
        if self.is_postgresql:
            clean = not driver.closed and driver.pgconn.transaction_status == TransactionStatus.IDLE
        else:
            clean = not driver.in_transaction
        if clean and kept.since == self._since:
            self._free.append(kept)
        elif self.is_postgresql and driver.closed:
            kept.connection.invalidate()  # there is nothing to roll back, and no error to log
        else:
            kept.connection.close()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Cursor]:
        """A cursor inside one transaction: committed at the end, rolled back on any exception.

        A reading transaction sees one state of the database throughout.
        """
        read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.is_postgresql else "BEGIN"
        turn = self._sqlite_turn() if write and not self.is_postgresql else nullcontext()
        with turn, self.cursor() as cursor:
            if write and not self.is_postgresql:
                begin_writing(cursor)
            else:
                cursor.execute("BEGIN" if write else read)
            try:
                yield cursor
                self._commit(cursor)
            except BaseException:
                with suppress(Exception):
                    cursor.execute("ROLLBACK")
                raise

    def _commit(self, cursor: Cursor) -> None:
        try:
            cursor.execute("COMMIT")
        except sqlite3.Error as error:
            # SQLite answers an I/O error also when only the last step failed, with the commit in the log.
            if failures.of(error) is Failure.UNAVAILABLE:
                raise CommitInDoubt(str(error)) from error
            raise

    @contextmanager
    def _sqlite_turn(self) -> Iterator[None]:
        """SQLite has one writer, and those that wait for it poll: without turns, one of many threads can starve."""
        if not self._turn.acquire(timeout=BUSY_TIMEOUT_S):
            raise exc.TimeoutError("other writers of this process took too long")
        try:
            yield
        finally:
            self._turn.release()

    def forget_connections(self) -> None:
        """After the database was lost, or refused to write: no kept connection is trusted to be what it was."""
        self._since += 1
        with suppress(IndexError):
            while True:
                self._free.pop().connection.close()

    def close(self) -> None:
        for kept in self.beside.values():
            kept.close()
        self.forget_connections()
        self.engine.dispose()


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except exc.ArgumentError:
        raise ConfigurationError("RELEASE_LEDGER_DATABASE_URL is not a database URL") from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "RELEASE_LEDGER_DATABASE_URL must be sqlite:///<file> or postgresql+psycopg://<user>@<host>/<database>"
        )
    return url


def _postgresql(url: URL) -> Engine:
    asked = {name: value for name, value in _POSTGRESQL_ARGS.items() if name not in url.query}
    engine = create_engine(url, poolclass=NullPool, connect_args=asked)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _args: object, given: dict[str, Any]) -> PatientConnection:
        return PatientConnection.connect(**given)

    return engine


def _sqlite(url: URL) -> Engine:
    arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S, "isolation_level": None}
    arguments |= {"check_same_thread": False, "cached_statements": 256}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")

    return engine


def begin_writing(cursor: Cursor) -> None:
    """Wait to be the file's one writer. SQLite itself would ask ever more seldom, in the end every 100 ms."""
    give_up_at = time.monotonic() + BUSY_TIMEOUT_S
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
                time.sleep(random.uniform(0, 2 * ASK_AGAIN_S))  # noqa: S311 - jitter, not a secret
    finally:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL. SQLite does not wait for its lock here, so several first connections take turns."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
