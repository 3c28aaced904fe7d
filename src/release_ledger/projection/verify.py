"""Verify: folded again from the events and compared with the live rows; every difference is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Table, bindparam, select

from ..store import Head, ReadModelBroken, Source, Statement, Store
from ..store.store import head_of, stream_names
from .folded import fold_events, stored_events
from .installed import relevant, tag
from .live import as_columns
from .projection import Key, Projection, own_columns


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where a live row is not what the fold says; `column` None: the row is missing, too many, or set aside."""

    projection: str
    stream: str
    key: Key
    column: str | None
    live: Any
    folded: Any


def verify(store: Store, names: Iterable[str] | None = None) -> Iterator[tuple[str, list[Difference]]]:
    """Each stream with its differences, as of one moment per stream: writes may go on meanwhile."""
    wanted = None if names is None else set(names)
    for stream in stream_names(store, ""):
        projections = [p for p in relevant(stream) if wanted is None or p.name in wanted]
        if projections:
            yield stream, _verify_stream(store, stream, projections)


def _verify_stream(store: Store, stream: str, projections: list[Projection]) -> list[Difference]:
    try:
        with store.snapshot() as source:
            head = head_of(source, stream)
            folded, failed = fold_events(projections, stored_events(source, head))
            found = (_compare(source, head, p, None if p.name in failed else folded[p.name]) for p in projections)
            return [difference for differences in found for difference in differences]
    except ReadModelBroken as error:
        if len(projections) == 1:
            return [_whole(projections[0], stream, f"cannot be read: {error}")]
    return [difference for p in projections for difference in _verify_stream(store, stream, [p])]


def _compare(source: Source, head: Head, projection: Projection, folded: dict[Key, Any] | None) -> Iterable[Difference]:
    if folded is None:
        yield _whole(projection, head.stream, "the fold fails on this stream")
        return
    if tag(projection) not in head.folded.split():
        yield _whole(projection, head.stream, "set aside, or of another definition")
        return
    live = live_rows(source, head, projection)
    for key in sorted(live.keys() | folded.keys()):
        expected = as_columns(projection, key, folded.get(key))
        for column, live_value, folded_value in _columns(live.get(key), expected):
            yield Difference(
                projection=projection.name,
                stream=head.stream,
                key=key,
                column=column,
                live=live_value,
                folded=folded_value,
            )


def _columns(found: dict[str, Any] | None, expected: dict[str, Any] | None) -> Iterator[tuple[str | None, Any, Any]]:
    if found is None or expected is None:
        yield None, "no row" if found is None else "a row", "no row" if expected is None else "a row"
        return
    for name, value in expected.items():
        if found[name] != value:
            yield name, found[name], value


def live_rows(source: Source, head: Head, projection: Projection) -> dict[Key, dict[str, Any]]:
    """The live rows of a stream, by key."""
    place = {"of_stream": head.stream, "of_generation": head.generation}
    rows = source.read(_rows_of(projection.table), place)
    return {tuple(row[name] for name in projection.key): row for row in rows}


@cache
def _rows_of(table: Table) -> Statement:
    own = [table.columns[name] for name in own_columns(table)]
    names = ("stream", "generation")
    return Statement(select(*own).where(*(table.columns[name] == bindparam(f"of_{name}") for name in names)))


def _whole(projection: Projection, stream: str, why: str) -> Difference:
    return Difference(projection=projection.name, stream=stream, key=(), column=None, live=why, folded="complete rows")
