"""Verify: folded again from the events and compared with the live rows; every difference is named.

A stream is compared as of one moment, in one snapshot. Rows of a generation that its head does not name are nobody's
answer, and no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any, Final

from eventsourcing.persistence import MapperDeserialisationError
from sqlalchemy import Table, bindparam, select, tuple_

from ..store import Head, ReadModelBroken, Row, Source, Statement, Store
from ..store.codec import UnknownTopic
from ..store.schema import own_columns
from ..store.seal import SEAL
from ..store.store import events_after, head_of, stream_names
from .installed import installed, listed, relevant
from .projection import Key, Projection
from .refolded import Refolded
from .strays import strays

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
    for difference in strange(store, names):
        yield difference.stream, [difference]


def verifiable(source: Source, names: Iterable[str] | None = None) -> list[str]:
    """The streams that these projections fold (None: all of them), in the order of their names."""
    return [stream for stream in stream_names(source, "") if _wanted(stream, names)]


def verify_stream(store: Store, stream: str, names: Iterable[str] | None = None, *, keep: int | None = None) -> Found:
    """The differences of one stream. However long it is, some thousand rows of each projection are held."""
    return _verify(store, stream, _wanted(stream, names), keep)


def strange(source: Source, names: Iterable[str] | None = None) -> Iterator[Difference]:
    """A difference for each projection that has rows of a stream that is not there."""
    wanted = [each for name, each in installed().items() if names is None or name in names]
    for projection, stream in strays(source, wanted):
        yield _difference(projection, stream, (), None, "rows", "no such history")


def _wanted(stream: str, names: Iterable[str] | None) -> list[Projection]:
    return [projection for projection in relevant(stream) if names is None or projection.name in names]


def _verify(store: Store, stream: str, projections: list[Projection], keep: int | None) -> Found:
    found, looked_at = Found(keep), None
    try:
        with store.snapshot() as source, Refolded(stream, projections) as folded:
            head = head_of(source, stream)
            for looked_at in projections:
                # Before all of the stream is folded in vain.
                source.read(_rows_of(looked_at.table, looked_at.key, False), _place(head) | {"limit": 0})
            looked_at = None
            folded.fold(events_after(source, stream, upto=head.version))
            for looked_at in projections:
                for difference in _compare(source, head, looked_at, folded):
                    found.add(difference)
            return found
    except ReadModelBroken as error:
        if looked_at is None:
            raise
        others = [projection for projection in projections if projection is not looked_at]
        found = _only(keep, _whole(looked_at, stream, f"cannot be read: {error}"))
    except UnknownTopic:
        return Found(keep, newer=[stream])
    except MapperDeserialisationError:
        why = "an event of this stream cannot be read here"
        return _only(keep, *(_whole(projection, stream, why) for projection in projections))
    if others:  # of these each row is compared
        found.merge(_verify(store, stream, others, keep))
    return found


def _only(keep: int | None, *differences: Difference) -> Found:
    found = Found(keep)
    for difference in differences:
        found.add(difference)
    return found


def _compare(source: Source, head: Head, projection: Projection, folded: Refolded) -> Iterator[Difference]:
    """The differences of one projection."""
    if projection.name in folded.failed:
        yield _whole(projection, head.stream, folded.failed[projection.name])
        return
    if not listed(head.folded, projection.name):
        yield _whole(projection, head.stream, "set aside, or of another definition")
        return
    for rows in _live_pieces(source, head, projection):
        live = [(key, list(row.values())) for key, row in rows]
        for (key, row), (_, values), folded_values in zip(rows, live, folded.take(projection, live), strict=True):
            if folded_values is None:
                yield _difference(projection, head.stream, key, None, "a row", "no row")
            elif folded_values is not values:
                for name, value, should_be in zip(row, values, folded_values, strict=True):
                    if value != should_be or type(value) is not type(should_be):
                        yield _difference(projection, head.stream, key, name, value, should_be)
    for key in folded.rest(projection):
        yield _difference(projection, head.stream, key, None, "no row", "a row")


def live_rows(source: Source, head: Head, projection: Projection) -> Iterator[tuple[Key, Row]]:
    """The live rows of a stream with their keys, in the order of these, read in bounded pieces."""
    return chain.from_iterable(_live_pieces(source, head, projection))


def _place(head: Head) -> dict[str, Any]:
    return {"of_stream": head.stream, "of_generation": head.generation}


def _live_pieces(source: Source, head: Head, projection: Projection) -> Iterator[list[tuple[Key, Row]]]:
    place = _place(head) | {"limit": ROWS_PER_READ}
    after: dict[str, Any] = {}
    while True:
        rows = source.read(_rows_of(projection.table, projection.key, bool(after)), place | after)
        yield [(tuple(row[name] for name in projection.key), row) for row in rows]
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
    return _difference(projection, stream, (), None, why, "complete rows")


def _difference(
    projection: Projection, stream: str, key: Key, column: str | None, live: object, folded: object
) -> Difference:
    return Difference(projection=projection.name, stream=stream, key=key, column=column, live=live, folded=folded)
