"""Between an event and its stored form: the library's mapper, with canonical JSON as the transcoder."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from ..errors import LedgerUnavailable
from ..events import TOPICS, Event
from .chain import canonical
from .statement import Row


class CanonicalTranscoder(Transcoder):
    """State as canonical JSON; refuses what has no place in an event."""

    def encode(self, obj: Any) -> bytes:
        return canonical(obj)

    def decode(self, data: bytes) -> Any:
        return msgspec.json.decode(data)


_MAPPER: Mapper[str] = Mapper(CanonicalTranscoder())


# What /readyz says of streams that a newer server has written.
UNKNOWN_TOPICS_SEEN: set[str] = set()


class UnknownTopic(LedgerUnavailable):
    """The ledger cannot be written"""

    # The event is of a newer server: its stream is answered 503 here. The docstring is the sentence callers read.


def encode(event: Event) -> tuple[int, str, bytes]:
    """Version, topic and state bytes of an event."""
    stored = _MAPPER.to_stored_event(event)
    return stored.originator_version, stored.topic, stored.state


def decode(stream: str, row: Row) -> Event:
    """The event of a stored row (version, topic, state). Raises `UnknownTopic`."""
    if row["topic"] not in TOPICS:
        UNKNOWN_TOPICS_SEEN.add(row["topic"])
        raise UnknownTopic(stream=stream, version=row["version"], topic=row["topic"])
    stored = StoredEvent(
        originator_id=stream, originator_version=row["version"], topic=row["topic"], state=bytes(row["state"])
    )
    return cast(Event, _MAPPER.to_domain_event(stored))
