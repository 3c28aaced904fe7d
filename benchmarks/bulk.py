"""Bulk loading of new streams: events chained by their digests, rows folded in memory, then COPY or `executemany`.

A stream's head is written with its last rows: until then no question of the ledger sees anything of the stream.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cache
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql
from sqlalchemy import Table
from sqlalchemy.engine import URL, make_url

from release_ledger.events import Event, stamp
from release_ledger.projection import Projection, Rows, relevant
from release_ledger.projection.installed import tag
from release_ledger.projection.live import sealed
from release_ledger.store import Head
from release_ledger.store.append import chained
from release_ledger.store.codec import encode
from release_ledger.store.schema import EVENTS, PEOPLE, STREAMS

ROWS_PER_TRANSACTION: Final = 10_000
Values = tuple[Any, ...]
Key = tuple[Any, ...]


class Target(Protocol):
    """A database that takes many rows at once."""

    def insert(self, batch: Mapping[Table, Sequence[Values]]) -> None:
        """All these rows, in one transaction."""
        ...

    def settle(self) -> None:
        """Leave the database as it would be some minutes after such a load."""
        ...


class PostgresqlTarget:
    """COPY, with a connection of its own: the ledger's has time limits that a load may need to exceed."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def insert(self, batch: Mapping[Table, Sequence[Values]]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for table, rows in batch.items():
                names = sql.SQL(", ").join(sql.Identifier(name) for name in written_columns(table))
                command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
                with cursor.copy(command) as copy:
                    for row in rows:
                        copy.write_row(row)

    def settle(self) -> None:
        """What autovacuum would do by itself a little later, in the middle of a measurement."""
        self._connection.execute("VACUUM (ANALYZE)")
        self._connection.execute("CHECKPOINT")


class SqliteTarget:
    """`executemany`; every transaction is small, so that a reader or a writer beside it is not kept waiting."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA journal_mode=WAL")

    def insert(self, batch: Mapping[Table, Sequence[Values]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for table, rows in batch.items():
                names = written_columns(table)
                columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" for _ in names)
                statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608 - our own names
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    def settle(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@cache
def written_columns(table: Table) -> list[str]:
    """All columns but the events' position, which the database hands out."""
    return [column.name for column in table.columns if (table, column.name) != (EVENTS, "position")]


def plain_url(url: URL | str) -> str:
    """The URL of a PostgreSQL as libpq reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def target_at(url: str) -> Iterator[Target]:
    """The database at a ledger's URL."""
    where = make_url(url)
    if where.get_backend_name() == "postgresql":
        with psycopg.connect(plain_url(where), autocommit=True) as postgresql:
            yield PostgresqlTarget(postgresql)
    else:
        with closing(sqlite3.connect(str(where.database), timeout=60, isolation_level=None)) as sqlite:
            yield SqliteTarget(sqlite)


class Load:
    """Rows on their way into a database, written whenever there are enough of them: memory stays flat."""

    def __init__(self, target: Target, advanced: Callable[[int], object] = lambda events: None) -> None:
        self._target, self._advanced = target, advanced
        self._waiting: dict[Table, list[Values]] = {}
        self._rows = 0
        self.events = 0

    def add(self, table: Table, row: Mapping[str, Any]) -> None:
        self._waiting.setdefault(table, []).append(tuple(row[name] for name in written_columns(table)))
        self._rows += 1

    def add_people(self, people: Iterable[tuple[str, str]]) -> None:
        """Persons by id, with their e-mails."""
        for person_id, email in people:
            self.add(PEOPLE, {"person_id": person_id, "email": email})

    def flush_if_full(self) -> None:
        if self._rows >= ROWS_PER_TRANSACTION:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting, in one transaction."""
        events = len(self._waiting.get(EVENTS, ()))
        self._target.insert(self._waiting)
        self._waiting, self._rows = {}, 0
        self.events += events
        self._advanced(events)


class NewStream:
    """One stream from its first event on; its rows are here until they are released."""

    def __init__(self, load: Load, stream: str) -> None:
        self.head = Head(stream=stream)
        self._load = load
        self._rows: dict[str, dict[Key, Any]] = {projection.name: {} for projection in relevant(stream)}
        self._folds: list[tuple[Projection, Rows]] = [(p, Rows(self._rows[p.name])) for p in relevant(stream)]

    def rows(self, name: str) -> dict[Key, Any]:
        """The rows of a projection that were not released yet, by key, as the fold holds them."""
        return self._rows[name]

    def record(self, decided: Iterable[Event], now: str, **common: Any) -> int:
        """Record what was decided, all at one moment; how many events that were."""
        events = stamp(decided, self.head.stream, self.head.version, recorded_at=now, **common)
        for projection, rows in self._folds:
            for event in events:
                projection.fold(event, rows)
            rows.changed.clear()
        for recorded in chained(self.head, [encode(event) for event in events], now):
            self._load.add(EVENTS, vars_of(recorded))
            self.head = replace(self.head, version=recorded.version, digest=recorded.digest, recorded_at=now)
        self._load.flush_if_full()
        return len(events)

    def release(self, name: str, key: Key) -> None:
        """A row that no event will touch again goes on its way."""
        projection = next(projection for projection, _ in self._folds if projection.name == name)
        self._write(projection, key, self._rows[name].pop(key))

    def close(self) -> None:
        """The stream is complete: all its rows, and its head, which lists every projection as folded."""
        for projection, rows in self._folds:
            for key, row in rows.all().items():
                self._write(projection, key, row)
        folded = " ".join(tag(projection) for projection, _ in self._folds)
        self._load.add(STREAMS, asdict(replace(self.head, folded=folded)))
        self._load.flush_if_full()

    def _write(self, projection: Projection, key: Key, row: Any) -> None:
        columns = sealed(projection, self.head.stream, key, row)
        if columns is not None:
            place = {"stream": self.head.stream, "generation": self.head.generation}
            self._load.add(projection.table, {**columns, **place})


def vars_of(recorded: Any) -> dict[str, Any]:
    """The fields of a value with slots, without copying what is in them."""
    return {name: getattr(recorded, name) for name in recorded.__slots__}
