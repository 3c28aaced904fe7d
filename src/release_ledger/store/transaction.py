"""An append as a transaction of plain statements: the usual way on SQLite, the careful way on both databases.

Careful: the events first, then each projection's rows under a SAVEPOINT of their own. Those that the database
refuses are set aside for this stream in the same transaction; the events are recorded all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from . import failures
from .append import Append, Change, Conflict, Fault, event_row
from .database import Database
from .schema import EVENTS, PEOPLE, PROJECTION_FAULTS, STREAMS, mark_of, own_columns
from .seal import SEAL, seal
from .statement import Cursor, Statement

_OLD: dict[str, BindParameter[Any]] = {
    name: bindparam(f"old_{name}") for name in ("stream", "version", "digest", "generation", "folded")
}
_MOVE_HEAD = Statement(
    update(STREAMS)
    .where(*(STREAMS.c[name] == bind for name, bind in _OLD.items()))
    .values({name: bindparam(name) for name in ("version", "digest", "recorded_at", "folded")})
)
_INSERT_EVENT = Statement(
    insert(EVENTS)
    .values({column.name: bindparam(column.name) for column in EVENTS.columns if column.name != "position"})
    .returning(EVENTS.c.position)
)
_FORGET = Statement(delete(PEOPLE).where(PEOPLE.c.person_id == bindparam("person_id")))
_MARK = Statement(select(mark_of(bindparam("stream"))))
_SET_FOLDED = Statement(
    update(STREAMS).where(STREAMS.c.stream == bindparam("of_stream")).values(folded=bindparam("folded"))
)


def write(database: Database, appends: Sequence[Append], *, careful: bool) -> list[int]:
    """Append to each stream, all in one transaction; the events' positions. Raises `Conflict`, or the driver's."""
    with database.transaction(write=True) as cursor:
        return [position for append in appends for position in _write(database, cursor, append, careful)]


def _write(database: Database, cursor: Cursor, append: Append, careful: bool) -> list[int]:
    for stream, mark in append.unmoved:
        if _MARK.one(cursor, database.dialect, {"stream": stream}) != mark:
            raise Conflict(stream)
    _move_head(database, cursor, append)
    positions = [int(_INSERT_EVENT.one(cursor, database.dialect, event_row(event))) for event in append.events]
    for table, rows in append.beside:
        for row in rows:
            insert_row(table).execute(cursor, database.dialect, row)
    for person_id in append.forgotten:
        _FORGET.execute(cursor, database.dialect, {"person_id": person_id})
    faults = list(append.faults)
    for change in append.changes:
        fault = _write_carefully(database, cursor, append, change) if careful else None
        if not careful:
            write_rows(database, cursor, append.head.stream, append.head.generation, change)
        if fault is not None:
            faults.append(fault)
    if faults:
        _set_aside(database, cursor, append, faults)
    return positions


def _move_head(database: Database, cursor: Cursor, append: Append) -> None:
    head, last = append.head, append.last
    new = {"version": last.version, "digest": last.digest, "recorded_at": last.recorded_at, "folded": append.folded}
    if head.is_new:
        place = {"stream": head.stream, "generation": head.generation}
        _new_head(database.dialect.name).execute(cursor, database.dialect, {**place, **new})
    else:
        old = {f"old_{name}": getattr(head, name) for name in _OLD}
        _MOVE_HEAD.execute(cursor, database.dialect, {**old, **new})
    if cursor.rowcount != 1:
        raise Conflict(head.stream)


def _write_carefully(database: Database, cursor: Cursor, append: Append, change: Change) -> Fault | None:
    try:
        with savepoint(cursor):
            write_rows(database, cursor, append.head.stream, append.head.generation, change)
    except Exception as error:
        if not failures.is_of_rows(error):
            raise
        return Fault(
            projection=change.projection,
            stream=append.head.stream,
            version=append.last.version,
            error=f"{type(error).__name__}: {error}"[:2000].replace("\0", ""),
            set_aside_at=append.last.recorded_at,
        )
    return None


@contextmanager
def savepoint(cursor: Cursor) -> Iterator[None]:
    """Where rows are refused, what was written inside is undone, and nothing else of the transaction."""
    cursor.execute("SAVEPOINT projection")
    try:
        yield
    except Exception as error:
        if failures.is_of_rows(error):
            cursor.execute("ROLLBACK TO SAVEPOINT projection")
            cursor.execute("RELEASE SAVEPOINT projection")
        raise
    cursor.execute("RELEASE SAVEPOINT projection")


def _set_aside(database: Database, cursor: Cursor, append: Append, faults: Sequence[Fault]) -> None:
    aside = {fault.projection for fault in faults}
    folded = " ".join(name for name in append.folded.split() if name.partition("=")[0] not in aside)
    _SET_FOLDED.execute(cursor, database.dialect, {"of_stream": append.head.stream, "folded": folded})
    for fault in faults:
        upsert(PROJECTION_FAULTS, database.dialect.name).execute(cursor, database.dialect, asdict(fault))


def write_rows(database: Database, cursor: Cursor, stream: str, generation: int, change: Change) -> None:
    """The rows of one read model for one stream and generation: whole rows over what is there, or gone."""
    place = {"stream": stream, "generation": generation}
    for key, row in change.rows.items():
        if row is None:
            of_key = dict(zip(change.key, key, strict=True))
            statement = _delete_row(change.table)
            statement.execute(cursor, database.dialect, {f"of_{n}": v for n, v in (place | of_key).items()})
        else:
            sealed = {SEAL: seal(stream, [row[name] for name in own_columns(change.table)])}
            upsert(change.table, database.dialect.name).execute(cursor, database.dialect, {**row, **place, **sealed})


@cache
def insert_row(table: Table) -> Statement:
    """Insert a row; one of its key is a conflict."""
    return Statement(insert(table).values({column.name: bindparam(column.name) for column in table.columns}))


@cache
def _new_head(dialect_name: str) -> Statement:
    made = postgresql.insert(STREAMS) if dialect_name == "postgresql" else sqlite.insert(STREAMS)
    statement = made.values({column.name: bindparam(column.name) for column in STREAMS.columns})
    return Statement(statement.on_conflict_do_nothing())


@cache
def upsert(table: Table, dialect_name: str) -> Statement:
    """Insert a row, or put it in the place of the one with its key."""
    made = postgresql.insert(table) if dialect_name == "postgresql" else sqlite.insert(table)
    statement = made.values({column.name: bindparam(column.name) for column in table.columns})
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    if not others:
        return Statement(statement.on_conflict_do_nothing(index_elements=keys))
    return Statement(statement.on_conflict_do_update(index_elements=keys, set_=others))


@cache
def _delete_row(table: Table) -> Statement:
    return Statement(delete(table).where(*(column == bindparam(f"of_{column.name}") for column in table.primary_key)))
