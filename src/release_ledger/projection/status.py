"""Status: the condition of each projection, with what takes longer to say: its rows, and the streams set aside."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Table, and_, func, select

from ..store import ReadModelBroken, Row, Source, Statement, Store
from ..store.schema import PROJECTION_FAULTS, STREAMS
from .condition import Condition, conditions
from .installed import installed

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
    """One projection; `rows` are the live ones (None: the table cannot be read)."""

    condition: Condition
    rows: int | None
    set_aside: tuple[SetAside, ...]


def statuses(store: Store) -> list[Status]:
    """Every projection that is installed, or known to the database, in the order of their names."""
    faults: dict[str, list[SetAside]] = {}
    for row in store.read(_FAULTS, {}):
        faults.setdefault(row["projection"], []).append(_set_aside(row))
    return [
        Status(condition=each, rows=_live_rows(store, each.name), set_aside=tuple(faults.get(each.name, ())))
        for each in conditions(store)
    ]


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
