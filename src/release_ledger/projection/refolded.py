"""A stream folded anew, in bounded memory: the rows that it should have, in the end all of them in a temporary file.

The file is one of SQLite's own, without a name: it is gone when it is closed, or when the process ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from operator import length_hint
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from ..errors import LedgerUnavailable
from ..store import Row
from ..store.codec import decode
from ..store.schema import own_columns
from .live import RAISED, sealed
from .projection import Key, Projection
from .staging import AllWritten, Changes, Held

PAGE_EVENTS: Final = 1_000
HELD_ROWS: Final = 5_000  # of one projection; then a quarter of them goes into the file
HELD_BYTES: Final = 4_000_000  # of one projection, by the events that they were made of
_PAGES: Final = "PRAGMA cache_size = -16000"
_TABLE: Final = "CREATE TABLE folded (projection TEXT, key BLOB, row BLOB, PRIMARY KEY (projection, key)) WITHOUT ROWID"
_PUT: Final = "INSERT INTO folded VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row"
_TAKE: Final = "DELETE FROM folded WHERE projection = ? AND key = ? RETURNING row"
_ROW: Final = "SELECT row FROM folded WHERE projection = ? AND key = ?"
_REST: Final = "SELECT key FROM folded WHERE projection = ? ORDER BY key"
_PACK: Final = msgspec.msgpack.Encoder().encode
_UNPACK: Final = msgspec.msgpack.Decoder().decode

Values = list[Any]


class Refolded:
    """What the rows of some projections should be; `failed` says of those that cannot tell what is in the way.

    A row is asked for by `take` once: those that nobody took are the `rest`.
    """

    def __init__(self, stream: str, projections: Iterable[Projection]) -> None:
        self._stream, self._file = stream, _File()
        self.failed: dict[str, str] = {}
        self._folds = [(projection, _held(self._file, projection)) for projection in projections]

    def fold(self, stored: Iterable[Row]) -> None:
        """Fold stored events, from the first to the last. Raises what an event that cannot be read raises."""
        rows = iter(stored)
        while page := list(islice(rows, PAGE_EVENTS)):
            events, size = [decode(self._stream, row) for row in page], sum(len(row["state"]) for row in page)
            for projection, held in self._live():
                held.size += size
                rest = iter(events)
                try:
                    projection.fold_all(rest, held)
                except RAISED as error:
                    version = events[-1 - length_hint(rest)].originator_version
                    self.failed[projection.name] = f"the fold fails on version {version}: {_named(error)}"
                self._file.check()
                self._put(projection, held.forget_oldest(held.excess(HELD_ROWS, HELD_BYTES)))
        for projection, held in self._live():
            self._put(projection, held.unwritten())
        self._folds.clear()

    def _live(self) -> list[tuple[Projection, Held]]:
        return [(projection, held) for projection, held in self._folds if projection.name not in self.failed]

    def _put(self, projection: Projection, changes: Changes) -> None:
        gone, made = [], []
        try:
            for key, row in changes:
                values = sealed(projection, self._stream, key, row)
                if values is None:
                    gone.append((projection.name, _PACK(key)))
                else:
                    made.append((projection.name, _PACK(key), _PACK(list(values.values()))))
        except RAISED as error:
            self.failed[projection.name] = f"the rows of its fold cannot be written: {_named(error)}"
        else:
            for place in gone:
                self._file.ask(_TAKE, place)
            self._file.put(made)

    def take(self, projection: Projection, keys: Sequence[Key]) -> list[Values | None]:
        """Of each key the values in the order of the table's own columns, and the seal; None where there is no row."""
        found: list[Values | None] = []
        for key in keys:
            row = self._file.ask(_TAKE, (projection.name, _packed(key)))
            found.append(None if row is None else _UNPACK(row))
        return found

    def rest(self, projection: Projection) -> Iterator[Key]:
        """The keys of the rows that were not taken."""
        for key in self._file.rest(projection.name):
            yield tuple(_UNPACK(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


class _File:
    """Rows by projection and key, packed. Raises `LedgerUnavailable`, and `check` does from then on."""

    def __init__(self) -> None:
        self._lost: sqlite3.Error | None = None
        self._connection = sqlite3.connect("", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _PAGES, _TABLE, "BEGIN"):
            self._connection.execute(statement)

    def ask(self, sql: str, place: tuple[str, bytes | None]) -> bytes | None:
        """The row in this place, if there is one."""
        with self._watched():
            found = self._connection.execute(sql, place).fetchall()
            return found[0][0] if found else None

    def put(self, rows: Iterable[tuple[str, bytes, bytes]]) -> None:
        with self._watched():
            self._connection.executemany(_PUT, rows)

    def rest(self, name: str) -> Iterator[bytes]:
        with self._watched():
            for (key,) in self._connection.execute(_REST, (name,)):
                yield key

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._lost = error
            self.check()

    def check(self) -> None:
        """Raise what was raised before: whoever called may have taken it for an error of the fold."""
        if self._lost is not None:
            raise LedgerUnavailable(temporary_file=str(self._lost)) from self._lost

    def close(self) -> None:
        self._connection.close()


def _held(file: _File, projection: Projection) -> Held:
    names = own_columns(projection.table)

    def load(key: Key) -> Any:
        row = file.ask(_ROW, (projection.name, _PACK(key)))
        return None if row is None else projection.load(dict(zip(names, _UNPACK(row), strict=False)))  # but the seal

    return Held(load, AllWritten())


def _packed(key: Key) -> bytes | None:
    """None for what no fold ever made a key of."""
    try:
        return _PACK(key)
    except (TypeError, ValueError, OverflowError):
        return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
