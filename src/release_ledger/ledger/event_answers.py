"""Events as callers are shown them: by what they say, and never by the id of a person."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from ..events import DeploymentEvent, EnvironmentEvent, Event
from .answers import Answer

# Said beside the event's `data`, or by the address that it is read at.
_BESIDE = frozenset({*(field.name for field in fields(EnvironmentEvent))})
_OF_DEPLOYMENT = frozenset(field.name for field in fields(DeploymentEvent))


def history_event(event: Event, digest: bytes, emails: dict[str | None, str]) -> Answer:
    """An event of a stream's history (contract, section 4)."""
    return {
        "version": event.originator_version,
        "type": event.TOPIC,
        "data": said_by(event, _BESIDE),
        "actor": emails.get(event.person_id),
        "recorded_by": event.recorded_by,
        "recorded_at": event.recorded_at,
        "occurred_at": event.occurred_at,
        "request_id": event.request_id,
        "digest": bytes(digest).hex(),
    }


def deployment_event(event: Event, emails: dict[str | None, str]) -> Answer:
    """An event of one deployment, beside that deployment."""
    return {
        "version": event.originator_version,
        "type": event.TOPIC,
        "at": event.recorded_at,
        "occurred_at": event.occurred_at,
        "actor": emails.get(event.person_id),
        "recorded_by": event.recorded_by,
        "data": said_by(event, _OF_DEPLOYMENT),
    }


def said_by(event: Event, beside: frozenset[str]) -> Answer:
    """What an event says of its own. A person's id stands in no event's own fields but those of tokens."""
    kind: Any = type(event)
    return {name: getattr(event, name) for name in _own(kind, beside)}


@cache
def _own(kind: Any, beside: frozenset[str]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.name not in beside)
