"""Rebuilding many streams, one after the other or in several processes; the longest first, so that all end together.

A process that has lost its parent ends by itself, and holds the lock until then: no other rebuild begins before.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import select

from ..errors import LedgerUnavailable
from ..store import Source, Statement
from ..store.database import Database
from ..store.schema import STREAMS
from .alone import Seat, beside
from .installed import relevant
from .part import CompanionLost, Done, Piece, fold_piece
from .rebuild import Rebuilt, rebuild_stream

ENDS_WITHIN_S: Final = 20.0
LOOKED_FOR_PAGES: Final = 50  # then a process looks whether somebody still waits for it
COLLECTS_AFTER: Final = 100_000  # objects
MANY_EVENTS: Final = 20_000  # worth a process
Advanced = Callable[[int], object]
Work = Callable[[Any, Advanced], Any]
Doing = Callable[[Database], AbstractContextManager[Work]]

_STREAMS = Statement(select(STREAMS.c.stream, STREAMS.c.version).order_by(STREAMS.c.version.desc(), STREAMS.c.stream))


class Failed(NamedTuple):
    """Why a process gave up."""

    reason: str


class _Stopped(Exception):
    """The parent is gone, or does not want it any more."""


def streams_of(source: Source, names: Iterable[str]) -> dict[str, int]:
    """The streams that these projections fold (none named: all streams), with their versions, the longest first."""
    wanted = set(names)
    found = {row["stream"]: row["version"] for row in source.read(_STREAMS, {})}
    folded = {stream: {projection.name for projection in relevant(stream)} for stream in found}
    return {stream: found[stream] for stream, folds in folded.items() if folds & (wanted or folds)}


def rebuild_streams(seat: Seat, streams: Mapping[str, int], jobs: int, advanced: Advanced) -> Iterator[Rebuilt]:
    """Rebuild these streams of so many events, the longest first, in so many processes; each as soon as it is done.

    One that is longer than all others together is folded in two processes, by projections. `advanced` is told of events
    folded. Raises `LedgerUnavailable` where the database or a process is lost; what is done then is done.
    """
    rest = dict(streams)
    if jobs > 1:
        seat.share()
        for stream, events in streams.items():
            if events < MANY_EVENTS or events * jobs <= sum(rest.values()):
                break
            yield rebuild_stream(seat, stream, advanced, Beside(seat.database))
            del rest[stream]
    if jobs > 1 and sum(rest.values()) >= MANY_EVENTS:
        yield from shared_out(seat.database, list(rest), jobs, rebuilding, advanced)
    else:
        for stream in rest:
            yield rebuild_stream(seat, stream, advanced)


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """A fold makes many objects and no circles: to look for some every 700 objects takes a tenth of its time."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECTS_AFTER, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Beside:
    """A process that folds another part of a stream."""

    def __init__(self, database: Database) -> None:
        self._url, self._process = _url(database), ExitStack()
        self._member: Connection | None = None

    def begin(self, piece: Piece) -> None:
        """Have the piece folded, by a new process."""
        [self._member] = self._process.enter_context(_crew(self._url, 1, folding_pieces))
        self._member.send(piece)

    def done(self) -> Done:
        """Raises `CompanionLost`."""
        try:
            while True:
                said = _heard(self._member) if self._member is not None else None
                if not isinstance(said, int):
                    return cast(Done, said)
        except LedgerUnavailable as error:
            raise CompanionLost from error

    def end(self) -> None:
        self._process.close()


@contextmanager
def folding_pieces(database: Database) -> Iterator[Work]:
    """What a process does that folds a part of a stream; it tells only that it is there."""
    pages = count()

    def work(piece: Piece, advanced: Advanced) -> Done:
        return fold_piece(seat, piece, lambda _: next(pages) % LOOKED_FOR_PAGES == 0 and advanced(0))

    with beside(database) as seat:
        yield work


@contextmanager
def rebuilding(database: Database) -> Iterator[Work]:
    """What each process of a rebuild does."""
    with beside(database) as seat:
        yield lambda stream, advanced: rebuild_stream(seat, stream, advanced)


def shared_out(database: Database, pieces: Sequence[Any], jobs: int, doing: Doing, advanced: Advanced) -> Iterator[Any]:
    """What comes of each piece of a work, as soon as it is done in one of so many processes.

    `doing` is a function of a module: each process enters what it returns, and works with that.
    """
    with _crew(_url(database), min(jobs, len(pieces)), doing) as crew:
        waiting, busy = deque(pieces), list(crew)
        for member in crew:
            member.send(waiting.popleft())
        while busy:
            ready = wait(busy)
            for member in [each for each in crew if each in ready]:
                said = _heard(member)
                if isinstance(said, int):
                    advanced(said)
                    continue
                if waiting:
                    member.send(waiting.popleft())
                else:
                    busy.remove(member)
                yield said


def _heard(member: Connection) -> Any:
    try:
        said = member.recv()
    except (EOFError, ConnectionError):
        said = Failed("a process that worked at it ended")
    if isinstance(said, Failed):
        raise LedgerUnavailable(database=said.reason)
    return said


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@contextmanager
def _crew(url: str, size: int, doing: Doing) -> Iterator[list[Connection]]:
    """So many processes that do what they are told, and are gone at the end."""
    context = multiprocessing.get_context("spawn")
    members: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(size):
            parent_end, child_end = context.Pipe()
            process: BaseProcess = context.Process(
                target=_work, args=(url, child_end, doing), name=f"release-ledger {doing.__name__}", daemon=True
            )
            with _without_interrupts():
                process.start()
            child_end.close()
            members.append((process, parent_end))
        yield [ours for _, ours in members]
    finally:
        for _, ours in members:
            ours.close()
        for process, _ in members:
            _bury(process)


def _bury(process: BaseProcess) -> None:
    """It ends once it hears that nobody listens, and has removed what it left."""
    process.join(ENDS_WITHIN_S)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C is for the parent: a process started meanwhile ignores it from its first instruction on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(url: str, parent: Connection, doing: Doing) -> None:
    """What a process does: the pieces that it is told, until nobody tells it any more."""
    database = Database(url, pool_size=1)
    try:
        with collecting_seldom(), doing(database) as work:
            while True:
                parent.send(work(parent.recv(), _telling(parent)))
    except (EOFError, ConnectionError, _Stopped):
        pass
    except Exception as error:
        with suppress(ConnectionError):
            parent.send(Failed(_reason(error)))
    finally:
        database.close()


def _telling(parent: Connection) -> Advanced:
    def advanced(events: int) -> None:
        if parent.poll():  # nothing is ever told in the middle of a stream, but that the parent is gone
            raise _Stopped
        parent.send(events)

    return advanced


def _reason(error: BaseException) -> str:
    own = error.__cause__ or error
    return f"{type(own).__name__}: {own}".splitlines()[0]
