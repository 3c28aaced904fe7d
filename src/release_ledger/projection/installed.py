"""Which projections there are: every distribution's entry points of the group `release_ledger.projections`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Final

from ..events import Event
from .projection import Projection
from .streams import kind_of

GROUP: Final = "release_ledger.projections"


@cache
def installed() -> Mapping[str, Projection]:
    """The projections of this installation by name, in the order of their names."""
    found: dict[str, Projection] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        projection: Projection = entry.load()()
        found[projection.name] = projection
    return found


def relevant(stream: str) -> list[Projection]:
    """The projections that fold the events of this stream; none for a stream that is not the ledger's."""
    kind = kind_of(stream)
    if kind is Event:
        return []
    return [p for p in installed().values() if any(issubclass(event, kind) for event in p.events)]


def tag(projection: Projection) -> str:
    """How a head lists that this projection's rows are complete, and by which definition they were made."""
    return f"{projection.name}={projection.definition}"


def listed(folded: str, name: str) -> bool:
    """Whether a head's `folded` lists this projection in the definition installed here."""
    return tag(installed()[name]) in folded.split()
