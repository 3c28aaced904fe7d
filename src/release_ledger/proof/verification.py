"""All streams of a ledger, or of a part of it, and the tree of checkpoints: everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ..errors import EnvironmentNotFound, ProjectNotFound
from ..projection import environment_stream, project_stream
from ..projection.crew import shared_out
from ..store.database import Database
from .note import Checkpoint
from .rows import Name, Reader
from .streams import Checked, share_of, verifying
from .tree import TreeChecked, check_tree

EVENTS_AT_ONCE: Final = 20_000
STREAMS_AT_ONCE: Final = 500
Advanced = Callable[[int], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that is wrong; `stream` is None where it is the tree of checkpoints."""

    stream: str | None
    version: int | None
    word: str
    what: str


@dataclass
class Verified:
    """How much was verified, and what was found."""

    streams: int = 0
    events: int = 0
    leaves: int = 0
    checkpoints: int = 0
    signatures: int = 0
    found: list[Finding] = field(default_factory=list)

    def add(self, checked: Checked) -> None:
        """What came of one stream."""
        self.streams += 1
        self.events += checked.events
        name = checked.stream if isinstance(checked.stream, str) else repr(checked.stream)
        self.found += [Finding(stream=name, version=w.version, word=w.word, what=w.what) for w in checked.wrong]

    def add_tree(self, checked: TreeChecked) -> None:
        """What came of the tree."""
        self.leaves, self.checkpoints, self.signatures = checked.leaves, checked.checkpoints, checked.signed
        self.found += [Finding(stream=None, version=None, word=w.word, what=w.what) for w in checked.wrong]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which streams: all, those of a project, or that of an environment."""

    project: str | None = None
    environment: str | None = None

    def has(self, stream: Name) -> bool:
        """Whether the stream is one of them."""
        if self.project is None:
            return True
        if self.environment is not None:
            return stream == environment_stream(self.project, self.environment)
        of_project = isinstance(stream, str) and stream.startswith(environment_stream(self.project, ""))
        return of_project or stream == project_stream(self.project)


def streams_of(reader: Reader, part: Part) -> dict[Name, int]:
    """The streams to verify, with the versions that their heads claim. Raises `Refusal` where there are none."""
    found = {stream: version for stream, version in reader.streams() if part.has(stream)}
    if not found:
        refuse_what_is_not_there(part)
    return found


def refuse_what_is_not_there(part: Part) -> None:
    """Raise what says that nothing is of this part; of a ledger without any event, nothing."""
    if part.project is not None:
        raise ProjectNotFound() if part.environment is None else EnvironmentNotFound()


def verify(
    database: Database,
    streams: dict[Name, int],
    jobs: int,
    *,
    against: Checkpoint | None = None,
    key: Ed25519PublicKey | None = None,
    advanced: Advanced = lambda events: None,
) -> Verified:
    """Verify these streams and the tree, in so many processes. Raises `LedgerUnavailable`, the driver's errors."""
    verified = Verified()
    with closing(Reader(database)) as reader:
        pieces = list(_pieces(streams))
        if jobs == 1 or len(pieces) < 2:
            for piece in pieces:
                for checked in share_of(piece, reader, advanced):
                    verified.add(checked)
        else:
            for share in shared_out(database, pieces, jobs, verifying, advanced):
                for checked in share:
                    verified.add(checked)
        verified.add_tree(check_tree(reader, against, key))
    verified.found.sort(key=lambda each: (each.stream is None, each.stream or ""))
    return verified


def _pieces(streams: dict[Name, int]) -> Iterator[Sequence[Name]]:
    """The longest first, so that all processes end together; short ones many at a time."""
    piece: list[Name] = []
    events = 0
    for stream in sorted(streams, key=lambda each: -streams[each]):
        piece.append(stream)
        events += streams[stream]
        if events >= EVENTS_AT_ONCE or len(piece) >= STREAMS_AT_ONCE:
            yield piece
            piece, events = [], 0
    if piece:
        yield piece
