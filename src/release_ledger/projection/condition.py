"""Condition: whether the live rows of each projection can be trusted; cheap enough to be asked every few seconds.

No row of a read model is read or counted for it: the heads say what is complete, one grouped scan of `streams`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, get_args

from sqlalchemy import Table, case, func, select

from ..store import ReadModelBroken, Source, Statement, Store
from ..store.schema import PROJECTION_FAULTS, PROJECTIONS, STREAMS
from .alone import is_running
from .installed import installed, listed, relevant

State = Literal["live", "stale", "rebuilding", "set aside", "missing", "not installed"]
STATES: Final[tuple[State, ...]] = get_args(State)

_SORTS: Final = ("access", "project", "environment")
_REGISTERED = Statement(select(PROJECTIONS))
_FAULTS = Statement(
    select(PROJECTION_FAULTS.c.projection, func.count().label("streams")).group_by(PROJECTION_FAULTS.c.projection)
)
_SORT = case(*((STREAMS.c.stream.like(f"{sort}%"), sort) for sort in _SORTS), else_="").label("sort")
_HEADS = Statement(select(_SORT, STREAMS.c.folded, func.count().label("streams")).group_by(_SORT, STREAMS.c.folded))


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One projection. `installed` and `registered` are definitions: this release's, and the one of the last upgrade.

    `readable`: its table is there, with its columns. `streams` are those that it folds, `stale` those of them whose
    head does not list it, so that their questions are answered by folding, `set_aside` those with an error noted.
    """

    name: str
    installed: str | None
    registered: str | None
    readable: bool
    rebuilding: bool
    streams: int
    stale: int
    set_aside: int

    @property
    def state(self) -> State:
        if self.installed is None:
            return "not installed"
        if not self.readable or self.registered is None:
            return "missing"
        if self.set_aside:
            return "set aside"
        if self.rebuilding:
            return "rebuilding"
        return "stale" if self.stale or self.registered != self.installed else "live"

    @property
    def advice(self) -> str:
        """What to do; empty where there is nothing to do."""
        return _ADVICE[self.state].format(name=self.name)


_ADVICE: Final[Mapping[State, str]] = {
    "live": "",
    "stale": "run `release-ledger upgrade`, which folds what is stale, or `release-ledger projections rebuild {name}`;"
    " until then answers are right, but slower",
    "rebuilding": "a rebuild is under way, and answers are right meanwhile: ask again when it is done",
    "set aside": "correct what the error names, then run `release-ledger projections verify {name} --repair`",
    "missing": "run `release-ledger upgrade`: it makes the table and folds the history into it",
    "not installed": "install the package that it came with; without it nobody reads its rows",
}


def conditions(store: Store) -> list[Condition]:
    """Every projection that is installed, or known to the database, in the order of their names.

    Raises `LedgerUnavailable`.
    """
    rebuilding = is_running(store)
    registered = {row["name"]: row["definition"] for row in store.read(_REGISTERED, {})}
    faults = {row["projection"]: row["streams"] for row in store.read(_FAULTS, {})}
    streams, listed = _streams(store)
    found = []
    for name in sorted(installed().keys() | registered.keys() | faults.keys()):
        projection = installed().get(name)
        found.append(
            Condition(
                name=name,
                installed=projection.definition if projection else None,
                registered=registered.get(name),
                readable=projection is not None and _is_readable(store, projection.table),
                rebuilding=rebuilding,
                streams=streams[name],
                stale=streams[name] - listed[name],
                set_aside=faults.get(name, 0),
            )
        )
    return found


def not_live(found: Iterable[Condition]) -> list[Condition]:
    """Those of installed projections of which some questions are answered by folding."""
    return [
        each for each in found if each.state in ("stale", "set aside", "missing") or (each.rebuilding and each.stale)
    ]


def _streams(source: Source) -> tuple[Counter[str], Counter[str]]:
    """How many streams each projection folds, and of how many the head lists it."""
    streams: Counter[str] = Counter()
    complete: Counter[str] = Counter()
    for row in source.read(_HEADS, {}):
        for projection in relevant(row["sort"]):
            streams[projection.name] += row["streams"]
            complete[projection.name] += row["streams"] * listed(row["folded"], projection.name)
    return streams, complete


def _is_readable(source: Source, table: Table) -> bool:
    try:
        source.read(_none_of(table), {})
    except ReadModelBroken:
        return False
    return True


@cache
def _none_of(table: Table) -> Statement:
    return Statement(select(*table.columns).limit(0))
