"""Streams that had to be folded are kept in memory, and go on from there: only the first question about one waits.

A process has one of these for each database. Whoever asks names the streams, and sees these and no others, each at its
head. How a stream stood when it was folded is compared with the history each time: where it is another one (a restored
backup), it is folded anew. See `docs/decisions/0015-a-folded-stream-is-kept.md`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from ..errors import LedgerUnavailable
from ..store import Head, Store
from ..store.codec import decode
from ..store.store import EVENTS_PER_READ, events_after, head_of
from .folded import Failed, FoldedSource, people_in

FEW_EVENTS: Final = EVENTS_PER_READ
"""So many are folded at once; who has further to go waits for a turn."""

WAITING: Final = 1
"""Threads that wait for a turn. A server's process has four, and others than those who wait need some."""

TURN_WITHIN_S: Final = 10.0
LET_OTHERS_S: Final = 0.001
KEPT_BYTES: Final = 256 * 1024 * 1024
"""Of all streams together; but those that a question needs are kept, however long they are."""

UNUSED_S: Final = 60.0


class StillFolding(LedgerUnavailable):
    """The ledger cannot be written"""

    # A long stream is folded, and enough threads wait already. The docstring is the sentence callers read.

    def __init__(self, turn: threading.Lock) -> None:
        super().__init__()
        self._turn = turn

    def is_over(self) -> bool:
        """Whether it is worth asking again."""
        return not self._turn.locked()


@dataclass(kw_only=True)
class Kept:
    """How far a stream is folded: to which event, and what the head was that was shown with it."""

    head: Head
    version: int = 0
    digest: bytes = b""
    failed: Failed = field(default_factory=dict)
    people: set[str] = field(default_factory=set)


class KeptStreams:
    """The folded streams of one database, the one used last at the end; for all threads of a process."""

    def __init__(self) -> None:
        self._streams: dict[str, Kept] = {}
        self._source: FoldedSource | None = None
        self._used_at = time.monotonic()
        self._lock = threading.Lock()  # for as long as a question or a few events take
        self._turn = threading.Lock()  # to fold many
        self._places = threading.BoundedSemaphore(1 + WAITING)

    @contextmanager
    def asked(self, store: Store, streams: Sequence[str]) -> Iterator[FoldedSource]:
        """These streams, each as it is now. Raises `StillFolding`, and what reading the events raises."""
        while True:
            with self._lock:
                heads = [head for head in (head_of(store, stream) for stream in streams) if head.version]
                is_far = sum(self._behind(head) for head in heads) > FEW_EVENTS
                if not is_far and not any(self._fold(store, head) for head in heads):
                    with self._shown(store, heads) as source:
                        yield source
                    return
            if is_far:
                with self._its_turn():
                    for head in heads:
                        self._fold_all(store, head)

    def turn_for(self, heads: Iterable[Head]) -> AbstractContextManager[None]:
        """A turn, where folding up to these heads needs one."""
        return self._its_turn() if sum(head.version for head in heads) > FEW_EVENTS else nullcontext()

    @contextmanager
    def _its_turn(self) -> Iterator[None]:
        """One thread at a time folds many events, and few wait. Raises `StillFolding`."""
        if not self._places.acquire(blocking=False):
            raise StillFolding(self._turn)
        try:
            if not self._turn.acquire(timeout=TURN_WITHIN_S):
                raise StillFolding(self._turn)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _behind(self, head: Head) -> int:
        """How many events a stream has to go to its head; where it has another history, all of them."""
        kept = self._streams.get(head.stream)
        if kept is not None and not _is_same(kept, head):
            self._forget(head.stream)
            kept = None
        return head.version - (kept.version if kept else 0)

    def _fold_all(self, store: Store, head: Head) -> None:
        more = True
        while more:
            with self._lock:
                more = self._fold(store, head)
            time.sleep(LET_OTHERS_S)

    def _fold(self, store: Store, head: Head) -> bool:
        """Fold the next few events of a stream; whether there are more until the head."""
        self._used_at = time.monotonic()
        kept = self._streams.setdefault(head.stream, Kept(head=head))
        if kept.version >= head.version:
            return False
        # The event that was folded last comes once more, to see that it is still the same.
        after = max(0, kept.version - 1)
        rows = list(islice(events_after(store, head.stream, after, head.version), EVENTS_PER_READ))
        if kept.version:
            if not rows or (rows[0]["version"], bytes(rows[0]["digest"])) != (kept.version, kept.digest):
                self._forget(head.stream)
                return True
            del rows[0]
        if not rows:
            return False
        events = [decode(head.stream, row) for row in rows]
        at = Head(stream=head.stream, version=kept.version, generation=kept.head.generation)
        self._rows().fold(at, events, kept.failed)
        kept.people |= people_in(events)
        kept.version, kept.digest = rows[-1]["version"], bytes(rows[-1]["digest"])
        return kept.version < head.version

    @contextmanager
    def _shown(self, store: Store, heads: Iterable[Head]) -> Iterator[FoldedSource]:
        """The rows of these streams, which are folded to their heads, and of people what is known now."""
        source, people = self._rows(), set[str]()
        try:
            for head in heads:
                kept = self._streams[head.stream] = self._streams.pop(head.stream)
                if kept.head.generation != head.generation:
                    source.renumber(head.stream, head.generation)
                kept.head = head
                source.show(head, kept.failed)
                people |= kept.people
            source.add_people(store, people)
            yield source
        finally:
            source.hide()
            self._forget_some({head.stream for head in heads})

    def _rows(self) -> FoldedSource:
        if self._source is None:
            self._source = FoldedSource()
        return self._source

    def _forget(self, stream: str) -> None:
        del self._streams[stream]
        self._rows().remove(stream)

    def _forget_some(self, needed: set[str]) -> None:
        """Forget what was used longest ago, where it is too much; never what somebody is at folding."""
        if self._turn.locked():
            return
        for stream in [stream for stream in self._streams if stream not in needed]:
            if self._rows().size <= KEPT_BYTES:
                return
            self._forget(stream)

    def close_unused(self) -> None:
        """Give back the memory when nothing was asked for a while: the rows are live again."""
        if self._source is not None and time.monotonic() > self._used_at + UNUSED_S and self._lock.acquire(False):
            try:
                self._close()
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source, self._streams = None, {}


def _is_same(kept: Kept, head: Head) -> bool:
    """Whether the stream may have gone on from where it was folded to; the next events will tell."""
    if head.version == kept.head.version:
        return head.digest == kept.head.digest
    return head.version > kept.version


def kept_beside(store: Store) -> KeptStreams:
    """The folded streams of the store's database."""
    beside = store.database.beside
    kept: KeptStreams = beside.get(KeptStreams) or beside.setdefault(KeptStreams, KeptStreams())
    return kept


@contextmanager
def fold_now(store: Store, streams: Iterable[str]) -> Iterator[FoldedSource]:
    """These streams as they are now, folded; those that are not there are left out.

    Others wait until the question is over, so it is a short one. Raises `LedgerUnavailable`, of which `StillFolding`.
    """
    with kept_beside(store).asked(store, list(dict.fromkeys(streams))) as source:
        yield source
