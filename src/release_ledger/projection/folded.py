"""In memory: a stream folded from its events, and asked with the very statements that read the live tables.

So every query exists once. Slower than live rows, never wrong: the way out when rows are set aside, lost or of
another definition (`kept.py`), and the way to answer about the past.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import islice
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.schema import CreateTable

from ..errors import LedgerUnavailable
from ..events import Event
from ..store import Head, Params, Row, Source, Statement, Store
from ..store.codec import decode
from ..store.schema import IDEMPOTENCY_KEYS, PEOPLE, STREAMS
from ..store.statement import SQLITE
from ..store.store import EVENTS_PER_READ, events_after
from .installed import installed, relevant
from .live import RAISED, loader, sealed
from .projection import Key, Projection, Rows

PEOPLE_AT_ONCE: Final = 50
_PEOPLE = Statement(select(PEOPLE).where(PEOPLE.c.person_id.in_([bindparam(f"p{n}") for n in range(PEOPLE_AT_ONCE)])))

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

    def fold(self, head: Head, events: Sequence[Event], failed: Failed) -> None:
        """Fold the next events of a stream, which is at this head, into its rows: all of it or, if it raises, nothing.

        A projection that cannot take them, or whose rows do not fit its table, has failed from then on.
        """
        with self._connection:
            self._connection.execute("BEGIN")
            for projection in relevant(head.stream):
                if projection.name not in failed:
                    rows = Rows(load=loader(projection, head, self))
                    try:
                        projection.fold_all(events, rows)
                        self.put(head, projection.name, rows.changes())
                    except MemoryError as error:  # not the projection's
                        raise LedgerUnavailable() from error
                    except RAISED as error:
                        failed[projection.name] = (events[-1], error)

    def add(self, head: Head, folded: Mapping[str, Mapping[Key, Any]]) -> None:
        """Put rows of a stream into the tables, and show it. A projection whose rows do not fit has failed."""
        failed: Failed = {}
        for name, rows in folded.items():
            try:
                self.put(head, name, rows)
            except RAISED as error:
                failed[name] = (Event(originator_version=head.version, recorded_at=head.recorded_at), error)
        self.show(head, failed)

    def show(self, head: Head, failed: Failed) -> None:
        """From now on questions see this stream: what they see of one goes by its head."""
        self.heads[head.stream], self.failed[head.stream] = head, failed
        self._insert("streams", [asdict(head)])

    def hide(self) -> None:
        """No question sees any stream any more, nor a person; the rows are still there."""
        self.heads, self.failed = {}, {}
        self._connection.execute("DELETE FROM streams")
        self._connection.execute("DELETE FROM people")

    def put(self, head: Head, name: str, rows: Mapping[Key, Any]) -> None:
        """Put rows of a projection, as its fold holds them, into its table; None for one that goes."""
        projection = installed()[name]
        place = {"stream": head.stream, "generation": head.generation}
        for key in [key for key, row in rows.items() if row is None]:
            self._delete(projection, place | dict(zip(projection.key, key, strict=True)))
        kept = (sealed(projection, head.stream, key, row) for key, row in rows.items())
        self._insert(projection.table.name, [place | row for row in kept if row is not None])

    def renumber(self, stream: str, generation: int) -> None:
        """The stream's rows are of this generation now."""
        with self._connection:
            self._connection.execute("BEGIN")
            for projection in relevant(stream):
                statement = f'UPDATE "{projection.table.name}" SET generation = ? WHERE stream = ?'  # noqa: S608 - our own names
                self._connection.execute(statement, (generation, stream))

    def remove(self, stream: str) -> None:
        """The stream's rows go."""
        for projection in relevant(stream):
            self._delete(projection, {"stream": stream})

    def add_people(self, store: Store, people: Iterable[str]) -> None:
        """The e-mails of these people, of those that are known now."""
        wanted = sorted(people)
        for first in range(0, len(wanted), PEOPLE_AT_ONCE):
            some = wanted[first : first + PEOPLE_AT_ONCE]
            asked = some + some[-1:] * (PEOPLE_AT_ONCE - len(some))
            self._insert("people", store.read(_PEOPLE, {f"p{n}": person_id for n, person_id in enumerate(asked)}))

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            names = ", ".join(f'"{name}"' for name in rows[0])
            binds = ", ".join(f":{name}" for name in rows[0])
            statement = f'INSERT OR REPLACE INTO "{table}" ({names}) VALUES ({binds})'  # noqa: S608 - our own names
            self._connection.executemany(statement, rows)

    def _delete(self, projection: Projection, place: Mapping[str, Any]) -> None:
        which = " AND ".join(f'"{name}" = :{name}' for name in place)
        self._connection.execute(f'DELETE FROM "{projection.table.name}" WHERE {which}', place)  # noqa: S608 - our own names

    @property
    def size(self) -> int:
        """How many bytes of memory the rows take."""
        pages, free, each = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * each)

    def close(self) -> None:
        self._connection.close()


def fold_streams(store: Store, heads: Iterable[Head]) -> FoldedSource:
    """Streams folded up to these heads. One that is not there is left out."""
    source = FoldedSource()
    people: set[str] = set()
    try:
        for head in heads:
            failed: Failed = {}
            with store.snapshot() as reader:
                events, version = stored_events(reader, head), 0
                while page := list(islice(events, EVENTS_PER_READ)):
                    source.fold(replace(head, version=version), page, failed)
                    people |= people_in(page)
                    version = page[-1].originator_version
            if head.version:
                source.show(head, failed)
        source.add_people(store, people)
    except BaseException:
        source.close()
        raise
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


def people_in(events: Collection[Event]) -> set[str]:
    """The ids of the people that these events name."""
    named = {event.person_id for event in events} | {getattr(event, "owner_person_id", None) for event in events}
    return {person_id for person_id in named if person_id is not None}


@cache
def _tables() -> str:
    tables = [STREAMS, PEOPLE, IDEMPOTENCY_KEYS, *(projection.table for projection in installed().values())]
    return ";".join(str(CreateTable(table).compile(dialect=SQLITE)) for table in tables)


def not_answerable(stream: str, names: Iterable[str]) -> LedgerUnavailable:
    """Folding did not help either: the projection's own code fails on this stream."""
    return LedgerUnavailable(stream=stream, projections=sorted(names))
