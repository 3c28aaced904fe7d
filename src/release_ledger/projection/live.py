"""Live: folding, in the transaction that appends, the events into the rows that they touch.

A fold that raises never stops an event: its projection is set aside for this stream. One that the head does not
list (set aside before, not installed then, of another definition) writes nothing until it is mended; what it makes of
rows that are known is kept for the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, select

from ..errors import LedgerUnavailable
from ..events import Event
from ..store import Change, Fault, Head, Source, Statement
from ..store.schema import own_columns
from .installed import relevant, tag
from .projection import Key, Projection, Rows

Known = Mapping[str, MutableMapping[Key, Any]]


class Folded(NamedTuple):
    """What live folding makes of an append: rows to write, what the head lists after it, and what failed."""

    changes: list[Change]
    folded: str
    faults: list[Fault]
    rows: dict[str, Rows]


def fold_live(head: Head, events: Sequence[Event], known: Known, source: Source) -> Folded:
    """Fold new events of a stream. `known` are rows that were read with the head; others are read when touched."""
    result = Folded([], "", [], {})
    live = []
    for projection in relevant(head.stream):
        is_live = head.version == 0 or tag(projection) in head.folded.split()
        rows = Rows(dict(known.get(projection.name, {})), loader(projection, head, source) if is_live else None)
        try:
            for event in events:
                projection.fold(event, rows)
            change = _change(projection, rows)
        except LedgerUnavailable:
            raise
        except Exception as error:
            if is_live:
                result.faults.append(fault(projection, head.stream, events[-1], error))
            continue
        result.rows[projection.name] = rows
        if is_live:
            live.append(tag(projection))
        if is_live and change.rows:
            result.changes.append(change)
    return result._replace(folded=" ".join(live))


def fault(projection: Projection, stream: str, event: Event, error: Exception) -> Fault:
    """The note that a projection is set aside for a stream."""
    return Fault(
        projection=projection.name,
        stream=stream,
        version=event.originator_version,
        error=f"{type(error).__name__}: {error}"[:2000].replace("\0", ""),
        set_aside_at=event.recorded_at,
    )


def _change(projection: Projection, rows: Rows) -> Change:
    return Change(
        projection=projection.name,
        table=projection.table,
        key=projection.key,
        rows={key: as_columns(projection, key, row) for key, row in rows.changes().items()},
    )


def as_columns(projection: Projection, key: Key, row: Any) -> dict[str, Any] | None:
    """A row's values for the table, the key's among them."""
    if row is None:
        return None
    values = projection.dump(row)
    values.update(zip(projection.key, key, strict=True))
    return {name: values[name] for name in own_columns(projection.table)}


def loader(projection: Projection, head: Head, source: Source) -> Any:
    """What reads the row of a key, of the head's stream and generation; None for a stream that is not there yet."""

    def load(key: Key) -> Any:
        place = {"of_stream": head.stream, "of_generation": head.generation}
        of_key = {f"of_{name}": value for name, value in zip(projection.key, key, strict=True)}
        found = source.read(_row_of(projection.table, projection.key), place | of_key)
        return projection.load(found[0]) if found else None

    return load if head.version else None


@cache
def _row_of(table: Table, key: tuple[str, ...]) -> Statement:
    own = [table.columns[name] for name in own_columns(table)]
    names = ("stream", "generation", *key)
    return Statement(select(*own).where(*(table.columns[name] == bindparam(f"of_{name}") for name in names)))
