"""The recorder interface of the `eventsourcing` library over the store, for applications written with that library.

The ledger itself does not use it. What is appended through it is chained like everything else, but folded by nobody:
the head lists no projection, so that a ledger's stream is answered by folding until it is mended.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from sqlalchemy import bindparam, func, or_, select

from ..errors import LedgerUnavailable
from .append import Append, Conflict, Head, chained, next_moment
from .schema import EVENTS
from .statement import Params, Row, Statement
from .store import Store, head_of

POLL_S: Final = 0.1
NOTIFICATIONS_PER_READ: Final = 500
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1

_ORIGINATOR = (EVENTS.c.stream, EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state)
_BETWEEN = (
    select(*_ORIGINATOR)
    .where(
        EVENTS.c.stream == bindparam("stream"),
        EVENTS.c.version > bindparam("gt"),
        EVENTS.c.version <= bindparam("lte"),
    )
    .limit(bindparam("limit"))
)
_ASCENDING = Statement(_BETWEEN.order_by(EVENTS.c.version))
_DESCENDING = Statement(_BETWEEN.order_by(EVENTS.c.version.desc()))
_MAX_POSITION = Statement(select(func.max(EVENTS.c.position).label("position")))


class LedgerAggregateRecorder(AggregateRecorder):
    """Aggregates as streams: the originator's id, written as text, is the stream's name."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Append to one or several streams, in one transaction.

        Raises `IntegrityError` unless the versions of each stream follow its newest event's (a new stream begins at
        any version), and `OperationalError` when the database cannot be written.
        """
        self._insert(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of a stream with versions above `gt` up to `lte`, oldest first or (`desc`) newest first."""
        place = {
            "stream": str(originator_id),
            "gt": _SMALLEST if gt is None else gt,
            "lte": _LARGEST if lte is None else lte,
            "limit": _LARGEST if limit is None else limit,
        }
        return [_stored(row) for row in self._read(_DESCENDING if desc else _ASCENDING, place)]

    def _insert(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        of_stream: dict[str, list[StoredEvent]] = {}
        for event in stored_events:
            of_stream.setdefault(str(event.originator_id), []).append(event)
        if not of_stream:
            return []
        try:
            appends = [_append(head_of(self.store, stream), events) for stream, events in of_stream.items()]
            positions = self.store.append_all(appends)
        except Conflict as error:
            raise IntegrityError(str(error)) from error
        except LedgerUnavailable as error:
            raise OperationalError(str(error)) from error
        recorded = (event for append in appends for event in append.events)
        position_of = {(event.stream, event.version): at for event, at in zip(recorded, positions, strict=True)}
        return [position_of[str(event.originator_id), event.originator_version] for event in stored_events]

    def _read(self, statement: Statement, params: Params) -> list[Row]:
        try:
            return self.store.read(statement, params)
        except LedgerUnavailable as error:
            raise OperationalError(str(error)) from error


class LedgerApplicationRecorder(LedgerAggregateRecorder, ApplicationRecorder):
    """All events in the order of `position`, which serves as the notification's id and may show gaps.

    On PostgreSQL a transaction that takes longer commits positions below those that were already read: whoever
    must not miss an event reads the ledger's feed, not this.
    """

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Like the aggregate recorder's; the events' positions."""
        return self._insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """At most `limit` events, of these topics (none: all), from position `start` (or after it) up to `stop`."""
        place = {
            "first": _SMALLEST if start is None else start if inclusive_of_start else start + 1,
            "last": _LARGEST if stop is None else stop,
            "limit": limit,
            **{f"topic_{number}": topic for number, topic in enumerate(topics)},
        }
        rows = self._read(_notifications(len(topics)), place)
        return [Notification(**vars(_stored(row)), id=row["position"]) for row in rows]

    def max_notification_id(self) -> int | None:
        """The newest event's position."""
        newest: int | None = self._read(_MAX_POSITION, {})[0]["position"]
        return newest

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> PollingSubscription:
        """The events after position `gt`, and those to come, for ever."""
        return PollingSubscription(self, gt, topics)


class PollingSubscription(Subscription[LedgerApplicationRecorder]):
    """Asks for new events every `POLL_S` seconds, until it is stopped."""

    def __init__(self, recorder: LedgerApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder, gt, topics)
        self._read: list[Notification] = []
        self._stopped = threading.Event()

    def stop(self) -> None:
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if not self._read:
                start = self._last_notification_id
                found = self._recorder.select_notifications(
                    start, NOTIFICATIONS_PER_READ, topics=self._topics, inclusive_of_start=False
                )
                self._read = list(reversed(found))
            if self._read:
                notification = self._read.pop()
                self._last_notification_id = notification.id
                return notification
            self._stopped.wait(POLL_S)
        raise StopIteration


def _append(head: Head, events: Sequence[StoredEvent]) -> Append:
    first = events[0].originator_version if head.is_new else head.version + 1
    versions = [event.originator_version for event in events]
    if versions != list(range(first, first + len(events))):
        raise IntegrityError(f"{head.stream} continues at version {first}, not with {versions}")
    entries = [(event.originator_version, event.topic, event.state) for event in events]
    return Append(head=head, events=chained(head, entries, next_moment(head)), folded="")


def _stored(row: Row) -> StoredEvent:
    return StoredEvent(
        originator_id=row["stream"],
        originator_version=row["version"],
        topic=row["topic"],
        state=bytes(row["state"]),
    )


@cache
def _notifications(topics: int) -> Statement:
    wanted = select(EVENTS.c.position, *_ORIGINATOR).where(
        EVENTS.c.position >= bindparam("first"), EVENTS.c.position <= bindparam("last")
    )
    if topics:
        wanted = wanted.where(or_(*(EVENTS.c.topic == bindparam(f"topic_{number}") for number in range(topics))))
    return Statement(wanted.order_by(EVENTS.c.position).limit(bindparam("limit")))
