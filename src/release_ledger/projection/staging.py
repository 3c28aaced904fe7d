"""The rows of a generation in the making: bounded in memory, written beside the live ones, which nobody notices.

PostgreSQL: COPY. SQLite, which has one writer: short transactions, with pauses in which others write.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, text

from ..store import Statement
from ..store.schema import own_columns
from ..store.seal import SEAL, seal
from .alone import Seat
from .projection import Key, Projection, Rows

Changes = Sequence[tuple[Key, Any]]
TURN_S: Final = 0.02  # after so long the next piece waits for another transaction
PIECE_ROWS: Final = {"postgresql": 5_000, "sqlite": 100}
REMOVED_ROWS: Final = {"postgresql": 20_000, "sqlite": 200}
_FILTER_BITS: Final = 1 << 24


class Written:
    """The keys that were written, in 2 MB however many there are. A few others are taken for them, too."""

    def __init__(self) -> None:
        self._bits = bytearray(_FILTER_BITS >> 3)

    def add(self, key: Key) -> None:
        for bit in _bits_of(key):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, key: Key) -> bool:
        return all(self._bits[bit >> 3] & 1 << (bit & 7) for bit in _bits_of(key))


def _bits_of(key: Key) -> tuple[int, int]:
    hashed = hash(key)
    return hashed % _FILTER_BITS, (hashed >> 24) % _FILTER_BITS


class Held(Rows):
    """The rows of one projection while a stream is folded from its first event; those left longest come first.

    What was written and forgotten is loaded back when it is touched again; what never was is not looked for.
    """

    def __init__(self, load: Callable[[Key], Any]) -> None:
        super().__init__({}, self._written_row)
        self._load_row = load
        self.written = Written()
        self.size = 0  # of the events folded into what is held: more than the rows of most projections take

    def _written_row(self, key: Key) -> Any:
        return self._load_row(key) if key in self.written else None

    def __setitem__(self, key: Any, row: Any) -> None:
        key = key if isinstance(key, tuple) else (key,)
        self._rows.pop(key, None)
        self._rows[key] = row
        self.changed.add(key)

    def __len__(self) -> int:
        return len(self._rows)

    def excess(self, rows: int, size: int) -> int:
        """How many rows to forget, where more than so many or so much is held: a quarter is room for the next ones."""
        held = len(self._rows)
        if held <= rows and self.size <= size:
            return 0
        return held - min(rows * 3 // 4, held * size * 3 // (4 * max(1, self.size)))

    def forget_oldest(self, count: int) -> Changes:
        """Forget so many rows; those of them that are still to be written."""
        self.size -= self.size * count // max(1, len(self._rows))
        oldest = [(key, self._rows.pop(key)) for key in list(islice(self._rows, count))]
        changes = [(key, row) for key, row in oldest if key in self.changed]
        self.changed.difference_update(key for key, _ in changes)
        return changes

    def unwritten(self) -> Changes:
        """What is still to be written, the row None for one that goes. It counts as written, and is not forgotten."""
        changes = [(key, row) for key, row in self._rows.items() if key in self.changed]
        self.changed.clear()
        return changes


class Stage:
    """Where the rows of one stream and generation are put."""

    def __init__(self, seat: Seat, stream: str, generation: int) -> None:
        self._seat, self._stream, self._place = seat, stream, (stream, generation)
        self._kind = seat.dialect.name
        self.rows: Counter[str] = Counter()

    def write(self, projection: Projection, written: Written, changes: Changes, *, durable: bool = False) -> None:
        """Write these rows in transactions of `TURN_S`; the last is perhaps durable, and then all before it are, too.

        Raises what the projection or the database has against them.
        """
        at, size = 0, PIECE_ROWS[self._kind]
        while at < len(changes):
            is_last = at + size >= len(changes)
            with self._seat.transaction(durable=durable and is_last) as cursor:
                give_up_at = time.monotonic() + TURN_S
                while at < len(changes) and time.monotonic() < give_up_at:
                    self.put(cursor, projection, written, changes[at : at + size])
                    at += size
                    if durable and not is_last and at + size >= len(changes):
                        break

    def put(self, cursor: Any, projection: Projection, written: Written, changes: Changes) -> None:
        """Write these rows in the transaction of the cursor."""
        sql, place, dump = _sql(projection, self._kind), self._place, projection.dump
        others, ordered, key_columns = sql.others, sql.ordered, len(projection.key)
        stream, made, gone = self._stream, [], []
        for key, row in changes:
            if len(key) != key_columns:
                raise ValueError(f"{key!r} is no key of {projection.name}")
            if key in written:
                gone.append((*place, *key))
            if row is not None:
                values = (*key, *others(dump(row)))
                made.append((*place, *values, seal(stream, ordered(values) if ordered else values)))
                written.add(key)
        if gone:
            cursor.executemany(sql.delete, gone)
            self.rows[projection.name] -= cursor.rowcount
        if made:
            self._insert(cursor, sql, made)
            self.rows[projection.name] += len(made)

    def _insert(self, cursor: Any, sql: _Sql, rows: Sequence[Sequence[Any]]) -> None:
        if self._kind == "postgresql":
            with cursor.copy(sql.insert) as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(sql.insert, rows)


class _Sql(NamedTuple):
    """How a row is put and removed: its values are stream and generation, the key, `others` of the columns, the seal.

    `ordered` brings key and others into the order of the columns, where they are not in it.
    """

    insert: str
    delete: str
    others: Callable[[Mapping[str, Any]], Sequence[Any]]
    ordered: Callable[[Sequence[Any]], Sequence[Any]] | None


@cache
def _sql(projection: Projection, kind: str) -> _Sql:
    key, own = ("stream", "generation", *projection.key), own_columns(projection.table)
    others = [name for name in own if name not in key]
    put = (*projection.key, *others)
    table, columns = _quoted(projection.table.name), ", ".join(map(_quoted, (*key, *others, SEAL)))
    is_it = " AND ".join(f"{_quoted(name)} = {_bind(at, kind)}" for at, name in enumerate(key, 1))
    values = ", ".join(_bind(at, kind) for at in range(1, len(key) + len(others) + 2))
    return _Sql(
        f"COPY {table} ({columns}) FROM STDIN"
        if kind == "postgresql"
        else f"INSERT INTO {table} ({columns}) VALUES ({values})",  # noqa: S608 - our own names
        f"DELETE FROM {table} WHERE {is_it}",  # noqa: S608 - our own names
        itemgetter(*others) if len(others) > 1 else lambda row: [row[name] for name in others],
        itemgetter(*map(put.index, own)) if put != own else None,
    )


def _bind(at: int, kind: str) -> str:
    return f"${at}" if kind == "postgresql" else "?"


def remove(seat: Seat, table: Table, stream: str, keep: int | None) -> None:
    """Remove the rows of a stream that are not of the generation `keep` (None: all), in short transactions."""
    bounds = {"below": keep, "above": keep} if keep is not None else {"above": -1}
    for which, bound in bounds.items():
        place = {"of_stream": stream, "bound": bound, "at_once": REMOVED_ROWS[seat.dialect.name]}
        statement, more = _remove(table, which, seat.dialect.name), True
        while more:
            with seat.transaction(durable=False):
                give_up_at = time.monotonic() + TURN_S
                while more and time.monotonic() < give_up_at:
                    more = seat.execute(statement, place) == place["at_once"]


@cache
def _remove(table: Table, which: str, kind: str) -> Statement:
    name, compares = _quoted(table.name), {"below": "<", "above": ">"}[which]
    rows = f"FROM {name} WHERE stream = :of_stream AND generation {compares} :bound LIMIT :at_once"
    if kind == "postgresql":
        return Statement(text(f"DELETE FROM {name} WHERE ctid = ANY (ARRAY(SELECT ctid {rows}))"))  # noqa: S608
    return Statement(text(f"DELETE FROM {name} WHERE rowid IN (SELECT rowid {rows})"))  # noqa: S608 - our own names


def _quoted(name: str) -> str:
    """A name as it is, whatever it means to either database."""
    return '"{}"'.format(name.replace('"', '""'))
