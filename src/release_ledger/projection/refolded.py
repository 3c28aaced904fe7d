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
_TABLE: Final = "CREATE TABLE folded (place INTEGER, key BLOB, row BLOB, PRIMARY KEY (place, key)) WITHOUT ROWID"
_PUT: Final = "INSERT INTO folded VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET row = excluded.row"
_REMOVE: Final = "DELETE FROM folded WHERE place = ? AND key = ?"
_ROW: Final = "SELECT row FROM folded WHERE place = ? AND key = ?"
_RANGE: Final = "SELECT key, row FROM folded WHERE place = ? AND key BETWEEN ? AND ? LIMIT ?"
_REST: Final = "SELECT key FROM folded WHERE place = ? ORDER BY key"
# Of two values that are not of one type, or not equal, other bytes.
_PACK: Final = msgspec.msgpack.Encoder(decimal_format="number", uuid_format="bytes").encode
_UNPACK: Final = msgspec.msgpack.Decoder().decode

Values = list[Any]


class Refolded:
    """What the rows of some projections should be; `failed` says of those that cannot tell what is in the way.

    A row is asked for by `take` once: those that nobody took are the `rest`.
    """

    def __init__(self, stream: str, projections: Iterable[Projection]) -> None:
        self._stream, self._file = stream, _File()
        self.failed: dict[str, str] = {}
        self._places = {projection.name: place for place, projection in enumerate(projections)}
        self._folds = [(projection, self._held(projection)) for projection in projections]

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
        place, gone, made = self._places[projection.name], [], []
        try:
            for key, row in changes:
                values = sealed(projection, self._stream, key, row)
                if values is None:
                    gone.append((place, _PACK(key)))
                else:
                    made.append((place, _PACK(key), _PACK(list(values.values()))))
        except RAISED as error:
            self.failed[projection.name] = f"the rows of its fold cannot be written: {_named(error)}"
        else:
            self._file.change(_REMOVE, gone)
            self._file.change(_PUT, made)

    def take(self, projection: Projection, rows: Sequence[tuple[Key, Values]]) -> list[Values | None]:
        """What the values of each of these rows should be: the very ones that were given, or others; None for no row.

        Values are in the order of the table's own columns, and the seal.
        """
        place = self._places[projection.name]
        keys = [_packed(key) for key, _ in rows]
        known = self._file.among(place, [key for key in keys if key is not None])
        self._file.change(_REMOVE, [(place, key) for key in known.keys() & set(keys)])
        found = []
        for key, (_, values) in zip(keys, rows, strict=True):
            row = known.pop(key, None) if key is not None else None
            found.append(None if row is None else values if row == _packed(values) else _UNPACK(row))
        return found

    def rest(self, projection: Projection) -> Iterator[Key]:
        """The keys of the rows that were not taken."""
        for key in self._file.rest(self._places[projection.name]):
            yield tuple(_UNPACK(key))

    def _held(self, projection: Projection) -> Held:
        # A function, and no method: in a circle with itself, what is held would stay until garbage is collected.
        file, place, names = self._file, self._places[projection.name], own_columns(projection.table)

        def load(key: Key) -> Any:
            row = file.row(place, _PACK(key))
            return None if row is None else projection.load(dict(zip(names, _UNPACK(row), strict=False)))  # no seal

        return Held(load, AllWritten())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


class _File:
    """Rows by the place of their projection and by key, packed. Raises `LedgerUnavailable`, `check` from then on."""

    def __init__(self) -> None:
        self._lost: sqlite3.Error | None = None
        self._connection = sqlite3.connect("", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _PAGES, _TABLE, "BEGIN"):
            self._connection.execute(statement)

    def row(self, place: int, key: bytes) -> bytes | None:
        with self._watched():
            found = self._connection.execute(_ROW, (place, key)).fetchall()
            return found[0][0] if found else None

    def among(self, place: int, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The rows of these keys, perhaps with some others: mostly they follow one another."""
        if not keys:
            return {}
        most = 2 * len(keys)
        with self._watched():
            found = self._connection.execute(_RANGE, (place, min(keys), max(keys), most)).fetchall()
        if len(found) < most:
            return dict(found)
        rows = ((key, self.row(place, key)) for key in keys)
        return {key: row for key, row in rows if row is not None}

    def change(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._watched():
            self._connection.executemany(sql, rows)

    def rest(self, place: int) -> Iterator[bytes]:
        with self._watched():
            for (key,) in self._connection.execute(_REST, (place,)):
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


def _packed(values: Sequence[Any]) -> bytes | None:
    """None for what no fold ever made."""
    try:
        return _PACK(values)
    except (TypeError, ValueError, OverflowError):
        return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
