"""Loading rows of a generation in the making: beside the live ones, which nobody notices.

PostgreSQL: COPY. SQLite, which has one writer: short transactions, with pauses in which others write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from ..store.schema import own_columns
from ..store.seal import SEAL, seal
from .alone import Seat
from .installed import installed
from .projection import Key, Projection

TURN_S: Final = 0.02  # after so long the next piece waits for another transaction
PIECE_ROWS: Final = {"postgresql": 5_000, "sqlite": 100}


class Batch(NamedTuple):
    """Rows of one projection, stream and generation: the keys of those to remove, then the rows to insert.

    `durable`: on the disk when it is done, and all batches before it, too.
    """

    projection: str
    stream: str
    generation: int
    gone: list[Key]
    made: list[tuple[Any, ...]]
    durable: bool = False


def load(seat: Seat, batch: Batch) -> int:
    """Put a batch in transactions of `TURN_S`; how many rows there are more.

    Raises what the database has against it.
    """
    more, rest, size = 0, batch, PIECE_ROWS[seat.dialect.name]
    while rest.gone or rest.made:
        is_last = len(rest.gone) + len(rest.made) <= size
        with seat.transaction(durable=batch.durable and is_last) as cursor:
            give_up_at = time.monotonic() + TURN_S
            while (rest.gone or rest.made) and time.monotonic() < give_up_at:
                left = max(0, size - len(rest.gone))
                more += put(cursor, seat.dialect.name, rest._replace(gone=rest.gone[:size], made=rest.made[:left]))
                rest = rest._replace(gone=rest.gone[size:], made=rest.made[left:])
                if batch.durable and not is_last and len(rest.gone) + len(rest.made) <= size:
                    break
    return more


def put(cursor: Any, kind: str, batch: Batch) -> int:
    """Put a batch in the transaction of the cursor; how many rows there are more."""
    sql, more = _sql(installed()[batch.projection], kind), 0
    if batch.gone:
        cursor.executemany(sql.delete, [(batch.stream, batch.generation, *key) for key in batch.gone])
        more -= cursor.rowcount
    if batch.made and kind == "postgresql":
        with cursor.copy(sql.insert) as copy:
            for row in batch.made:
                copy.write_row(row)
    elif batch.made:
        cursor.executemany(sql.insert, batch.made)
    return more + len(batch.made)


@cache
def shape(projection: Projection) -> Callable[[str, int, Key, Any], tuple[Any, ...]]:
    """What makes of a stream, a generation, a key and a row as the fold holds it a row to insert, with its seal."""
    own, dump = own_columns(projection.table), projection.dump
    others = [name for name in own if name not in projection.key]
    pick = itemgetter(*others) if len(others) > 1 else lambda row: [row[name] for name in others]
    values = (*projection.key, *others)
    ordered = itemgetter(*map(values.index, own)) if values != tuple(own) else None

    def made(stream: str, generation: int, key: Key, row: Any) -> tuple[Any, ...]:
        values = (*key, *pick(dump(row)))
        return stream, generation, *values, seal(stream, values if ordered is None else ordered(values))

    return made


class _Sql(NamedTuple):
    """How a row is put and removed."""

    insert: str
    delete: str


@cache
def _sql(projection: Projection, kind: str) -> _Sql:
    key, own = ("stream", "generation", *projection.key), own_columns(projection.table)
    values = (*projection.key, *(name for name in own if name not in projection.key))
    table, columns = quoted(projection.table.name), ", ".join(map(quoted, ("stream", "generation", *values, SEAL)))
    is_it = " AND ".join(f"{quoted(name)} = {_bind(at, kind)}" for at, name in enumerate(key, 1))
    binds = ", ".join(_bind(at, kind) for at in range(1, len(values) + 4))
    return _Sql(
        f"COPY {table} ({columns}) FROM STDIN"
        if kind == "postgresql"
        else f"INSERT INTO {table} ({columns}) VALUES ({binds})",  # noqa: S608 - our own names
        f"DELETE FROM {table} WHERE {is_it}",  # noqa: S608 - our own names
    )


def _bind(at: int, kind: str) -> str:
    return f"${at}" if kind == "postgresql" else "?"


def quoted(name: str) -> str:
    """A name as it is, whatever it means to either database."""
    return '"{}"'.format(name.replace('"', '""'))
