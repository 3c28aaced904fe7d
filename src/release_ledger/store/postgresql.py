"""An append on PostgreSQL: events, head and read-model rows as one statement, one exchange, one transaction.

Every part selects from the arm `head`, which returns a row only while the stream is at the expected version (and its
rows are those that were folded with): when it moved, the statement writes nothing and says so, without an error.
The text depends on the append's shape alone and is made once per shape, so that the server can keep its plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Table, Text, literal_column

from .append import Append, Change, Conflict
from .database import Database
from .schema import EVENTS, mark_of, own_columns
from .seal import SEAL, seal
from .statement import POSTGRESQL

_EVENT_COLUMNS = ("version", "topic", "state", "recorded_at", "digest")
_event_values = attrgetter(*_EVENT_COLUMNS)
# In the order of the first parameters: stream, generation, version, digest, recorded_at, folded; then what was before.
_NEW_HEAD = (
    "INSERT INTO streams (stream, generation, version, digest, recorded_at, folded)"
    " SELECT $1::text, $2::bigint, $3::bigint, $4::bytea, $5::text, $6::text WHERE {unmoved}"
    " ON CONFLICT DO NOTHING RETURNING stream, generation"
)
_MOVE_HEAD = (
    "UPDATE streams SET version = $3, digest = $4, recorded_at = $5, folded = $6"
    " WHERE stream = $1 AND generation = $2 AND version = $7 AND folded = $8 AND digest = $9 AND {unmoved}"
    " RETURNING stream, generation"
)
_MARK: Final = str(
    mark_of(literal_column("${}::text", Text)).compile(dialect=POSTGRESQL, compile_kwargs={"literal_binds": True})
)
_MOST_ROWS: Final = 500
Part = tuple[Table, tuple[str, ...], int, int]


def fits(append: Append) -> bool:
    """Whether it forgets nobody, and is small enough for one statement (the protocol takes 65,535 parameters)."""
    rows = len(append.events) + sum(len(change.rows) for change in append.changes)
    return rows <= _MOST_ROWS and not append.forgotten


def write(database: Database, append: Append) -> list[int]:
    """Append in one exchange; the events' positions. Raises `Conflict`, or the driver's error."""
    head, last = append.head, append.last
    params: list[Any] = [head.stream, head.generation, last.version, last.digest, last.recorded_at, append.folded]
    if not head.is_new:
        params += head.version, head.folded, head.digest
    for event in append.events:
        params += _event_values(event)
    beside = append.beside
    for table, rows in beside:
        for row in rows:
            params += [row[column.name] for column in table.columns]
    parts = tuple(_part(params, head.stream, change) for change in append.changes)
    for other in append.unmoved:
        params += other
    sizes = tuple((table, len(rows)) for table, rows in beside)
    with database.cursor() as cursor:
        cursor.execute(_statement(head.is_new, len(append.events), sizes, parts, len(append.unmoved)), params)
        moved, positions = cursor.fetchall()[0]
    if not moved:
        raise Conflict(head.stream)
    return sorted(positions)


def _part(params: list[Any], stream: str, change: Change) -> Part:
    """Add a change's values to the parameters: the rows written, sealed, then the keys of those that go."""
    own, gone = own_columns(change.table), 0
    for row in change.rows.values():
        if row is None:
            gone += 1
        else:
            values = [row[name] for name in own]
            params += values
            params.append(seal(stream, values))
    if gone:
        for key, row in change.rows.items():
            if row is None:
                params += key
    return change.table, change.key, len(change.rows) - gone, gone


@lru_cache(maxsize=512)
def _statement(
    is_new: bool, events: int, beside: tuple[tuple[Table, int], ...], parts: tuple[Part, ...], unmoved: int
) -> str:
    """The text of an append of this shape; its parameters are numbered in the order in which `write` lists them."""
    numbers = count(7 if is_new else 10)
    arms = [""]
    values = _values(numbers, EVENTS, _EVENT_COLUMNS, events)
    columns = ", ".join(_EVENT_COLUMNS)
    arms.append(
        f"recorded AS (INSERT INTO events (stream, {columns}) SELECT head.stream, v.* FROM head, {values}"
        " ORDER BY v.version RETURNING position)"
    )
    for number, (table, rows) in enumerate(beside):
        values = _values(numbers, table, table.columns.keys(), rows)
        names = ", ".join(map(_quoted, table.columns.keys()))
        arms.append(f"b{number} AS (INSERT INTO {table.name} ({names}) SELECT v.* FROM head, {values})")
    for number, (table, key, written, gone) in enumerate(parts):
        if written:
            arms.append(f"w{number} AS ({_upsert(table, numbers, written)})")
        if gone:
            arms.append(f"g{number} AS ({_delete(table, key, numbers, gone)})")
    stands = [f"{_MARK.format(next(numbers))} = ${next(numbers)}::text" for _ in range(unmoved)]
    head = (_NEW_HEAD if is_new else _MOVE_HEAD).format(unmoved=" AND ".join(stands) or "TRUE")
    arms[0] = f"head AS ({head})"
    return f"WITH {', '.join(arms)} SELECT (SELECT count(*) FROM head), ARRAY(SELECT position FROM recorded)"


def _upsert(table: Table, numbers: Iterator[int], rows: int) -> str:
    own = (*own_columns(table), SEAL)
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    values = _values(numbers, table, own, rows)
    sets = ", ".join(f"{name} = excluded.{name}" for name in map(_quoted, others))
    action = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
    return (
        f"INSERT INTO {_quoted(table.name)} ({', '.join(map(_quoted, ['stream', 'generation', *own]))})"
        f" SELECT head.stream, head.generation, v.* FROM head, {values}"
        f" ON CONFLICT ({', '.join(map(_quoted, keys))}) {action}"
    )


def _delete(table: Table, key: tuple[str, ...], numbers: Iterator[int], rows: int) -> str:
    matches = " AND ".join(f"t.{_quoted(name)} = v.{_quoted(name)}" for name in key) or "TRUE"
    values = _values(numbers, table, key, rows) if key else "(VALUES (1)) AS v"
    return (
        f"DELETE FROM {_quoted(table.name)} AS t USING head, {values}"
        f" WHERE t.stream = head.stream AND t.generation = head.generation AND {matches}"
    )


def _values(numbers: Iterator[int], table: Table, columns: Sequence[str], rows: int) -> str:
    types = [table.columns[name].type.compile(dialect=POSTGRESQL) for name in columns]
    lines = (", ".join(f"${next(numbers)}::{kind}" for kind in types) for _ in range(rows))
    return f"(VALUES {', '.join(f'({line})' for line in lines)}) AS v ({', '.join(map(_quoted, columns))})"


def _quoted(name: str) -> str:
    return POSTGRESQL.identifier_preparer.quote(name)
