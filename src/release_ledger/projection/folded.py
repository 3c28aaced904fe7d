"""In memory: a stream folded from its events, and asked with the very statements that read the live tables.

So every query exists once. Slower than live rows, never wrong: the way out when rows are set aside, lost or of
another definition, and the way to answer about the past.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy.schema import CreateTable

from ..errors import LedgerUnavailable
from ..events import Event
from ..store import Head, Params, Row, Source, Statement, Store
from ..store.codec import decode
from ..store.schema import IDEMPOTENCY_KEYS, PEOPLE, STREAMS
from ..store.statement import SQLITE
from ..store.store import events_after, head_of, person
from .installed import installed, relevant
from .live import RAISED, sealed
from .projection import Key, Projection, Rows

# By projection: the event that its fold could not take, and why.
Failed = dict[str, tuple[Event, BaseException]]


class FoldedSource:
    """Some streams, folded; answers statements as the live tables would."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_tables())
        self.heads: dict[str, Head] = {}
        self.failed: dict[str, Failed] = {}

    def read(self, statement: Statement, params: Params) -> list[Row]:
        cursor: Any = self._connection.cursor()
        return statement.rows(cursor, SQLITE, params)

    def add(self, head: Head, folded: Mapping[str, Mapping[Key, Any]], failed: Failed) -> None:
        """Put a folded stream into the tables. A projection whose rows do not fit its table has failed."""
        self.heads[head.stream], self.failed[head.stream] = head, failed
        self._insert("streams", [asdict(head)])
        for name, rows in folded.items():
            try:
                self.put(head, name, rows)
            except RAISED as error:
                failed[name] = (Event(originator_version=head.version, recorded_at=head.recorded_at), error)

    def put(self, head: Head, name: str, rows: Mapping[Key, Any]) -> None:
        """Put rows of a projection, as its fold holds them, into its table."""
        projection = installed()[name]
        place = {"stream": head.stream, "generation": head.generation}
        values = (sealed(projection, head.stream, key, row) or {} for key, row in rows.items())
        self._insert(projection.table.name, [place | row for row in values])

    def add_person(self, row: Row) -> None:
        self._insert("people", [row])

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            names = ", ".join(f'"{name}"' for name in rows[0])
            binds = ", ".join(f":{name}" for name in rows[0])
            self._connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({binds})', rows)  # noqa: S608 - our own names

    def close(self) -> None:
        self._connection.close()


def fold_streams(store: Store, streams: Iterable[str], then: Mapping[str, Head] | None = None) -> FoldedSource:
    """Fold these streams as they are now, or up to these heads. A stream that is not there is left out."""
    source = FoldedSource()
    people: set[str] = set()
    for stream in streams:
        with store.snapshot() as reader:
            head = (then or {}).get(stream) or head_of(reader, stream)
            if head.version:
                folded, failed = fold_events(relevant(stream), _noting(people, stored_events(reader, head)))
                source.add(head, folded, failed)
    for person_id in people:
        known = person(store, person_id)
        if known is not None:
            source.add_person(known)
    return source


def fold_events(projections: Iterable[Projection], events: Iterable[Event]) -> tuple[dict[str, dict[Key, Any]], Failed]:
    """All rows of these projections after these events, oldest first; and the projections whose fold failed."""
    folds = {projection.name: (projection, Rows()) for projection in projections}
    failed: Failed = {}
    for event in events:
        for name, (projection, rows) in folds.items():
            if name not in failed:
                try:
                    projection.fold(event, rows)
                except RAISED as error:
                    failed[name] = (event, error)
    return {name: rows.all() for name, (_, rows) in folds.items() if name not in failed}, failed


def stored_events(source: Source, head: Head) -> Iterator[Event]:
    """The events of a stream up to its head, oldest first, read in bounded pieces."""
    for row in events_after(source, head.stream, upto=head.version):
        yield decode(head.stream, row)


def _noting(people: set[str], events: Iterable[Event]) -> Iterator[Event]:
    for event in events:
        people.update(
            person_id
            for person_id in (event.person_id, getattr(event, "owner_person_id", None))
            if person_id is not None
        )
        yield event


@cache
def _tables() -> str:
    tables = [STREAMS, PEOPLE, IDEMPOTENCY_KEYS, *(projection.table for projection in installed().values())]
    return ";".join(str(CreateTable(table).compile(dialect=SQLITE)) for table in tables)


def not_answerable(stream: str, names: Iterable[str]) -> LedgerUnavailable:
    """Folding did not help either: the projection's own code fails on this stream."""
    return LedgerUnavailable(stream=stream, projections=sorted(names))
