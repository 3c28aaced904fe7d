"""Between an event and its stored form: the library's mapper, with canonical JSON as the transcoder."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from ..errors import LedgerUnavailable
from ..events import TOPICS, Event
from .chain import NotCanonical, canonical
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
    """Version, topic and state bytes of an event. Raises `NotCanonical`, also where a field is not of its type."""
    for name, types in _declared(type(event)):  # type: ignore[arg-type] # a class is hashable
        value = getattr(event, name)
        if type(value) not in types and not (isinstance(value, types) and type(value) is not bool):
            raise NotCanonical(f"{name} of {event.TOPIC} is {value!r}")
    stored = _MAPPER.to_stored_event(event)
    return stored.originator_version, stored.topic, stored.state


@cache
def _declared(kind: type[Event]) -> tuple[tuple[str, tuple[type, ...]], ...]:
    """The fields of an event with the types that their values may have."""
    hints = get_type_hints(kind)
    return tuple((field.name, _types(hints[field.name])) for field in fields(kind))


def _types(hint: Any) -> tuple[type, ...]:
    if hint in (str, int, bool, NoneType):
        return (hint,)
    origin = get_origin(hint)
    if origin is Literal:
        return tuple({type(value) for value in get_args(hint)})
    if origin in (Union, UnionType):
        return tuple(each for part in get_args(hint) for each in _types(part))
    if origin is dict or is_typeddict(hint):
        return (dict,)
    return (list, tuple) if origin in (list, tuple) else (str, int, bool, NoneType, list, tuple, dict)


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
    if "class_version" in fields or _is_versioned(kind):  # type: ignore[arg-type] # a class is hashable
        return _mapped(stream, version, topic, state)
    fields["originator_id"], fields["originator_version"] = stream, version
    event = object.__new__(kind)
    object.__setattr__(event, "__dict__", fields)
    return event


@cache
def _is_versioned(kind: type[Event]) -> bool:
    return hasattr(kind, "class_version")


def _mapped(stream: str, version: int, topic: str, state: bytes) -> Event:
    stored = StoredEvent(originator_id=stream, originator_version=version, topic=topic, state=bytes(state))
    return cast(Event, _MAPPER.to_domain_event(stored))
