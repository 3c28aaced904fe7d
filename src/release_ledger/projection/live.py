"""Live: folding, in the transaction that appends, the events into the rows that they touch.

A fold that raises never stops an event: its projection is set aside for this stream. One that the head does not
list (set aside before, not installed then, of another definition) writes nothing until it is mended; what it makes of
rows that are known is kept for the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Table, bindparam, select

from ..errors import LedgerUnavailable
from ..events import Event
from ..store import Change, Fault, Head, Params, Row, Source, Statement
from ..store.schema import own_columns
from ..store.seal import SEAL, is_sealed, seal
from .installed import relevant, tag
from .projection import Key, Projection, Rows

Known = Mapping[str, MutableMapping[Key, Any]]
# What the code of a projection may raise; a process is ended by others.
RAISED: Final = (Exception, SystemExit)


class Folded(NamedTuple):
    """What live folding makes of an append: rows to write, what the head lists after it, and what failed."""

    changes: list[Change]
    folded: str
    faults: list[Fault]
    rows: dict[str, Rows]


class NotAsWritten(Exception):
    """A row that was read does not match its seal: nothing is folded on it."""


class _Reading:
    """A source that remembers that the database was lost: what a fold then raises, or does not, is not its fault."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.lost: LedgerUnavailable | None = None

    def read(self, statement: Statement, params: Params) -> list[Row]:
        try:
            return self._source.read(statement, params)
        except LedgerUnavailable as error:
            self.lost = error
            raise


def fold_live(head: Head, events: Sequence[Event], known: Known, source: Source) -> Folded:
    """Fold new events of a stream. `known` are rows that were read with the head; others are read when touched.

    Raises `LedgerUnavailable` where the database does.
    """
    result = Folded([], "", [], {})
    live, reading = [], _Reading(source)
    for projection in relevant(head.stream):
        is_live = head.version == 0 or tag(projection) in head.folded.split()
        rows = Rows(dict(known.get(projection.name, {})), loader(projection, head, reading) if is_live else None)
        failed: BaseException | None = None
        try:
            for event in events:
                projection.fold(event, rows)
            change = _change(projection, rows)
        except RAISED as error:
            failed = error
        if reading.lost is not None:
            raise reading.lost
        if failed is not None:
            if is_live:
                result.faults.append(fault(projection, head.stream, events[-1], failed))
            continue
        result.rows[projection.name] = rows
        if is_live:
            live.append(tag(projection))
        if is_live and change.rows:
            result.changes.append(change)
    return result._replace(folded=" ".join(live))


def fault(projection: Projection, stream: str, event: Event, error: BaseException) -> Fault:
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


def sealed(projection: Projection, stream: str, key: Key, row: Any) -> dict[str, Any] | None:
    """A row's values for the table, and its seal."""
    columns = as_columns(projection, key, row)
    if columns is not None:
        columns[SEAL] = seal(stream, tuple(columns.values()))
    return columns


def loader(projection: Projection, head: Head, source: Source) -> Any:
    """What reads the row of a key, of the head's stream and generation; None for a stream that is not there yet.

    It raises `NotAsWritten`.
    """

    def load(key: Key) -> Any:
        place = {"of_stream": head.stream, "of_generation": head.generation}
        of_key = {f"of_{name}": value for name, value in zip(projection.key, key, strict=True)}
        found = source.read(_row_of(projection.table, projection.key), place | of_key)
        if not found:
            return None
        row, written = found[0], found[0].pop(SEAL)
        if not is_sealed(head.stream, tuple(row.values()), written):
            raise NotAsWritten(f"the row {key!r} of {projection.table.name} is not as it was written")
        return projection.load(row)

    return load if head.version else None


@cache
def _row_of(table: Table, key: tuple[str, ...]) -> Statement:
    own = [table.columns[name] for name in (*own_columns(table), SEAL)]
    names = ("stream", "generation", *key)
    return Statement(select(*own).where(*(table.columns[name] == bindparam(f"of_{name}") for name in names)))
