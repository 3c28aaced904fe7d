"""What an error of a database means for an append or a read, told by its code or its constraint.

Source: architecture, "When an append fails". No projection is ever blamed for what is `UNAVAILABLE`.
"""

from __future__ import annotations

import sqlite3
from enum import Enum, auto

import psycopg
from sqlalchemy import exc


class Failure(Enum):
    """What to do about an error."""

    CONFLICT = auto()  # the version is taken: decide again
    AGAIN = auto()  # nothing was written: the same append again
    IN_DOUBT = auto()  # the answer to a commit may be lost: the same append again, then compare digests
    UNREACHABLE = auto()  # no connection was to be had, so nothing was sent: again, for a moment
    UNAVAILABLE = auto()  # nothing was written, and the database cannot: 503
    BROKEN = auto()  # a table or column is not there, or of another type: fold, or append carefully
    OTHER = auto()  # something about a row: append carefully


class Unreachable(Exception):
    """No connection was to be had: nothing was sent."""


class CommitInDoubt(Exception):
    """An error of the COMMIT itself: it may have come after the transaction was on the disk."""


# SQLite has no other names for them.
_SQLITE_CONFLICTS = (
    "UNIQUE constraint failed: events.stream, events.version",
    "UNIQUE constraint failed: idempotency_keys.scope, idempotency_keys.key",
)
_CONFLICTS = ("events_pkey", "streams_pkey", "idempotency_keys_pkey")
_UNAVAILABLE_CLASSES = ("53", "57", "58")
_IN_DOUBT_STATES = ("57P01", "57P02", "57P03", "57P05")
# No table, no column, or one of another type: not comparable, not assignable, not what a prepared statement gave.
_BROKEN_STATES = ("42P01", "42703", "42883", "42804", "0A000")
_SQLITE_UNAVAILABLE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    )
)


def of(error: Exception) -> Failure:
    """The failure that an exception of the driver, or of SQLAlchemy's pool, stands for."""
    if isinstance(error, exc.DBAPIError) and isinstance(error.orig, Exception):
        return of(error.orig)
    if isinstance(error, Unreachable):
        return Failure.UNREACHABLE
    if isinstance(error, CommitInDoubt):
        return Failure.IN_DOUBT
    if isinstance(error, psycopg.Error):
        return _of_postgresql(error)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    return Failure.UNAVAILABLE if isinstance(error, exc.TimeoutError) else Failure.OTHER


def is_of_rows(error: Exception) -> bool:
    """Whether the rows of a read model are to blame: the table, or something about a row."""
    return of(error) in (Failure.BROKEN, Failure.OTHER)


def is_of_locks(error: BaseException) -> bool:
    """Whether somebody else had for too long what was wanted: nothing is lost, and the same may be tried again."""
    own = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(own, psycopg.Error):
        return own.sqlstate in ("40001", "40P01", "55P03")
    return isinstance(own, sqlite3.Error) and (getattr(own, "sqlite_errorcode", None) or 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def is_of_rights(error: BaseException) -> bool:
    """Whether whoever asked may only read: a role of that kind, or a standby."""
    own = error.orig if isinstance(error, exc.DBAPIError) else error
    return isinstance(own, psycopg.Error) and own.sqlstate in ("25006", "42501")


def _of_postgresql(error: psycopg.Error) -> Failure:
    state = error.sqlstate
    if state is None:
        lost = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return Failure.IN_DOUBT if lost else Failure.OTHER
    if state.startswith("08") or state in _IN_DOUBT_STATES:
        return Failure.IN_DOUBT
    if state == "23505" and error.diag.constraint_name in _CONFLICTS:
        return Failure.CONFLICT
    if state in ("40001", "40P01"):
        return Failure.AGAIN
    if state.startswith(_UNAVAILABLE_CLASSES) or state in ("25006", "55P03"):
        return Failure.UNAVAILABLE
    return Failure.BROKEN if state in _BROKEN_STATES else Failure.OTHER


def _of_sqlite(error: sqlite3.Error) -> Failure:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Failure.OTHER
    if code & 0xFF in _SQLITE_UNAVAILABLE:
        return Failure.UNAVAILABLE
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT and str(error) in _SQLITE_CONFLICTS:
        return Failure.CONFLICT
    return Failure.BROKEN if code == sqlite3.SQLITE_ERROR else Failure.OTHER
