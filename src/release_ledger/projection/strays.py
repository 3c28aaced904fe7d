"""Rows of streams that are not there: nobody asks for them, and no rebuild of a stream comes across them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from sqlalchemy import Table, text

from ..store import ReadModelBroken, Source, Statement
from .alone import Seat
from .installed import installed
from .loading import quoted
from .projection import Projection
from .staging import REMOVED_ROWS


def strays(source: Source, projections: Iterable[Projection]) -> Iterator[tuple[Projection, str]]:
    """Each projection that has such rows, with the stream that they name. A table that cannot be read has none."""
    for projection in projections:
        try:
            rows = source.read(_strange(projection.table), {})
        except ReadModelBroken:
            continue
        for row in rows:
            yield projection, row["stream"]


def remove_strays(seat: Seat) -> None:
    """Remove all of them, in short transactions. A stream that begins meanwhile keeps its rows."""
    for projection, stream in list(strays(seat, installed().values())):
        place = {"of_stream": stream, "at_once": REMOVED_ROWS[seat.dialect.name]}
        removed = place["at_once"]
        while removed == place["at_once"]:
            with seat.transaction(durable=False):
                removed = seat.execute(_remove(projection.table, seat.dialect.name), place)


@cache
def _strange(table: Table) -> Statement:
    """The names of the streams, found one after the other in the index of the key."""
    name = quoted(table.name)
    return Statement(
        text(
            f"WITH RECURSIVE named(stream) AS (SELECT min(stream) FROM {name} UNION ALL"  # noqa: S608 - our own names
            f" SELECT (SELECT min(r.stream) FROM {name} r WHERE r.stream > named.stream) FROM named"
            " WHERE named.stream IS NOT NULL) SELECT stream FROM named WHERE stream IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.stream = named.stream) ORDER BY stream"
        )
    )


@cache
def _remove(table: Table, kind: str) -> Statement:
    name, row = quoted(table.name), "ctid" if kind == "postgresql" else "rowid"
    return Statement(
        text(
            f"DELETE FROM {name} WHERE {row} IN (SELECT {row} FROM {name} WHERE stream = :of_stream"  # noqa: S608
            " AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.stream = :of_stream) LIMIT :at_once)"
        )
    )
