"""One rebuild of a database at a time: a connection of its own that rebuilds, and a lock that ends with it.

PostgreSQL: an advisory lock of that very session, so that whoever loses the lock has lost its work, too. SQLite:
`flock` on a file beside the database (not on the database itself: closing it would drop SQLite's own locks).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from math import inf
from typing import Any, Final

import psycopg
from sqlalchemy import Table, text

from ..errors import LedgerUnavailable
from ..store import Params, Row, Statement, Store
from ..store.database import Database, begin_writing
from ..store.statement import Cursor

_KEY: Final = 0x72656C6D  # of the advisory lock; the next one to that of `upgrade`
ASK_AGAIN_S: Final = 0.05
PAUSE_S: Final = 0.003  # whoever waits to write into a SQLite file asks at least every millisecond
PAUSE_AFTER_S: Final = 0.02  # of having kept others from writing into it, in one transaction or in several
LOOKED_AT_S: Final = 0.2  # somebody may just be looking whether it is held
LONG_S: Final = 3.0  # others may be upgrading at this very moment, one after the other
_TRY: Final = {False: "SELECT pg_try_advisory_lock({})", True: "SELECT pg_try_advisory_lock_shared({})"}
_HELD: Final = Statement(
    text(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objsubid = 1"
        " AND objid = :key AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS held"
    )
)


class RebuildRunning(Exception):
    """Another process rebuilds this database."""


class Seat:
    """The connection of one process that rebuilds; a source of rows outside of and inside its transactions."""

    def __init__(self, database: Database) -> None:
        self.database, self.dialect = database, database.dialect
        self._connection = database.engine.raw_connection()
        driver: Any = self._connection.dbapi_connection
        self._driver = driver
        self.cursor: Any = psycopg.RawCursor(driver) if database.is_postgresql else driver.cursor()
        self._file, self._kept_s = -1, 0.0
        if not database.is_postgresql:
            self.cursor.execute("PRAGMA cache_size = -8000")
            # Less than others have, so that none of them has to write into the file what is ours.
            self.cursor.execute("PRAGMA wal_autocheckpoint = 900")

    def read(self, statement: Statement, params: Params) -> list[Row]:
        """The rows of one statement. Raises the driver's errors."""
        return statement.rows(self.cursor, self.dialect, params)

    def execute(self, statement: Statement, params: Params) -> int:
        """Execute one statement; how many rows it touched."""
        statement.execute(self.cursor, self.dialect, params)
        return int(self.cursor.rowcount)

    def made(self, tables: Iterable[Table]) -> tuple[object, ...]:
        """What tells these tables from others of the same names that somebody made in their place."""
        if self.database.is_postgresql:
            names = [table.name.replace('"', '""') for table in tables]
            self.cursor.execute(
                "SELECT to_regclass('\"' || name || '\"')::oid FROM unnest($1::text[]) AS name", [names]
            )
        else:
            self.cursor.execute("PRAGMA schema_version")
        return tuple(self.cursor.fetchall())

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[Cursor]:
        """One transaction that writes. One that is not durable is on the disk no later than the next durable one is."""
        with nullcontext() if self.database.is_postgresql else self._turn():
            if self.database.is_postgresql:
                self.cursor.execute("BEGIN")
                if not durable:
                    self.cursor.execute("SET LOCAL synchronous_commit = off")
            else:
                self.cursor.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                begin_writing(self.cursor)
            try:
                yield self.cursor
                self.cursor.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    self.cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite: one process of a rebuild writes at a time; now and then none does, so that others may."""
        self._file = self._file if self._file >= 0 else _lock_file(self.cursor)
        fcntl.lockf(self._file, fcntl.LOCK_EX)  # of its own kind: the rebuild's lock is a `flock`
        began = time.perf_counter()
        try:
            yield
            self._kept_s += time.perf_counter() - began
            if self._kept_s >= PAUSE_AFTER_S:
                self._kept_s = 0.0
                time.sleep(PAUSE_S)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def take(self, *, shared: bool) -> bool:
        """Take the lock, without waiting: alone, or with others of the same rebuild. Whether it was to be had."""
        if self.database.is_postgresql:
            return bool(self.cursor.execute(_TRY[shared].format(_KEY)).fetchall()[0][0])
        if self._file < 0:
            self._file = _lock_file(self.cursor)
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def share(self) -> None:
        """From holding the lock alone to holding it with the processes of this rebuild. Raises `RebuildRunning`."""
        if not self.take(shared=True):
            raise RebuildRunning
        if self.database.is_postgresql:
            self.cursor.execute(f"SELECT pg_advisory_unlock({_KEY})")

    def close(self) -> None:
        """The lock goes with the connection; it is given back first: a server sees only later that a client ended."""
        if self._file >= 0:
            os.close(self._file)
        elif self.database.is_postgresql and not self._driver.closed:
            with suppress(Exception):
                self.cursor.execute("SELECT pg_advisory_unlock_all()")
        if self.database.is_postgresql and self._driver.closed:
            self._connection.invalidate()
        else:
            self._connection.close()


@contextmanager
def alone(database: Database, *, wait: bool, waits: Callable[[], object] = lambda: None) -> Iterator[Seat]:
    """A seat that holds the lock alone; while another rebuild has it, `wait`, or raise `RebuildRunning`.

    `waits` is called when it has to wait for long.
    """
    seat = Seat(database)
    look_until = time.monotonic() + (LONG_S if wait else LOOKED_AT_S)
    try:
        # Asked again and again: a lock that is waited for would keep out the processes of the rebuild that has it.
        while not seat.take(shared=False):
            if time.monotonic() > look_until:
                if not wait:
                    raise RebuildRunning
                look_until = inf
                waits()
            time.sleep(ASK_AGAIN_S)
        yield seat
    finally:
        seat.close()


@contextmanager
def beside(database: Database) -> Iterator[Seat]:
    """A seat for a further process of a rebuild whose parent shares the lock. Raises `RebuildRunning`."""
    seat = Seat(database)
    try:
        if not seat.take(shared=True):
            raise RebuildRunning
        yield seat
    finally:
        seat.close()


def is_running(store: Store) -> bool:
    """Whether a rebuild of this database is under way now. Raises `LedgerUnavailable`."""
    if store.database.is_postgresql:
        return bool(store.read(_HELD, {"key": _KEY})[0]["held"])
    with store.database.cursor() as cursor:
        path = _lock_path(cursor)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody ever made it; or only somebody else may, of whom nothing can be known
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _lock_file(cursor: Cursor) -> int:
    try:
        return os.open(_lock_path(cursor), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LedgerUnavailable() from error


def _lock_path(cursor: Cursor) -> str:
    cursor.execute("PRAGMA database_list")
    return next(f"{row[2]}-rebuild" for row in cursor.fetchall() if row[1] == "main")
