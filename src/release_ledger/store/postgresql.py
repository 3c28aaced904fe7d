"""An append on PostgreSQL: events, head and read-model rows as one statement, one exchange, one transaction.

Every part selects from the arm `head`, which returns a row only while the stream is at the expected version (and its
rows are those that were folded with): when it moved, the statement writes nothing and says so, without an error.
The text depends on the append's shape alone and is made once per shape, so that the server can keep its plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from .append import Append, Change, Conflict
from .database import Database
from .schema import EVENTS
from .statement import POSTGRESQL

_EVENT_COLUMNS = ("version", "topic", "state", "recorded_at", "digest")
_NEW_HEAD = (
    "INSERT INTO streams (stream, version, digest, recorded_at, generation, folded) VALUES (%(stream)s, %(version)s,"
    " %(digest)s, %(recorded_at)s, %(generation)s, %(folded)s) ON CONFLICT DO NOTHING RETURNING stream, generation"
)
_MOVE_HEAD = (
    "UPDATE streams SET version = %(version)s, digest = %(digest)s, recorded_at = %(recorded_at)s,"
    " folded = %(folded)s WHERE stream = %(stream)s AND version = %(old_version)s"
    " AND generation = %(generation)s AND folded = %(old_folded)s RETURNING stream, generation"
)
_MOST_PARAMETERS: Final = 30_000  # the protocol takes 65,535
Part = tuple[Table, tuple[str, ...], int, int]


def fits(append: Append) -> bool:
    """Whether the append is small enough for one statement."""
    rows = sum(len(change.rows) * len(change.table.columns) for change in append.changes)
    beside = sum(len(table.columns) * len(rows) for table, rows in append.beside)
    return rows + len(append.events) * len(_EVENT_COLUMNS) + beside <= _MOST_PARAMETERS


def write(database: Database, append: Append) -> list[int]:
    """Append in one exchange; the events' positions. Raises `Conflict`, or the driver's error."""
    head, last = append.head, append.last
    params: dict[str, Any] = {
        "stream": head.stream,
        "old_version": head.version,
        "generation": head.generation,
        "old_folded": head.folded,
        "version": last.version,
        "digest": last.digest,
        "recorded_at": last.recorded_at,
        "folded": append.folded,
    }
    _fill(params, "e", _EVENT_COLUMNS, [{name: getattr(e, name) for name in _EVENT_COLUMNS} for e in append.events])
    beside = append.beside
    for number, (table, rows) in enumerate(beside):
        _fill(params, f"b{number}", table.columns.keys(), rows)
    parts = tuple(_part(params, number, change) for number, change in enumerate(append.changes))
    sizes = tuple((table, len(rows)) for table, rows in beside)
    with database.cursor() as cursor:
        cursor.execute(_statement(head.is_new, len(append.events), sizes, parts), params)
        moved, positions = cursor.fetchall()[0]
    if not moved:
        raise Conflict(head.stream)
    return sorted(positions)


def _part(params: dict[str, Any], number: int, change: Change) -> Part:
    written = [row for row in change.rows.values() if row is not None]
    gone = [dict(zip(change.key, key, strict=True)) for key, row in change.rows.items() if row is None]
    _fill(params, f"w{number}", _own_columns(change.table), written)
    _fill(params, f"g{number}", change.key, gone)
    return change.table, change.key, len(written), len(gone)


def _fill(params: dict[str, Any], arm: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    for number, row in enumerate(rows):
        for column in columns:
            params[f"{arm}_{number}_{column}"] = row[column]


@lru_cache(maxsize=512)
def _statement(is_new: bool, events: int, beside: tuple[tuple[Table, int], ...], parts: tuple[Part, ...]) -> str:
    arms = [f"head AS ({_NEW_HEAD if is_new else _MOVE_HEAD})"]
    values = _values("e", EVENTS, _EVENT_COLUMNS, events)
    columns = ", ".join(_EVENT_COLUMNS)
    arms.append(
        f"recorded AS (INSERT INTO events (stream, {columns}) SELECT head.stream, v.* FROM head, {values}"
        " ORDER BY v.version RETURNING position)"
    )
    for number, (table, rows) in enumerate(beside):
        values = _values(f"b{number}", table, table.columns.keys(), rows)
        names = ", ".join(map(_quoted, table.columns.keys()))
        arms.append(f"b{number} AS (INSERT INTO {table.name} ({names}) SELECT v.* FROM head, {values})")
    for number, (table, key, written, gone) in enumerate(parts):
        if written:
            arms.append(f"w{number} AS ({_upsert(table, f'w{number}', written)})")
        if gone:
            arms.append(f"g{number} AS ({_delete(table, key, f'g{number}', gone)})")
    return f"WITH {', '.join(arms)} SELECT (SELECT count(*) FROM head), ARRAY(SELECT position FROM recorded)"


def _upsert(table: Table, arm: str, rows: int) -> str:
    own = _own_columns(table)
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    values = _values(arm, table, own, rows)
    sets = ", ".join(f"{name} = excluded.{name}" for name in map(_quoted, others))
    action = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
    return (
        f"INSERT INTO {_quoted(table.name)} ({', '.join(map(_quoted, ['stream', 'generation', *own]))})"
        f" SELECT head.stream, head.generation, v.* FROM head, {values}"
        f" ON CONFLICT ({', '.join(map(_quoted, keys))}) {action}"
    )


def _delete(table: Table, key: tuple[str, ...], arm: str, rows: int) -> str:
    matches = " AND ".join(f"t.{_quoted(name)} = v.{_quoted(name)}" for name in key) or "TRUE"
    values = _values(arm, table, key, rows) if key else "(VALUES (1)) AS v"
    return (
        f"DELETE FROM {_quoted(table.name)} AS t USING head, {values}"
        f" WHERE t.stream = head.stream AND t.generation = head.generation AND {matches}"
    )


def _values(arm: str, table: Table, columns: Sequence[str], rows: int) -> str:
    types = [table.columns[name].type.compile(dialect=POSTGRESQL) for name in columns]
    lines = (
        ", ".join(f"%({arm}_{number}_{name})s::{kind}" for name, kind in zip(columns, types, strict=True))
        for number in range(rows)
    )
    return f"(VALUES {', '.join(f'({line})' for line in lines)}) AS v ({', '.join(map(_quoted, columns))})"


def _own_columns(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name not in ("stream", "generation"))


def _quoted(name: str) -> str:
    return POSTGRESQL.identifier_preparer.quote(name)
