"""Some projections of one stream, folded from its first event into rows of a generation in the making."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import length_hint
from typing import Final, NamedTuple, Protocol

from ..events import Event
from ..store import Fault, Head, ReadModelBroken, failures
from ..store.codec import event_of
from ..store.store import head_of
from .alone import Seat
from .installed import relevant
from .live import RAISED, fault, loader
from .pages import page_after
from .projection import Projection
from .staging import AllWritten, Held, ReadBack, Stage, Written

PAGE_EVENTS: Final = 1_000
PAGE_BYTES: Final = 4_000_000
HELD_ROWS: Final = 20_000  # of one projection; then a quarter of them is written and forgotten
HELD_BYTES: Final = 16_000_000  # of one projection, by the events that they were made of


class Moved(Exception):
    """The stream has to be folded once more: its head says something else of the live rows, or rows were not read."""


class CompanionLost(Exception):
    """The process that folded another part is gone, or could not go on."""


class Piece(NamedTuple):
    """What another process folds: these projections of a stream, up to a version, into a generation."""

    stream: str
    generation: int
    upto: int
    projections: tuple[str, ...]


class Done(NamedTuple):
    """What came of a piece: how many rows of which projection are in their tables, and what was set aside."""

    rows: Mapping[str, int]
    faults: tuple[Fault, ...]


class Companion(Protocol):
    """Another process that folds a piece meanwhile."""

    def begin(self, piece: Piece) -> None: ...

    def done(self) -> Done:
        """Wait until it is. Raises `CompanionLost`."""
        ...

    def end(self) -> None:
        """It writes nothing any more when this returns."""
        ...


class Part:
    """Projections by name with their rows, as of the version `at`; `faults` are those that were set aside."""

    def __init__(
        self, seat: Seat, head: Head, generation: int, names: Iterable[str], advanced: Callable[[int], object]
    ) -> None:
        self._seat, self.head, self._advanced = seat, head, advanced
        self.stage, self._reading = Stage(seat, head.stream, generation), ReadBack(seat)
        self._staged = replace(head, version=max(1, head.version), generation=generation)
        chosen = set(names)
        self._folds = {p.name: self._held(p, Written(head.version)) for p in relevant(head.stream) if p.name in chosen}
        self.faults: dict[str, Fault] = {}
        self.at = 0

    def _held(self, projection: Projection, written: Written) -> tuple[Projection, Held]:
        return projection, Held(loader(projection, self._staged, self._reading), written)

    def live(self) -> list[tuple[Projection, Held]]:
        """The projections that nothing was found against so far, in their order."""
        return [self._folds[p.name] for p in relevant(self.head.stream) if p.name in self._folds]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows there are in the tables."""
        return {name: self.stage.rows[name] for name in self._folds}

    def fold(self, upto: int | None = None) -> None:
        """Fold page after page until there is no more; what exceeds the bound is written and forgotten."""
        while self.fold_page(upto):
            for projection, held in self.live():
                excess = held.excess(HELD_ROWS, HELD_BYTES)
                if excess:
                    with self.blaming(projection):
                        self.stage.write(projection, held.written, held.forget_oldest(excess))

    def fold_page(self, upto: int | None = None) -> bool:
        """Fold the next events; whether there may be more."""
        stream = self.head.stream
        most = PAGE_EVENTS if upto is None else min(PAGE_EVENTS, upto - self.at)
        if most <= 0:
            return False
        rows, size, is_full = page_after(self._seat, stream, self.at, most, PAGE_BYTES)
        events = [event_of(stream, version, topic, state) for version, topic, state in rows]
        for projection, held in self.live():
            held.size += size
            rest = iter(events)
            try:
                projection.fold_all(rest, held)
            except ReadModelBroken as error:  # of a row that was to be loaded back
                raise Moved(stream) from error
            except RAISED as error:
                if not self._reading.failed:
                    self._set_aside(fault(projection, stream, events[-1 - length_hint(rest)], error))
            if self._reading.failed:
                raise Moved(stream)
        self.at = rows[-1][0] if rows else self.at
        self._advanced(len(rows))
        return is_full

    def write(self) -> None:
        """Write what is not written yet. Durable: the last commit, for which writers wait, has little to flush then."""
        waiting = [(projection, held, held.unwritten()) for projection, held in self.live()]
        last = next((projection for projection, _, changes in reversed(waiting) if changes), None)
        for projection, held, changes in waiting:
            with self.blaming(projection):
                self.stage.write(projection, held.written, changes, durable=projection is last)

    def adopt(self, projections: Iterable[Projection], done: Done) -> None:
        """Go on with what another process has folded to the same version."""
        self.stage.rows.update(done.rows)
        self.faults |= {fault.projection: fault for fault in done.faults}
        self._folds |= {p.name: self._held(p, AllWritten()) for p in projections if p.name not in self.faults}

    @contextmanager
    def blaming(self, projection: Projection) -> Iterator[None]:
        """What is wrong with a projection's rows sets it aside, and nothing else."""
        try:
            yield
        except Exception as error:
            if not failures.is_of_rows(error):
                raise
            newest = head_of(self._seat, self.head.stream)
            event = Event(originator_version=newest.version, recorded_at=newest.recorded_at)
            self._set_aside(fault(projection, newest.stream, event, error))

    def _set_aside(self, fault: Fault) -> None:
        self.faults[fault.projection] = fault
        self._folds.pop(fault.projection, None)


def fold_piece(seat: Seat, piece: Piece, advanced: Callable[[int], object]) -> Done:
    """Fold a piece, and have all its rows in their tables."""
    head = head_of(seat, piece.stream)
    part = Part(seat, head, piece.generation, piece.projections, advanced)
    part.fold(piece.upto)
    if part.at != piece.upto:
        raise Moved(piece.stream)
    part.write()
    return Done(part.rows, tuple(part.faults.values()))


def halved(projections: Sequence[Projection]) -> tuple[list[Projection], list[Projection]]:
    """Two parts of about the same work, which is guessed from the columns and indexes of the tables."""
    halves: tuple[list[Projection], list[Projection]] = ([], [])
    for projection in sorted(projections, key=_weight, reverse=True):
        min(halves, key=lambda half: sum(map(_weight, half))).append(projection)
    return halves


def _weight(projection: Projection) -> int:
    return len(projection.table.columns) * (1 + len(projection.table.indexes))
