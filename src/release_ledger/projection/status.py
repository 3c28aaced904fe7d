"""Status: whether the live rows of each projection can be trusted, and what to do where they cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Table, and_, func, select

from ..events import Event
from ..store import ReadModelBroken, Row, Source, Statement
from ..store.schema import PROJECTION_FAULTS, PROJECTIONS, STREAMS
from .installed import installed, relevant, tag
from .streams import kind_of

State = Literal["live", "stale", "set aside", "missing", "not installed"]

_REGISTERED = Statement(select(PROJECTIONS))
_HEADS = Statement(select(STREAMS.c.stream, STREAMS.c.folded))
_FAULTS = Statement(select(PROJECTION_FAULTS).order_by(PROJECTION_FAULTS.c.projection, PROJECTION_FAULTS.c.stream))


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A stream that a projection could not take an event of: at which version, when, and why."""

    stream: str
    version: int
    error: str
    set_aside_at: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """One projection. `installed` and `registered` are definitions: this release's, and the one of the last upgrade.

    `rows` are the live ones (None: the table cannot be read); `streams` those that it folds, `stale` those of them
    whose head does not list it, so that their questions are answered by folding.
    """

    name: str
    installed: str | None
    registered: str | None
    rows: int | None
    streams: int
    stale: int
    set_aside: tuple[SetAside, ...]

    @property
    def state(self) -> State:
        if self.installed is None:
            return "not installed"
        if self.rows is None or self.registered is None:
            return "missing"
        if self.set_aside:
            return "set aside"
        return "stale" if self.stale or self.registered != self.installed else "live"

    @property
    def advice(self) -> str:
        """What to do; empty where there is nothing to do."""
        return _ADVICE[self.state]


_ADVICE: Mapping[State, str] = {
    "live": "",
    "stale": "run `release-ledger upgrade`: it folds these streams again; until then answers are right, but slower",
    "set aside": "correct what the error names, then run `release-ledger upgrade`: it folds these streams again",
    "missing": "run `release-ledger upgrade`: it makes the table",
    "not installed": "install the package that it came with; without it nobody reads its rows",
}


def statuses(source: Source) -> list[Status]:
    """Every projection that is installed, or known to the database, in the order of their names."""
    registered = {row["name"]: row["definition"] for row in source.read(_REGISTERED, {})}
    faults: dict[str, list[SetAside]] = {}
    for row in source.read(_FAULTS, {}):
        faults.setdefault(row["projection"], []).append(_set_aside(row))
    streams, stale = _streams(source)
    return [
        Status(
            name=name,
            installed=installed()[name].definition if name in installed() else None,
            registered=registered.get(name),
            rows=_live_rows(source, name),
            streams=streams.get(name, 0),
            stale=stale.get(name, 0),
            set_aside=tuple(faults.get(name, ())),
        )
        for name in sorted(installed().keys() | registered.keys() | faults.keys())
    ]


def _streams(source: Source) -> tuple[dict[str, int], dict[str, int]]:
    """How many streams each projection folds, and for how many of them the head does not list it."""
    streams: dict[str, int] = {}
    stale: dict[str, int] = {}
    tags: dict[type[Event], dict[str, str]] = {}
    for row in source.read(_HEADS, {}):
        folded = row["folded"].split()
        kind = kind_of(row["stream"])
        if kind not in tags:
            tags[kind] = {projection.name: tag(projection) for projection in relevant(row["stream"])}
        for name, as_listed in tags[kind].items():
            streams[name] = streams.get(name, 0) + 1
            stale[name] = stale.get(name, 0) + (as_listed not in folded)
    return streams, stale


def _live_rows(source: Source, name: str) -> int | None:
    if name not in installed():
        return None
    try:
        return int(source.read(_count(installed()[name].table), {})[0]["rows"])
    except ReadModelBroken:
        return None


def _count(table: Table) -> Statement:
    of_head = and_(table.c.stream == STREAMS.c.stream, table.c.generation == STREAMS.c.generation)
    return Statement(select(func.count().label("rows")).select_from(table.join(STREAMS, of_head)))


def _set_aside(row: Row) -> SetAside:
    return SetAside(stream=row["stream"], version=row["version"], error=row["error"], set_aside_at=row["set_aside_at"])
