"""Connections to one database, SQLite or PostgreSQL, from a pool; each configured to lose nothing and to wait bounded.

SQLite: WAL, `synchronous=FULL`. PostgreSQL: autocommit, so that a statement is one exchange and one transaction.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Final

from sqlalchemy import create_engine, event, exc
from sqlalchemy.engine import URL, Engine, make_url

from ..errors import ConfigurationError
from .statement import POSTGRESQL, SQLITE, Cursor

BUSY_TIMEOUT_S: Final = 5.0
_POSTGRESQL_ARGS: Final = {
    "autocommit": True,
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "release-ledger",
    "options": "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
    " -c default_transaction_isolation=read\\ committed",
}


class Database:
    """Where the ledger is kept: `sqlite:///file` or `postgresql+psycopg://…`."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = _checked(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.dialect = POSTGRESQL if self.is_postgresql else SQLITE
        self.engine = _postgresql(self.url, pool_size) if self.is_postgresql else _sqlite(self.url, pool_size)
        self._turn = threading.Lock()

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor outside of any transaction; its connection is given up when the database was lost."""
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            yield cursor  # type: ignore[misc]
        except Exception:
            if getattr(connection.dbapi_connection, "closed", False):
                connection.invalidate()
            raise
        finally:
            with suppress(exc.InvalidRequestError):
                connection.close()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Cursor]:
        """A cursor inside one transaction: committed at the end, rolled back on any exception.

        A reading transaction sees one state of the database throughout.
        """
        read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.is_postgresql else "BEGIN"
        turn = self._sqlite_turn() if write and not self.is_postgresql else nullcontext()
        with turn, self.cursor() as cursor:
            cursor.execute(("BEGIN" if self.is_postgresql else "BEGIN IMMEDIATE") if write else read)
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    cursor.execute("ROLLBACK")
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
        """After the database was lost, or refused to write: no pooled connection is trusted to be what it was."""
        self.engine.dispose()

    def close(self) -> None:
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


def _postgresql(url: URL, pool_size: int) -> Engine:
    asked = {name: value for name, value in _POSTGRESQL_ARGS.items() if name not in url.query}
    return create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_timeout=5, connect_args=asked)


def _sqlite(url: URL, pool_size: int) -> Engine:
    arguments: dict[str, Any] = {
        "timeout": BUSY_TIMEOUT_S,
        "isolation_level": None,
        "check_same_thread": False,
        "cached_statements": 256,
    }
    engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_timeout=5, connect_args=arguments)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")

    return engine


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
