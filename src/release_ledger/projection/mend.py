"""Mending one stream: folded again from its first event, in one transaction that holds the stream's head.

The new rows are of the next generation and become live by the update of the head: readers see the old rows or the
new ones, and an append that folded onto the old ones finds that the head has moved and decides again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from ..events import Event
from ..store import Change, Head, Source, Statement, Store, failures
from ..store.database import Database
from ..store.schema import PROJECTION_FAULTS, STREAMS
from ..store.statement import POSTGRESQL, Cursor
from ..store.store import CursorSource, head_of
from ..store.transaction import savepoint, upsert, write_rows
from .folded import fold_events, stored_events
from .installed import relevant, tag
from .live import as_columns, fault
from .projection import Key, Projection

_LOCK = Statement(select(STREAMS.c.stream).where(STREAMS.c.stream == bindparam("of_stream")).with_for_update())
_GO_LIVE = Statement(
    update(STREAMS)
    .where(STREAMS.c.stream == bindparam("of_stream"))
    .values(generation=bindparam("generation"), folded=bindparam("folded"))
)
_FORGET_FAULT = Statement(
    delete(PROJECTION_FAULTS).where(
        PROJECTION_FAULTS.c.stream == bindparam("of_stream"), PROJECTION_FAULTS.c.projection == bindparam("name")
    )
)


def mend(store: Store, stream: str) -> bool:
    """Make every projection of this stream live again; whether all are.

    One whose code fails on the stream, or whose rows are refused, stays set aside, and the fault says why.
    """
    database = store.database
    with database.transaction(write=True) as cursor:
        if database.dialect is POSTGRESQL:
            _LOCK.execute(cursor, database.dialect, {"of_stream": stream})
        source: Source = CursorSource(database, cursor)
        head = head_of(source, stream)
        projections = relevant(stream)
        folded, failed = fold_events(projections, stored_events(source, head))
        faults = [fault(p, stream, *failed[p.name]) for p in projections if p.name in failed]
        for projection in projections:
            try:
                with savepoint(cursor):
                    _replace_rows(database, cursor, head, projection, folded.get(projection.name, {}))
            except Exception as error:
                if not failures.is_of_rows(error):
                    raise
                newest = Event(originator_version=head.version, recorded_at=head.recorded_at)
                faults.append(fault(projection, stream, newest, error))
        aside = {each.projection for each in faults}
        live = [projection for projection in projections if projection.name not in aside]
        for each in faults:
            upsert(PROJECTION_FAULTS, database.dialect.name).execute(cursor, database.dialect, asdict(each))
        for projection in live:
            _FORGET_FAULT.execute(cursor, database.dialect, {"of_stream": stream, "name": projection.name})
        going_live = {"of_stream": stream, "generation": head.generation + 1, "folded": " ".join(map(tag, live))}
        _GO_LIVE.execute(cursor, database.dialect, going_live)
    return not faults


def _replace_rows(
    database: Database, cursor: Cursor, head: Head, projection: Projection, rows: Mapping[Key, Any]
) -> None:
    _rows_of_stream(projection).execute(cursor, database.dialect, {"of_stream": head.stream})
    change = Change(
        projection=projection.name,
        table=projection.table,
        key=projection.key,
        rows={key: as_columns(projection, key, row) for key, row in rows.items()},
    )
    write_rows(database, cursor, head.stream, head.generation + 1, change)


def _rows_of_stream(projection: Projection) -> Statement:
    return Statement(delete(projection.table).where(projection.table.c.stream == bindparam("of_stream")))
