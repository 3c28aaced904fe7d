"""The rows that a proof is about, read as they are stored, whatever somebody has made of them.

SQLite lets any column hold anything: text that is not UTF-8 is read with its bytes kept (`surrogateescape`), and what
was stored as another type comes as that type.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from heapq import merge
from itertools import groupby
from typing import Any, Final

import psycopg

from ..store.database import Database

Name = str | bytes
PAGE: Final = 1000
FIRST: Final = -(2**63)
LAST: Final = 2**63 - 1
NAMES_AT_ONCE: Final = 10_000

_EVENTS: Final = (
    "SELECT version, topic, state, recorded_at, digest, position FROM events"
    " WHERE stream = $1 AND version >= CAST($2 AS BIGINT) ORDER BY version LIMIT CAST($3 AS BIGINT)"
)
_HEAD: Final = "SELECT version, digest, recorded_at FROM streams WHERE stream = $1"
_LEAVES_OF: Final = (
    "SELECT position, version, digest FROM checkpoint_leaves"
    " WHERE stream = $1 AND position >= CAST($2 AS BIGINT) ORDER BY position LIMIT CAST($3 AS BIGINT)"
)
_LEAVES: Final = (
    "SELECT position, stream, version, digest FROM checkpoint_leaves"
    " WHERE position >= CAST($1 AS BIGINT) ORDER BY position LIMIT CAST($2 AS BIGINT)"
)
_CHECKPOINTS: Final = (
    "SELECT size, root, note FROM checkpoints WHERE size >= CAST($1 AS BIGINT) ORDER BY size LIMIT CAST($2 AS BIGINT)"
)
_NEWEST: Final = "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1"
_HEADS: Final = "SELECT stream, version FROM streams WHERE stream > $1 ORDER BY stream LIMIT CAST($2 AS BIGINT)"
# The name of the next stream is one look into the index, however many rows the last one has.
_SKIPPING: Final = (
    "WITH RECURSIVE found(stream) AS (SELECT min(stream) FROM {table} WHERE stream > $1 UNION ALL"
    " SELECT (SELECT min(stream) FROM {table} WHERE stream > found.stream) FROM found WHERE found.stream IS NOT NULL)"
    " SELECT stream, 0 FROM found WHERE stream IS NOT NULL LIMIT CAST($2 AS BIGINT)"
)
_NAMES: Final = (_HEADS, _SKIPPING.format(table="events"), _SKIPPING.format(table="checkpoint_leaves"))


class Reader:
    """A connection of its own that reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.engine.raw_connection()
        driver: Any = self._connection.dbapi_connection
        self._driver = driver
        self._cursor: Any = psycopg.RawCursor(driver) if database.is_postgresql else driver.cursor()

    def rows(self, sql: str, *params: Any) -> list[Any]:
        """The rows of one statement. Raises the driver's errors."""
        if self._database.is_postgresql:
            return self._cursor.execute(sql, params, binary=True).fetchall()  # type: ignore[no-any-return]
        sql = sql.replace("$", "?")
        if params and isinstance(params[0], str) and not _is_utf8(params[0]):
            sql = sql.replace("?1", "CAST(?1 AS TEXT)")
            params = (_bytes_of(params[0]), *params[1:])
        try:
            return self._cursor.execute(sql, params).fetchall()  # type: ignore[no-any-return]
        except sqlite3.OperationalError as error:
            if "decode" not in str(error):
                raise
            self._driver.text_factory = _with_its_bytes
            return self._cursor.execute(sql, params).fetchall()  # type: ignore[no-any-return]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, all is read as of one moment."""
        is_postgresql = self._database.is_postgresql
        self._cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if is_postgresql else "BEGIN")
        try:
            yield
        finally:
            with suppress(psycopg.Error, sqlite3.Error):
                self._cursor.execute("ROLLBACK")

    def events(self, stream: Name, first: int = FIRST, limit: int = PAGE) -> list[Any]:
        """Events (version, topic, state, recorded_at, digest, position) from this version on."""
        return self.rows(_EVENTS, stream, first, limit)

    def head(self, stream: Name) -> Any:
        """Version, digest and moment that the stream's head names; None without a head."""
        return next(iter(self.rows(_HEAD, stream)), None)

    def leaves_of(self, stream: Name) -> Iterator[Any]:
        """The leaves (position, version, digest) of a stream."""
        return self._paged(_LEAVES_OF, stream)

    def leaves(self, first: int = FIRST) -> Iterator[Any]:
        """All leaves (position, stream, version, digest), from this position on."""
        return self._paged(_LEAVES, first=first)

    def checkpoints(self) -> Iterator[Any]:
        """All checkpoints (size, root, note)."""
        return self._paged(_CHECKPOINTS)

    def newest_note(self) -> Any:
        """The newest checkpoint, as it is stored."""
        return next((row[0] for row in self.rows(_NEWEST)), None)

    def _paged(self, sql: str, *params: Any, first: int = FIRST) -> Iterator[Any]:
        while True:
            page = self.rows(sql, *params, first, PAGE)
            yield from page
            if len(page) < PAGE or not isinstance(page[-1][0], int) or page[-1][0] == LAST:
                return
            first = page[-1][0] + 1

    def streams(self) -> Iterator[tuple[Name, int]]:
        """Every stream that has a head, an event or a leaf, with the version that its head claims (else 0)."""
        found = (self._named(sql) for sql in _NAMES)
        for _, same in groupby(merge(*found, key=_in_order), key=_in_order):
            names = list(same)
            versions = [version for _, version in names if type(version) is int]
            yield names[0][0], max(versions, default=0)

    def _named(self, sql: str) -> Iterator[tuple[Name, Any]]:
        after: Name = ""
        page = self.rows(sql.replace("> $1", ">= $1"), after, NAMES_AT_ONCE)
        while True:
            yield from page
            if len(page) < NAMES_AT_ONCE:
                return
            after = page[-1][0]
            page = self.rows(sql, after, NAMES_AT_ONCE)

    def close(self) -> None:
        if self._database.is_postgresql and self._driver.closed:
            self._connection.invalidate()
        else:
            self._connection.close()


def _in_order(named: tuple[Name, Any]) -> tuple[bool, bytes]:
    """As both databases sort: texts by their bytes, then what is no text."""
    return isinstance(named[0], bytes), _bytes_of(named[0])


def _bytes_of(name: Name) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)


def _with_its_bytes(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
