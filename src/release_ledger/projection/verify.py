"""Verify: folded again from the events and compared with the live rows; every difference is named.

A stream is compared as of one moment, in one snapshot. Rows of a generation that its head does not name are nobody's
answer, and no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import Table, bindparam, select, tuple_

from ..store import Head, ReadModelBroken, Source, Statement, Store
from ..store.codec import UnknownTopic
from ..store.schema import own_columns
from ..store.seal import SEAL
from ..store.store import head_of, stream_names
from .folded import fold_events, stored_events
from .installed import listed, relevant
from .live import sealed
from .projection import Key, Projection

ROWS_PER_READ: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where a live row is not what the fold says; `column` None: the row is missing, too many, or set aside."""

    projection: str
    stream: str
    key: Key
    column: str | None
    live: Any
    folded: Any


@dataclass
class Found:
    """Differences: all counted, by projection, and the first `keep` of them kept (None: all).

    `newer` are streams with an event of a newer release: they cannot be compared here.
    """

    keep: int | None = None
    first: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    newer: list[str] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        self.counts[difference.projection] += 1
        if self.keep is None or len(self.first) < self.keep:
            self.first.append(difference)

    def merge(self, other: Found) -> None:
        self.counts += other.counts
        self.newer += other.newer
        self.first += other.first if self.keep is None else other.first[: self.keep - len(self.first)]


def verify(store: Store, names: Iterable[str] | None = None) -> Iterator[tuple[str, list[Difference]]]:
    """Each stream with its differences, as of one moment per stream: writes may go on meanwhile."""
    for stream in verifiable(store, names):
        yield stream, verify_stream(store, stream, names).first


def verifiable(source: Source, names: Iterable[str] | None = None) -> list[str]:
    """The streams that these projections fold (None: all of them), in the order of their names."""
    return [stream for stream in stream_names(source, "") if _wanted(stream, names)]


def verify_stream(store: Store, stream: str, names: Iterable[str] | None = None, *, keep: int | None = None) -> Found:
    """The differences of one stream. Live rows are read in pieces; the folded ones are held, all of the stream."""
    return _verify(store, stream, _wanted(stream, names), keep)


def _wanted(stream: str, names: Iterable[str] | None) -> list[Projection]:
    return [projection for projection in relevant(stream) if names is None or projection.name in names]


def _verify(store: Store, stream: str, projections: list[Projection], keep: int | None) -> Found:
    found = Found(keep)
    try:
        with store.snapshot() as source:
            head = head_of(source, stream)
            folded, failed = fold_events(projections, stored_events(source, head))
            for projection in projections:
                rows = None if projection.name in failed else folded.pop(projection.name)
                for difference in _compare(source, head, projection, rows):
                    found.add(difference)
            return found
    except ReadModelBroken as error:
        if len(projections) == 1:
            return _only(keep, _whole(projections[0], stream, f"cannot be read: {error}"))
    except UnknownTopic:
        return Found(keep, newer=[stream])
    except MapperDeserialisationError:
        why = "an event of this stream cannot be read here"
        return _only(keep, *(_whole(projection, stream, why) for projection in projections))
    for projection in projections:  # one table is broken: of the others each row is compared
        found.merge(_verify(store, stream, [projection], keep))
    return found


def _only(keep: int | None, *differences: Difference) -> Found:
    found = Found(keep)
    for difference in differences:
        found.add(difference)
    return found


def _compare(source: Source, head: Head, projection: Projection, folded: dict[Key, Any] | None) -> Iterator[Difference]:
    """The differences of one projection; empties `folded`."""
    if folded is None:
        yield _whole(projection, head.stream, "the fold fails on this stream")
        return
    if not listed(head.folded, projection.name):
        yield _whole(projection, head.stream, "set aside, or of another definition")
        return
    for key, live in live_rows(source, head, projection):
        expected = sealed(projection, head.stream, key, folded.pop(key, None))
        yield from _columns(projection, head.stream, key, live, expected)
    for key in sorted(folded):
        yield from _columns(projection, head.stream, key, None, sealed(projection, head.stream, key, folded[key]))


def _columns(
    projection: Projection, stream: str, key: Key, live: dict[str, Any] | None, folded: dict[str, Any] | None
) -> Iterator[Difference]:
    unlike: list[tuple[str | None, Any, Any]] = []
    if live is None or folded is None:
        unlike = [(None, "no row" if live is None else "a row", "no row" if folded is None else "a row")]
    else:
        unlike = [(name, live[name], value) for name, value in folded.items() if live[name] != value]
    for column, of_live, of_folded in unlike:
        yield Difference(
            projection=projection.name, stream=stream, key=key, column=column, live=of_live, folded=of_folded
        )


def live_rows(source: Source, head: Head, projection: Projection) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The live rows of a stream with their keys, in the order of these, read in bounded pieces."""
    place: dict[str, Any] = {"of_stream": head.stream, "of_generation": head.generation, "limit": ROWS_PER_READ}
    after: dict[str, Any] = {}
    while True:
        rows = source.read(_rows_of(projection.table, projection.key, bool(after)), place | after)
        for row in rows:
            yield tuple(row[name] for name in projection.key), row
        if len(rows) < ROWS_PER_READ:
            return
        after = {f"after_{name}": rows[-1][name] for name in projection.key}


@cache
def _rows_of(table: Table, key: tuple[str, ...], continued: bool) -> Statement:
    own = [table.columns[name] for name in (*own_columns(table), SEAL)]
    rows = select(*own).where(*(table.columns[name] == bindparam(f"of_{name}") for name in ("stream", "generation")))
    keys = [table.columns[name] for name in key]
    if continued:
        rows = rows.where(
            tuple_(*keys) > tuple_(*(bindparam(f"after_{name}", type_=table.columns[name].type) for name in key))
        )
    return Statement(rows.order_by(*keys).limit(bindparam("limit")))


def _whole(projection: Projection, stream: str, why: str) -> Difference:
    return Difference(projection=projection.name, stream=stream, key=(), column=None, live=why, folded="complete rows")
