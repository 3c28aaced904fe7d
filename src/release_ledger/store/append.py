"""What one append consists of: events at an expected version, and the rows that they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table

from ..versions import read_moment, write_moment
from .chain import FIRST_DIGEST, digest
from .schema import IDEMPOTENCY_KEYS, PEOPLE


class Conflict(Exception):
    """The stream is not at the expected version any more: decide again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The head of a stream: what the next append builds on."""

    stream: str
    version: int = 0
    digest: bytes = FIRST_DIGEST
    recorded_at: str = ""
    generation: int = 0
    folded: str = ""

    @property
    def is_new(self) -> bool:
        """Whether there is no such stream yet. Its version is no sign of it: a stranger's stream may begin at 0."""
        return not self.recorded_at

    @property
    def mark(self) -> str:
        """How the stream stands, in one text; as `schema.mark_of` asks the database for it."""
        return "" if self.is_new else f"{self.version} {self.recorded_at} {self.generation} {self.folded}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """An event as it is stored."""

    stream: str
    version: int
    topic: str
    state: bytes
    recorded_at: str
    digest: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """The rows of one read model that an append writes: by key the whole row, or None for a row that goes."""

    projection: str
    table: Table
    key: tuple[str, ...]
    rows: Mapping[tuple[Any, ...], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A projection that could not take an event of a stream, and why."""

    projection: str
    stream: str
    version: int
    error: str
    set_aside_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAnswer:
    """What a request with an idempotency key was answered; `headers` is a JSON object, `created_at` a moment."""

    scope: str
    key: str
    request_digest: bytes
    status: int
    headers: str
    body: bytes
    created_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """One append, made completely before its first try so that a second try is the same append.

    `folded` is what the head lists after it. `people` are (person id, e-mail) that become known with it, `keys` the
    idempotency keys whose answers are kept with it. `unmoved` are other streams and how they stood (`Head.mark`) when
    this was decided: where one has moved, it is a conflict like any other. `forgotten` are the ids of people whose
    e-mails go with it.
    """

    head: Head
    events: Sequence[Recorded]
    folded: str
    changes: Sequence[Change] = ()
    faults: Sequence[Fault] = ()
    people: Sequence[tuple[str, str]] = ()
    keys: Sequence[KeptAnswer] = ()
    unmoved: Sequence[tuple[str, str]] = ()
    forgotten: Sequence[str] = ()

    @property
    def beside(self) -> list[tuple[Table, list[dict[str, Any]]]]:
        """The rows that are written with the events and belong to no read model, table by table."""
        people = [{"person_id": person_id, "email": email} for person_id, email in self.people]
        tables = ((PEOPLE, people), (IDEMPOTENCY_KEYS, [asdict(key) for key in self.keys]))
        return [(table, rows) for table, rows in tables if rows]

    @property
    def last(self) -> Recorded:
        return self.events[-1]


def event_row(event: Recorded) -> dict[str, Any]:
    """The columns of an event (`asdict` would copy each value)."""
    return {name: getattr(event, name) for name in Recorded.__slots__}


def chained(head: Head, entries: Sequence[tuple[int, str, bytes]], recorded_at: str) -> list[Recorded]:
    """Events (version, topic, state) linked to the head and to one another by their digests."""
    previous, chain = head.digest, []
    for version, topic, state in entries:
        previous = digest(
            previous, stream=head.stream, version=version, topic=topic, recorded_at=recorded_at, state=state
        )
        event = Recorded(
            stream=head.stream, version=version, topic=topic, state=state, recorded_at=recorded_at, digest=previous
        )
        chain.append(event)
    return chain


def next_moment(head: Head) -> str:
    """The moment at which the next events of a stream are recorded: it never goes back."""
    now = write_moment(datetime.now(UTC))
    if now > head.recorded_at:
        return now
    return write_moment(read_moment(head.recorded_at) + timedelta(microseconds=1))
