"""Rebuilding one stream: folded from its first event into rows of a new generation, beside the live ones.

Nothing is locked until the fold has caught up with the stream; then its head is, for what came last, and points to the
new rows. Readers see the old rows or the new ones; an append that folded onto the old ones finds that the head has
moved and decides again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import Final

from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import bindparam, delete, select, update

from ..store import Fault, Head, Statement, failures
from ..store.codec import UnknownTopic
from ..store.schema import PROJECTION_FAULTS, STREAMS
from ..store.store import head_of
from ..store.transaction import savepoint, upsert
from .alone import Seat
from .installed import relevant, tag
from .part import Companion, CompanionLost, Moved, Part, Piece, halved
from .staging import remove

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


def rebuild_stream(
    seat: Seat,
    stream: str,
    advanced: Callable[[int], object] = lambda events: None,
    companion: Companion | None = None,
) -> Rebuilt:
    """Fold a stream anew and make its rows live; `advanced` is told of events folded, and may raise to stop it.

    Where it begins again, it tells of so many fewer. A companion folds half of the projections meanwhile, unless it is
    lost. Nothing is changed unless all of it is done.
    Raises what the database has against it.
    """
    in_the_way, told = "it was changed again and again meanwhile", _Told(advanced)
    for _ in range(TRIES):
        told.begin_again()
        try:
            with closing(_Refold(seat, stream, told, companion)) as refold:
                return refold.run()
        except Moved:
            continue
        except CompanionLost:
            companion = None
        except (UnknownTopic, MapperDeserialisationError) as error:
            return Rebuilt(stream=stream, left=_why_left(error))
        except Exception as error:
            if not failures.is_of_locks(error):
                raise
            in_the_way = f"somebody else had it locked: {error}".splitlines()[0]
            time.sleep(PAUSE_S)
    return Rebuilt(stream=stream, left=in_the_way)


class _Told:
    """Whoever is told of events folded, and how many of this stream it was told of."""

    def __init__(self, advanced: Callable[[int], object]) -> None:
        self._advanced, self._events = advanced, 0

    def __call__(self, events: int) -> None:
        self._events += events
        self._advanced(events)

    def begin_again(self) -> None:
        if self._events:
            self(-self._events)


class _Refold:
    """One try to rebuild a stream."""

    def __init__(
        self, seat: Seat, stream: str, advanced: Callable[[int], object], companion: Companion | None = None
    ) -> None:
        self._seat, self._companion = seat, companion
        self._head = head_of(seat, stream)
        self._generation = max(time.time_ns() // 1000, self._head.generation + 1)
        projections = relevant(stream)
        self._made = seat.made(p.table for p in projections)
        own, self._others = halved(projections) if companion is not None else (projections, [])
        self._part = Part(seat, self._head, self._generation, [p.name for p in own], advanced)

    def run(self) -> Rebuilt:
        stream, upto = self._head.stream, self._head.version
        for projection in relevant(stream):
            with self._part.blaming(projection):
                remove(self._seat, projection.table, stream, self._head.generation)
        if self._companion is not None:
            self._companion.begin(Piece(stream, self._generation, upto, tuple(p.name for p in self._others)))
        self._part.fold(upto)
        if self._companion is not None:
            self._part.adopt(self._others, self._companion.done())
        for _ in range(ROUNDS):
            self._part.fold()
            self._part.write()
            if head_of(self._seat, stream).version - self._part.at <= FEW_EVENTS:
                break
        return self._go_live()

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
            while self._part.fold_page():
                pass
            for projection, held in self._part.live():
                with self._part.blaming(projection), savepoint(cursor):
                    self._part.stage.put(cursor, projection, held.written, held.unwritten())
            self._move_head(head)
        waited_s = time.perf_counter() - began
        faults, rows = tuple(self._part.faults.values()), sum(self._part.rows.values())
        return Rebuilt(stream=stream, events=self._part.at, rows=rows, waited_s=waited_s, faults=faults)

    def _move_head(self, head: Head) -> None:
        seat, place = self._seat, {"of_stream": head.stream}
        for each in self._part.faults.values():
            seat.execute(upsert(PROJECTION_FAULTS, seat.dialect.name), asdict(each))
        for projection, _ in self._part.live():
            seat.execute(FORGET_FAULT, place | {"name": projection.name})
        folded = " ".join(tag(projection) for projection, _ in self._part.live())
        going_live = {"of_generation": self._head.generation, "generation": self._generation, "folded": folded}
        if seat.execute(_GO_LIVE, place | going_live) != 1:
            raise Moved(head.stream)

    def close(self) -> None:
        """Remove what no head points to: the rows of before, or those of a rebuild that came to nothing."""
        if self._companion is not None:
            self._companion.end()
        with suppress(Exception):  # nobody reads them, and the next rebuild removes them
            live = head_of(self._seat, self._head.stream)
            for projection in relevant(live.stream):
                aside = projection.name in self._part.faults and live.generation == self._generation
                remove(self._seat, projection.table, live.stream, None if aside else live.generation)


def _why_left(error: Exception) -> str:
    if isinstance(error, UnknownTopic):
        return "version {version} is an event of a newer release: {topic}".format(**error.details)
    return str(error)
