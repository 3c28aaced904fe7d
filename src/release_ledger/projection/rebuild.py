"""Rebuilding one stream: folded from its first event into rows of a new generation, beside the live ones.

Nothing is locked until the fold has caught up with the stream; then its head is, for what came last, and points to the
new rows. Readers see the old rows or the new ones; an append that folded onto the old ones finds that the head has
moved and decides again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import psycopg
from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import bindparam, delete, select, update

from ..errors import LedgerUnavailable
from ..events import Event
from ..store import Fault, Head, Statement, failures
from ..store.codec import UnknownTopic, event_of
from ..store.schema import EVENTS, PROJECTION_FAULTS, STREAMS
from ..store.store import head_of
from ..store.transaction import savepoint, upsert
from .alone import Seat
from .installed import relevant, tag
from .live import fault, loader
from .projection import Projection
from .staging import Held, Stage, remove

PAGE_EVENTS: Final = 2_000
HELD_ROWS: Final = 20_000  # of one projection; then a quarter of them is written and forgotten
FEW_EVENTS: Final = 100  # so many may be left to fold while writers wait
ROUNDS: Final = 50
TRIES: Final = 5

_PAGE = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state)
    .where(EVENTS.c.stream == bindparam("stream"), EVENTS.c.version > bindparam("after"))
    .order_by(EVENTS.c.version)
    .limit(bindparam("limit"))
)
_LOCK = Statement(select(STREAMS.c.stream).where(STREAMS.c.stream == bindparam("of_stream")).with_for_update())
_GO_LIVE = Statement(
    update(STREAMS)
    .where(STREAMS.c.stream == bindparam("of_stream"), STREAMS.c.generation == bindparam("of_generation"))
    .values(generation=bindparam("generation"), folded=bindparam("folded"))
)
_FORGET_FAULT = Statement(
    delete(PROJECTION_FAULTS).where(
        PROJECTION_FAULTS.c.stream == bindparam("of_stream"), PROJECTION_FAULTS.c.projection == bindparam("name")
    )
)


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What came of a stream: its events and rows, how long writers had to wait for it, and what was set aside.

    `left` says why the stream was left as it was; empty where it was rebuilt.
    """

    stream: str
    events: int = 0
    rows: int = 0
    waited_s: float = 0.0
    faults: tuple[Fault, ...] = ()
    left: str = ""


class Moved(Exception):
    """The stream has to be folded once more: its head says something else of the live rows, or rows were not read."""


def rebuild_stream(seat: Seat, stream: str, advanced: Callable[[int], object] = lambda events: None) -> Rebuilt:
    """Fold a stream anew and make its rows live; `advanced` is told of events folded, and may raise to stop it.

    Nothing is changed unless all of it is done. Raises `LedgerUnavailable`, or what the database has against it.
    """
    for _ in range(TRIES):
        refold = _Refold(seat, stream, advanced)
        try:
            return refold.run()
        except Moved:
            continue
        except (UnknownTopic, MapperDeserialisationError) as error:
            return Rebuilt(stream=stream, left=_why_left(error))
        finally:
            refold.remove_leftovers()
    raise LedgerUnavailable(stream=stream)


class _Refold:
    """One try to rebuild a stream."""

    def __init__(self, seat: Seat, stream: str, advanced: Callable[[int], object]) -> None:
        self._seat, self._advanced = seat, advanced
        self._head = head_of(seat, stream)
        self._generation = max(time.time_ns() // 1000, self._head.generation + 1)
        self._stage = Stage(seat, stream, self._generation)
        staged = replace(self._head, version=max(1, self._head.version), generation=self._generation)
        self._folds = {p.name: (p, Held(loader(p, staged, seat))) for p in relevant(stream)}
        self._faults: dict[str, Fault] = {}
        self._at = 0

    def run(self) -> Rebuilt:
        for projection, _ in self._live():
            with self._blaming(projection):
                remove(self._seat, projection.table, self._head.stream, self._head.generation)
        for _ in range(ROUNDS):
            self._fold_what_is_there()
            for projection, held in self._live():
                with self._blaming(projection):
                    # Durable, so that the last commit, for which writers wait, has little to flush.
                    self._stage.write(projection, held.written, held.unwritten(), durable=True)
            if head_of(self._seat, self._head.stream).version - self._at <= FEW_EVENTS:
                break
        return self._go_live()

    def _live(self) -> list[tuple[Projection, Held]]:
        """The projections that nothing was found against so far."""
        return list(self._folds.values())

    def _fold_what_is_there(self) -> None:
        """Fold page after page until there is no more; what exceeds the bound is written and forgotten."""
        while self._fold_page() == PAGE_EVENTS:
            for projection, held in self._live():
                if len(held) > HELD_ROWS:
                    with self._blaming(projection):
                        changes = held.forget_oldest(len(held) - HELD_ROWS * 3 // 4)
                        self._stage.write(projection, held.written, changes)

    def _fold_page(self) -> int:
        """Fold the next events, at most `PAGE_EVENTS`; how many there were."""
        stream, rows = self._head.stream, self._page()
        events = [event_of(stream, version, topic, state) for version, topic, state in rows]
        for projection, held in self._live():
            fold = projection.fold
            try:
                for event in events:
                    fold(event, held)
            except (psycopg.Error, sqlite3.Error) as error:  # of a row that was to be loaded back
                raise Moved(stream) from error
            except Exception as error:
                self._set_aside(fault(projection, stream, event, error))
        if rows:
            self._at = rows[-1][0]
        self._advanced(len(rows))
        return len(rows)

    def _page(self) -> list[Any]:
        """Version, topic and state of the next events."""
        seat, place = self._seat, {"stream": self._head.stream, "after": self._at, "limit": PAGE_EVENTS}
        sql, binds, own = _PAGE.compiled(seat.dialect)
        binary = {"binary": True} if seat.database.is_postgresql else {}
        seat.cursor.execute(sql, [{**own, **place}[bind] for bind in binds], **binary)
        return list(seat.cursor.fetchall())

    def _go_live(self) -> Rebuilt:
        """Fold what came last while nobody can write to the stream, and point its head to the new rows."""
        seat, stream = self._seat, self._head.stream
        with seat.transaction(durable=True) as cursor:
            if seat.database.is_postgresql:
                seat.execute(_LOCK, {"of_stream": stream})
            began = time.perf_counter()
            head = head_of(seat, stream)
            if (head.generation, head.folded) != (self._head.generation, self._head.folded):
                raise Moved(stream)
            while self._fold_page() == PAGE_EVENTS:
                pass
            for projection, held in self._live():
                with self._blaming(projection), savepoint(cursor):
                    self._stage.put(cursor, projection, held.written, held.unwritten())
            self._move_head(head)
        waited_s = time.perf_counter() - began
        rows = sum(self._stage.rows[name] for name in self._folds)
        return Rebuilt(
            stream=stream, events=self._at, rows=rows, waited_s=waited_s, faults=tuple(self._faults.values())
        )

    def _move_head(self, head: Head) -> None:
        seat, place = self._seat, {"of_stream": head.stream}
        for each in self._faults.values():
            seat.execute(upsert(PROJECTION_FAULTS, seat.dialect.name), asdict(each))
        for projection, _ in self._live():
            seat.execute(_FORGET_FAULT, place | {"name": projection.name})
        folded = " ".join(tag(projection) for projection, _ in self._live())
        going_live = {"of_generation": self._head.generation, "generation": self._generation, "folded": folded}
        if seat.execute(_GO_LIVE, place | going_live) != 1:
            raise Moved(head.stream)

    @contextmanager
    def _blaming(self, projection: Projection) -> Iterator[None]:
        """What is wrong with a projection's rows sets it aside, and nothing else."""
        try:
            yield
        except Exception as error:
            if not failures.is_of_rows(error):
                raise
            newest = head_of(self._seat, self._head.stream)
            event = Event(originator_version=newest.version, recorded_at=newest.recorded_at)
            self._set_aside(fault(projection, newest.stream, event, error))

    def _set_aside(self, fault: Fault) -> None:
        self._faults[fault.projection] = fault
        del self._folds[fault.projection]

    def remove_leftovers(self) -> None:
        """Remove what no head points to: the rows of before, or those of a rebuild that came to nothing."""
        with suppress(Exception):  # nobody reads them, and the next rebuild removes them
            live = head_of(self._seat, self._head.stream)
            for projection in relevant(live.stream):
                aside = projection.name in self._faults and live.generation == self._generation
                remove(self._seat, projection.table, live.stream, None if aside else live.generation)


def _why_left(error: Exception) -> str:
    """Why a stream cannot be folded here."""
    if isinstance(error, UnknownTopic):
        return "version {version} is an event of a newer release: {topic}".format(**error.details)
    return str(error)
