"""The names of streams, and which sort of events each holds. A stream's name is in every digest: it is for ever."""

from __future__ import annotations

from typing import Final

from ..events import AccessEvent, EnvironmentEvent, Event, ProjectEvent

ACCESS: Final = "access"


def project_stream(project_name: str) -> str:
    return f"project/{project_name}"


def environment_stream(project_name: str, environment_name: str) -> str:
    return f"environment/{project_name}/{environment_name}"


def kind_of(stream: str) -> type[Event]:
    """The sort of events in a stream; `Event` itself for a stream that is not the ledger's."""
    kinds: dict[str, type[Event]] = {
        "access": AccessEvent,
        "project": ProjectEvent,
        "environment": EnvironmentEvent,
    }
    return kinds.get(stream.partition("/")[0], Event)
