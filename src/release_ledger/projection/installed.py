"""Which projections there are: every distribution's entry points of the group `release_ledger.projections`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
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


def relevant(stream: str) -> Sequence[Projection]:
    """The projections that fold the events of this stream; none for a stream that is not the ledger's."""
    return _relevant(stream.partition("/")[0], tuple(installed().values()))


@lru_cache(maxsize=16)
def _relevant(sort: str, projections: tuple[Projection, ...]) -> Sequence[Projection]:
    kind = kind_of(sort)
    if kind is Event:
        return ()
    return tuple(p for p in projections if any(issubclass(event, kind) for event in p.events))


def tag(projection: Projection) -> str:
    """How a head lists that this projection's rows are complete, and by which definition they were made."""
    return f"{projection.name}={projection.definition}"


def listed(folded: str, name: str) -> bool:
    """Whether a head's `folded` lists this projection in the definition installed here."""
    return _lists(folded, tag(installed()[name]))


@lru_cache(maxsize=256)
def _lists(folded: str, tag: str) -> bool:
    return tag in folded.split()
