"""The store: appending at an expected version, and reading. What an error means is decided here, once.

A lost answer to a commit is settled without guessing: the same append again, and where that conflicts, the digest
stored at its version says whose it is (architecture, "The store").
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from sqlalchemy import bindparam, select

from ..errors import LedgerUnavailable
from . import failures, postgresql, transaction
from .append import Append, Conflict, Head
from .chain import FIRST_DIGEST
from .database import Database
from .failures import Failure
from .schema import EVENTS, PEOPLE, STREAMS
from .statement import Cursor, Params, Row, Statement

IN_DOUBT_S: Final = 5.0
CONNECT_S: Final = 1.0
EVENTS_PER_READ: Final = 2000

_HEAD = Statement(select(STREAMS).where(STREAMS.c.stream == bindparam("stream")))
_RECORDED = Statement(
    select(EVENTS.c.position, EVENTS.c.digest)
    .where(EVENTS.c.stream == bindparam("stream"), EVENTS.c.version.between(bindparam("first"), bindparam("last")))
    .order_by(EVENTS.c.version)
)
_EVENTS_AFTER = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state, EVENTS.c.recorded_at, EVENTS.c.digest)
    .where(EVENTS.c.stream == bindparam("stream"), EVENTS.c.version > bindparam("after"))
    .order_by(EVENTS.c.version)
    .limit(bindparam("limit"))
)
_STREAM_NAMES = Statement(
    select(STREAMS.c.stream)
    .where(STREAMS.c.stream >= bindparam("first"), STREAMS.c.stream < bindparam("beyond"))
    .order_by(STREAMS.c.stream)
)
_PERSON = Statement(select(PEOPLE).where(PEOPLE.c.person_id == bindparam("person_id")))


class ReadModelBroken(Exception):
    """A read model's table or column is not there; its question is answered by folding."""


class Source(Protocol):
    """Where rows are read from: the live tables, one snapshot of them, or a stream folded in memory."""

    def read(self, statement: Statement, params: Params) -> list[Row]:
        """The rows of one statement. Raises `ReadModelBroken`, `LedgerUnavailable`."""
        ...


class CursorSource:
    """The rows that one transaction sees."""

    def __init__(self, database: Database, cursor: Cursor) -> None:
        self._database, self._cursor = database, cursor

    def read(self, statement: Statement, params: Params) -> list[Row]:
        return statement.rows(self._cursor, self._database.dialect, params)


class Store:
    """Streams of events and the rows folded from them, in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def read(self, statement: Statement, params: Params) -> list[Row]:
        """The rows of one statement outside of a transaction; tried again for a moment when the database was lost."""
        return self._execute(statement, params)

    def write(self, statement: Statement, params: Params) -> None:
        """One statement that writes, of tables that no stream's head guards. Raises `Conflict` for a duplicate."""
        self._execute(statement, params)

    def _execute(self, statement: Statement, params: Params) -> list[Row]:
        deadline = time.monotonic() + CONNECT_S
        while True:
            try:
                with self.database.cursor() as cursor:
                    return statement.rows(cursor, self.database.dialect, params)
            except Exception as error:
                failure = failures.of(error)
                if failure is Failure.BROKEN:
                    raise ReadModelBroken(str(error)) from error
                if failure is Failure.CONFLICT:
                    raise Conflict(str(error)) from error
                if failure is Failure.OTHER:
                    raise
                self._forget_what_is_lost(failure)
                if failure is Failure.UNAVAILABLE or time.monotonic() > deadline:
                    raise LedgerUnavailable() from error
                _pause()

    def append(self, append: Append) -> list[int]:
        """Record the events and write their rows, both or neither; the events' positions. Raises `Conflict`.

        Rows that the database refuses are set aside for this stream; the events are recorded all the same.
        """
        return self.append_all([append])

    def append_all(self, appends: Sequence[Append]) -> list[int]:
        """Like `append`, to several streams in one transaction."""
        began = time.monotonic()
        careful, in_doubt = any(append.faults for append in appends), False
        while True:
            try:
                return self._try(appends, careful)
            except Exception as error:
                failure = Failure.CONFLICT if isinstance(error, Conflict) else failures.of(error)
                if failure is Failure.CONFLICT:
                    may_come = in_doubt and self._may_still_come(appends)  # asked first: it may come between the two
                    before = self._recorded_before(appends) if in_doubt else None
                    if before is not None:
                        return before
                    if not may_come:
                        raise Conflict(appends[0].head.stream) from error
                self._forget_what_is_lost(failure)
                if failure is Failure.IN_DOUBT and not self.database.is_postgresql:
                    return self._settled(appends, error)
                if failure is Failure.UNAVAILABLE and not in_doubt:
                    raise LedgerUnavailable() from error
                if failure in (Failure.BROKEN, Failure.OTHER):
                    if careful:
                        raise LedgerUnavailable() from error
                    careful = True
                    continue
                in_doubt = in_doubt or failure is Failure.IN_DOUBT
                waits = CONNECT_S if failure is Failure.UNREACHABLE and not in_doubt else IN_DOUBT_S
                if time.monotonic() > began + waits:
                    raise LedgerUnavailable() from error
                _pause()

    def _try(self, appends: Sequence[Append], careful: bool) -> list[int]:
        if self.database.is_postgresql and not careful and len(appends) == 1 and postgresql.fits(appends[0]):
            return postgresql.write(self.database, appends[0])
        return transaction.write(self.database, appends, careful=careful)

    def _settled(self, appends: Sequence[Append], error: Exception) -> list[int]:
        """What came of a COMMIT that SQLite answered with an error: nobody is still at it, so a look is enough."""
        recorded = self._recorded_before(appends)
        if recorded is None:
            raise LedgerUnavailable() from error
        return recorded

    def _recorded_before(self, appends: Sequence[Append]) -> list[int] | None:
        """The positions of what an earlier try recorded; None where another's events have the versions."""
        positions = []
        for append in appends:
            place = {"stream": append.head.stream, "first": append.events[0].version, "last": append.last.version}
            rows = self.read(_RECORDED, place)
            if not rows or bytes(rows[-1]["digest"]) != append.last.digest:
                return None
            positions += [row["position"] for row in rows]
        return positions

    def _may_still_come(self, appends: Sequence[Append]) -> bool:
        """Whether an earlier try may yet be at work: the conflict is another stream's, and no event has its version."""
        conditional = [append for append in appends if append.unmoved]
        places = ({"stream": a.head.stream, "first": a.events[0].version, "last": a.last.version} for a in conditional)
        return any(not self.read(_RECORDED, place) for place in places)

    def _forget_what_is_lost(self, failure: Failure) -> None:
        if failure in (Failure.IN_DOUBT, Failure.UNAVAILABLE):
            self.database.forget_connections()

    @contextmanager
    def snapshot(self) -> Iterator[Source]:
        """Reads that all see one state of the database. Raises what `read` raises."""
        try:
            with self.database.transaction(write=False) as cursor:
                yield CursorSource(self.database, cursor)
        except Exception as error:
            failure = failures.of(error)
            if failure is Failure.BROKEN:
                raise ReadModelBroken(str(error)) from error
            self._forget_what_is_lost(failure)
            if failure in (Failure.IN_DOUBT, Failure.UNREACHABLE, Failure.UNAVAILABLE, Failure.AGAIN):
                raise LedgerUnavailable() from error
            raise

    def close(self) -> None:
        self.database.close()


def _pause() -> None:
    time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - jitter, not a secret


def head_of(source: Source, stream: str) -> Head:
    """The head of a stream; version 0 where there is none."""
    rows = source.read(_HEAD, {"stream": stream})
    return as_head(stream, rows[0]) if rows else Head(stream=stream)


def as_head(stream: str, row: Row) -> Head:
    """The head in a row that has the columns of `streams`; of nulls only (an outer join), version 0."""
    if row["version"] is None:
        return Head(stream=stream)
    return Head(
        stream=stream,
        version=row["version"],
        digest=bytes(row["digest"] or FIRST_DIGEST),
        recorded_at=row["recorded_at"],
        generation=row["generation"],
        folded=row["folded"],
    )


def events_after(source: Source, stream: str, after: int = 0, upto: int | None = None) -> Iterator[Row]:
    """The stored events (version, topic, state, recorded_at, digest), oldest first, read in bounded pieces."""
    while True:
        rows = source.read(_EVENTS_AFTER, {"stream": stream, "after": after, "limit": EVENTS_PER_READ})
        for row in rows:
            if upto is not None and row["version"] > upto:
                return
            yield row
        if len(rows) < EVENTS_PER_READ:
            return
        after = rows[-1]["version"]


def stream_names(source: Source, prefix: str) -> list[str]:
    """The streams whose names begin so, in the order of their names."""
    rows = source.read(_STREAM_NAMES, {"first": prefix, "beyond": prefix + "\U0010ffff"})
    return [row["stream"] for row in rows]


def person(source: Source, person_id: str) -> Row | None:
    """The person of an id, while the ledger knows the e-mail."""
    return next(iter(source.read(_PERSON, {"person_id": person_id})), None)


def open_store(url: str, *, pool_size: int = 10) -> Store:
    """The store at a URL; connects when first used."""
    return Store(Database(url, pool_size=pool_size))
