"""The rows of a generation in the making: bounded in memory, written beside the live ones, which nobody notices."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

from sqlalchemy import Table, text

from ..store import Params, Row, Statement
from .alone import Seat
from .loading import TURN_S, Batch, load, put, quoted, shape
from .projection import Key, Projection, Rows

Changes = Sequence[tuple[Key, Any]]
BATCH_ROWS: Final = 5_000
REMOVED_ROWS: Final = {"postgresql": 20_000, "sqlite": 200}
_MOST_BITS: Final = 24


class Written:
    """The keys that were written, of a stream of so many events; in 2 MB at most. A few others are taken for them."""

    def __init__(self, events: int) -> None:
        self._last = (1 << min(_MOST_BITS, (16 * events).bit_length() + 3)) - 1
        self._bits = bytearray((self._last >> 3) + 1)

    def add(self, key: Key) -> bool:
        """Whether it was written before."""
        hashed, bits = hash(key), self._bits
        first, second = hashed & self._last, hashed >> _MOST_BITS & self._last
        was_there = bool(bits[first >> 3] >> (first & 7) & bits[second >> 3] >> (second & 7) & 1)
        if not was_there:
            bits[first >> 3] |= 1 << (first & 7)
            bits[second >> 3] |= 1 << (second & 7)
        return was_there

    def __contains__(self, key: Key) -> bool:
        hashed, bits = hash(key), self._bits
        first, second = hashed & self._last, hashed >> _MOST_BITS & self._last
        return bool(bits[first >> 3] >> (first & 7) & bits[second >> 3] >> (second & 7) & 1)


class AllWritten(Written):
    """Whatever another process has written: any key may be among them."""

    def __init__(self) -> None:
        pass

    def add(self, _: Key) -> bool:
        return True

    def __contains__(self, key: Key) -> bool:
        return True


class Held(Rows):
    """The rows of one projection while a stream is folded from its first event; those left longest come first.

    What was written and forgotten is loaded back when it is touched again; what never was is not looked for.
    """

    def __init__(self, load: Callable[[Key], Any], written: Written) -> None:
        # Not a method of this: in a circle with itself, what is held would stay until garbage is collected.
        super().__init__({}, lambda key: load(key) if key in written else None)
        self.written = written
        self.size = 0  # of the events folded into what is held: more than the rows of most projections take

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
    """Where the rows of one stream and generation are put; `rows` counts them by projection."""

    def __init__(self, seat: Seat, stream: str, generation: int) -> None:
        self._seat, self._stream, self._generation = seat, stream, generation
        self.rows: Counter[str] = Counter()

    def write(self, projection: Projection, written: Written, changes: Changes, *, durable: bool = False) -> None:
        """Write these rows; the last of them are perhaps durable, and then all before it are, too.

        Raises what the projection or the database has against them.
        """
        for first in range(0, len(changes), BATCH_ROWS):
            is_last = first + BATCH_ROWS >= len(changes)
            batch = self._batch(projection, written, changes[first : first + BATCH_ROWS])
            self.rows[projection.name] += load(self._seat, batch._replace(durable=durable and is_last))

    def put(self, cursor: Any, projection: Projection, written: Written, changes: Changes) -> None:
        """Write these rows in the transaction of the cursor."""
        batch = self._batch(projection, written, changes)
        self.rows[projection.name] += put(cursor, self._seat.dialect.name, batch)

    def _batch(self, projection: Projection, written: Written, changes: Changes) -> Batch:
        batch = Batch(projection.name, self._stream, self._generation, [], [])
        made, key_columns = shape(projection), len(projection.key)
        for key, row in changes:
            if len(key) != key_columns:
                raise ValueError(f"{key!r} is no key of {projection.name}")
            if row is not None:
                batch.made.append(made(self._stream, self._generation, key, row))
                if written.add(key):
                    batch.gone.append(key)
            elif key in written:
                batch.gone.append(key)
        return batch


class ReadBack:
    """Where rows that were written are loaded back from; remembers that it failed: the fold is not to blame then."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self.failed = seat, False

    def read(self, statement: Statement, params: Params) -> list[Row]:
        try:
            return self._seat.read(statement, params)
        except Exception:
            self.failed = True
            raise


def remove(seat: Seat, table: Table, stream: str, keep: int | None) -> None:
    """Remove the rows of a stream that are not of the generation `keep` (None: all), in short transactions."""
    bounds = {"below": keep, "above": keep} if keep is not None else {"above": -1}
    for which, bound in bounds.items():
        place = {"of_stream": stream, "bound": bound, "at_once": REMOVED_ROWS[seat.dialect.name]}
        statement = _remove(table, which, seat.dialect.name)
        more = bool(seat.read(_found(table, which), place))
        while more:
            with seat.transaction(durable=False):
                give_up_at = time.monotonic() + TURN_S
                while more and time.monotonic() < give_up_at:
                    more = seat.execute(statement, place) == place["at_once"]


@cache
def _found(table: Table, which: str) -> Statement:
    """Whether there is anything to remove: mostly there is not, and nobody need be kept from writing to see it."""
    return Statement(text(f"SELECT 1 AS found {_rows(table, which)} LIMIT 1"))


def _rows(table: Table, which: str) -> str:
    compares = {"below": "<", "above": ">"}[which]
    return f"FROM {quoted(table.name)} WHERE stream = :of_stream AND generation {compares} :bound"


@cache
def _remove(table: Table, which: str, kind: str) -> Statement:
    keys = ", ".join(quoted(column.name) for column in table.primary_key)  # about the order in which they were written
    name, rows = quoted(table.name), f"{_rows(table, which)} ORDER BY {keys} LIMIT :at_once"
    if kind == "postgresql":
        return Statement(text(f"DELETE FROM {name} WHERE ctid = ANY (ARRAY(SELECT ctid {rows}))"))  # noqa: S608
    return Statement(text(f"DELETE FROM {name} WHERE rowid IN (SELECT rowid {rows})"))  # noqa: S608 - our own names
