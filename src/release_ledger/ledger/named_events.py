"""The events that a deployment's row names as its own, read from the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..events import Event
from ..store import Row, Source
from ..store.codec import decode
from .asking import NotLive
from .event_selects import EVENTS_SHOWN, STORED, some


def versions_of(row: Mapping[str, Any]) -> list[int]:
    """The versions that a row of `deployments` names, oldest first: not all, where `event_count` says more."""
    return [int(version) for version in row["event_versions"].split()]


def events_of(source: Source, stream: str, named: Mapping[int, Sequence[int]]) -> list[Event]:
    """The events of these versions, by number of deployment, in the order of the stream.

    Raises `NotLive` unless each is there, and of the deployment that it is named for.
    """
    of = {version: number for number, versions in named.items() for version in versions}
    asked, rows = sorted(of), list[Row]()
    for first in range(0, len(asked), EVENTS_SHOWN):
        versions = some("version", asked[first : first + EVENTS_SHOWN], EVENTS_SHOWN)
        rows += source.read(STORED, {"stream": stream} | versions)
    events = [decode(stream, row) for row in rows]
    if [(event.originator_version, getattr(event, "number", None)) for event in events] != sorted(of.items()):
        raise NotLive(stream, "deployments")
    return events
