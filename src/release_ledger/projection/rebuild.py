"""Rebuilding one stream: folded from its first event into rows of a new generation, beside the live ones.

Nothing is locked until the fold has caught up with the stream; then its head is, for what came last, and points to the
new rows. Readers see the old rows or the new ones; an append that folded onto the old ones finds that the head has
moved and decides again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import bindparam, delete, select, update

from ..events import Event
from ..store import Fault, Head, Params, ReadModelBroken, Row, Statement, failures
from ..store.codec import UnknownTopic, event_of
from ..store.schema import PROJECTION_FAULTS, STREAMS
from ..store.store import head_of
from ..store.transaction import savepoint, upsert
from .alone import Seat
from .installed import relevant, tag
from .live import RAISED, fault, loader
from .pages import page_after
from .projection import Projection
from .staging import Held, Stage, remove

PAGE_EVENTS: Final = 1_000
PAGE_BYTES: Final = 4_000_000
HELD_ROWS: Final = 20_000  # of one projection; then a quarter of them is written and forgotten
HELD_BYTES: Final = 16_000_000  # of one projection, by the events that they were made of
FEW_EVENTS: Final = 100  # so many may be left to fold while writers wait
ROUNDS: Final = 50
TRIES: Final = 5
PAUSE_S: Final = 1.0  # in which somebody else may give back what was locked

_LOCK = Statement(select(STREAMS.c.stream).where(STREAMS.c.stream == bindparam("of_stream")).with_for_update())
_GO_LIVE = Statement(
    update(STREAMS)
    .where(STREAMS.c.stream == bindparam("of_stream"), STREAMS.c.generation == bindparam("of_generation"))
    .values(generation=bindparam("generation"), folded=bindparam("folded"))
)
FORGET_FAULT = Statement(
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

    Nothing is changed unless all of it is done. Raises what the database has against it.
    """
    in_the_way = "it was changed again and again meanwhile"
    for _ in range(TRIES):
        try:
            with closing(_Refold(seat, stream, advanced)) as refold:
                return refold.run()
        except Moved:
            continue
        except (UnknownTopic, MapperDeserialisationError) as error:
            return Rebuilt(stream=stream, left=_why_left(error))
        except Exception as error:
            if not failures.is_of_locks(error):
                raise
            in_the_way = f"somebody else had it locked: {error}".splitlines()[0]
            time.sleep(PAUSE_S)
    return Rebuilt(stream=stream, left=in_the_way)


class _Reading:
    """Where rows that were written are loaded back from; remembers that it failed: the fold is not to blame then."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self.failed = seat, False

    def read(self, statement: Statement, params: Params) -> list[Row]:
        try:
            return self._seat.read(statement, params)
        except Exception:
            self.failed = True
            raise


class _Refold:
    """One try to rebuild a stream."""

    def __init__(self, seat: Seat, stream: str, advanced: Callable[[int], object]) -> None:
        self._seat, self._advanced = seat, advanced
        self._head = head_of(seat, stream)
        self._generation = max(time.time_ns() // 1000, self._head.generation + 1)
        self._stage = Stage(seat, stream, self._generation)
        staged = replace(self._head, version=max(1, self._head.version), generation=self._generation)
        self._reading, projections = _Reading(seat), relevant(stream)
        self._folds = {p.name: (p, Held(loader(p, staged, self._reading))) for p in projections}
        self._made = seat.made(p.table for p in projections)
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
        while self._fold_page():
            for projection, held in self._live():
                excess = held.excess(HELD_ROWS, HELD_BYTES)
                if excess:
                    with self._blaming(projection):
                        self._stage.write(projection, held.written, held.forget_oldest(excess))

    def _fold_page(self) -> bool:
        """Fold the next events; whether there may be more."""
        stream = self._head.stream
        rows, size, is_full = page_after(self._seat, stream, self._at, PAGE_EVENTS, PAGE_BYTES)
        events = [event_of(stream, version, topic, state) for version, topic, state in rows]
        for projection, held in self._live():
            fold = projection.fold
            held.size += size
            try:
                for event in events:
                    fold(event, held)
            except ReadModelBroken as error:  # of a row that was to be loaded back
                raise Moved(stream) from error
            except RAISED as error:
                if not self._reading.failed:
                    self._set_aside(fault(projection, stream, event, error))
            if self._reading.failed:
                raise Moved(stream)
        if rows:
            self._at = rows[-1][0]
        self._advanced(len(rows))
        return is_full

    def _go_live(self) -> Rebuilt:
        """Fold what came last while nobody can write to the stream, and point its head to the new rows."""
        seat, stream = self._seat, self._head.stream
        with seat.transaction(durable=True) as cursor:
            if seat.database.is_postgresql:
                seat.execute(_LOCK, {"of_stream": stream})
            began = time.perf_counter()
            head = head_of(seat, stream)
            made = seat.made(p.table for p in relevant(stream))  # in those of before, rows may have been
            if (head.generation, head.folded, made) != (self._head.generation, self._head.folded, self._made):
                raise Moved(stream)
            while self._fold_page():
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
            seat.execute(FORGET_FAULT, place | {"name": projection.name})
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

    def close(self) -> None:
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
