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
_DECODE = msgspec.json.Decoder().decode


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
    return event_of(stream, row["version"], row["topic"], row["state"])


def event_of(stream: str, version: int, topic: str, state: bytes) -> Event:
    """The event of stored values. Raises `UnknownTopic`, and `MapperDeserialisationError` for what is no JSON.

    What the mapper does, without its detours: nothing costs a rebuild more than this. Whatever is out of the ordinary
    is left to the mapper.
    """
    kind = TOPICS.get(topic)
    if kind is None:
        UNKNOWN_TOPICS_SEEN.add(topic)
        raise UnknownTopic(stream=stream, version=version, topic=topic)
    try:
        fields = _DECODE(state)
    except msgspec.DecodeError:
        return _mapped(stream, version, topic, state)
    if "class_version" in fields or hasattr(kind, "class_version"):
        return _mapped(stream, version, topic, state)
    fields["originator_id"], fields["originator_version"] = stream, version
    event = object.__new__(kind)
    object.__setattr__(event, "__dict__", fields)
    return event


def _mapped(stream: str, version: int, topic: str, state: bytes) -> Event:
    stored = StoredEvent(originator_id=stream, originator_version=version, topic=topic, state=bytes(state))
    return cast(Event, _MAPPER.to_domain_event(stored))
