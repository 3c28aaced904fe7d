"""One stream against everything that vouches for it: its chain, its head, its leaves in the tree of checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from ..events import Event
from ..projection import kind_of
from ..store.database import Database
from .chains import DIGEST, VERSION, Chain, Wrong
from .rows import PAGE, Name, Reader

_NEVER: Final = 2**63


class Checked(NamedTuple):
    """What came of a stream: how many of its events are good, and the first that is not, and what else is wrong."""

    stream: Name
    events: int
    wrong: list[Wrong]


def check_stream(reader: Reader, stream: Name, advanced: Callable[[int], object]) -> Checked:
    """Follow a stream from its first event on, as of one moment; `advanced` is told of events followed."""
    with reader.snapshot():
        return _Check(reader, stream).checked(advanced)


def share_of(streams: Sequence[Name], reader: Reader, advanced: Callable[[int], object]) -> list[Checked]:
    """Several streams, one after the other."""
    return [check_stream(reader, stream, advanced) for stream in streams]


@contextmanager
def verifying(database: Database) -> Iterator[Callable[[Any, Callable[[int], object]], list[Checked]]]:
    """What each process of a verification does."""
    with closing(Reader(database)) as reader:
        yield lambda streams, advanced: share_of(streams, reader, advanced)


class _Check:
    """One stream, on its way from its first event to its head."""

    def __init__(self, reader: Reader, stream: Name) -> None:
        self._reader, self._stream = reader, stream
        name = stream if isinstance(stream, str) else repr(stream)
        # Applications that only use the recorder may begin where they like.
        self._chain = Chain(name, None if kind_of(name) is Event else 1)
        self._head = reader.head(stream)
        self._leaves = reader.leaves_of(stream)
        self._due: Any = None
        self._wrong: list[Wrong] = []
        self._next_leaf()

    def checked(self, advanced: Callable[[int], object]) -> Checked:
        if isinstance(self._stream, bytes):
            self._wrong.append(Wrong(None, "edited", "its name is no text"))
        else:
            is_whole = self._follow(advanced)
            if is_whole:
                self._compare_head()
            self._compare_leaves_beyond(is_whole=is_whole)
        return Checked(self._stream, self._chain.events, self._wrong)

    def _follow(self, advanced: Callable[[int], object]) -> bool:
        """Whether every event is as it was recorded."""
        page = self._reader.events(self._stream)
        while page:
            good = self._chain.follow(page)
            self._compare_leaves(page, good)
            advanced(good)
            if good < len(page):
                self._wrong.insert(0, self._named(page[good:]))
                return False
            if len(page) < PAGE:
                break
            page = self._reader.events(self._stream, page[-1][VERSION] + 1)
        return True

    def _named(self, rows: list[Any]) -> Wrong:
        """What the first of these is; the pages after it are looked at, too."""
        last = rows[-1][VERSION]
        if isinstance(last, int) and last < _NEVER - 1:
            rows = rows + self._reader.events(self._stream, last + 1)
        wrong = self._chain.wrong(rows)
        version, head_version = rows[0][VERSION], self._head[0] if self._head else None
        is_beyond = isinstance(head_version, int) and version == wrong.version and head_version < version
        is_unknown = self._head is None and not self._chain.events
        if wrong.word != "reordered" and (is_unknown or is_beyond):
            return Wrong(version, "inserted", "the head of the stream does not know it")
        return wrong

    def _compare_head(self) -> None:
        chain, head = self._chain, self._head
        if head is None and not chain.events:
            return  # nothing is left of it but its leaves, which tell
        if head is None:
            self._say(chain.version or None, "head", "the head of the stream is not there")
        elif not isinstance(head[0], int):
            self._say(chain.version or None, "head", "the head of the stream does not name a version")
        elif not chain.events or head[0] > chain.version:
            first = chain.version + 1 if chain.events else 1
            self._say(first, "cut off", f"the head of the stream is at version {head[0]}")
        elif head[0] < chain.version:
            self._say(head[0] + 1, "inserted", f"the head of the stream is at version {head[0]}")
        elif head[1] != chain.digest or head[2] != chain.recorded_at:
            which = "digest" if head[1] != chain.digest else "moment"
            self._say(chain.version, "head", f"the head of the stream has another {which} than its newest event")

    def _compare_leaves(self, page: list[Any], good: int) -> None:
        """The leaves of the events that were just followed."""
        last = self._chain.version if good else 0
        while self._due is not None and self._due[1] <= last and good:
            position, version, digest = self._due
            index = version - page[0][VERSION]
            if 0 <= index < good and page[index][VERSION] == version and page[index][DIGEST] != digest:
                self._say(version, "rewritten", f"leaf {position} of the checkpoints has another digest for it")
            elif not 0 <= index < good:
                self._say(version, "leaf", f"leaf {position} of the checkpoints names a version out of order")
            self._next_leaf()

    def _compare_leaves_beyond(self, *, is_whole: bool) -> None:
        """The leaves of events that are not there; of a stream with a bad event, nothing is known of what follows."""
        if is_whole and self._due is not None and not any(each.word == "cut off" for each in self._wrong):
            chain = self._chain
            first = chain.version + 1 if chain.events else 1
            self._say(first, "cut off", f"leaf {self._due[0]} of the checkpoints is of version {self._due[1]}")

    def _next_leaf(self) -> None:
        self._due = next(self._leaves, None)
        while self._due is not None and not isinstance(self._due[1], int):
            self._say(None, "leaf", f"leaf {self._due[0]} of the checkpoints names no version")
            self._due = next(self._leaves, None)

    def _say(self, version: int | None, word: str, what: str) -> None:
        if not any(each.word == word for each in self._wrong):
            self._wrong.append(Wrong(version, word, what))
