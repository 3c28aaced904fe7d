"""A projection in a real database: its rows live, verified, and rebuilt."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Table, bindparam, select

from ..events import Event
from ..projection import Projection, fold_live, installed, mend
from ..projection.projection import Key
from ..projection.upgrade import upgrade_tables
from ..projection.verify import live_rows, verify_stream
from ..store import Append, Statement, Store, open_store
from ..store.append import chained
from ..store.codec import encode
from ..store.schema import PROJECTION_FAULTS
from ..store.store import head_of

_FAULTS = Statement(
    select(PROJECTION_FAULTS.c.error).where(
        PROJECTION_FAULTS.c.stream == bindparam("of_stream"), PROJECTION_FAULTS.c.projection == bindparam("name")
    )
)


def check_in_database(projection: Projection, streams: Mapping[str, Sequence[Event]], url: str) -> None:
    """Raise AssertionError unless the live rows are those folded and those rebuilt.

    The streams get names of their own, so that one database serves for many histories.
    """
    with _installed(projection), closing(open_store(url, pool_size=2)) as store:
        _make_tables(url, projection.table)
        for stream, events in streams.items():
            own = f"{stream}{'-' if '/' in stream else '/'}{uuid.uuid4().hex[:12]}"
            _append(store, own, events)
            _check_stream(store, own, projection)


@cache
def lasting_sqlite() -> str:
    """The URL of a SQLite file for all checks of this process; it goes with it."""
    folder = tempfile.mkdtemp(prefix="release-ledger-checks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"sqlite:///{folder}/ledger.db"


def _append(store: Store, stream: str, events: Sequence[Event]) -> None:
    """Record the events as the ledger does: those of one command together."""
    for _, group in groupby(events, key=lambda event: event.recorded_at):
        head = head_of(store, stream)
        together = [_of_stream(event, stream) for event in group]
        entries = [encode(event) for event in together]
        folded = fold_live(head, together, {}, store)
        append = Append(
            head=head,
            events=chained(head, entries, together[-1].recorded_at),
            folded=folded.folded,
            changes=folded.changes,
            faults=folded.faults,
        )
        store.append(append)


def _of_stream(event: Event, stream: str) -> Event:
    made = object.__new__(type(event))
    vars(made).update(vars(event), originator_id=stream)
    return made


def _check_stream(store: Store, stream: str, projection: Projection) -> None:
    faults = store.read(_FAULTS, {"of_stream": stream, "name": projection.name})
    assert not faults, f"{projection.name} was set aside: {faults[0]['error']}"
    found = verify_stream(store, stream, {projection.name}, keep=3)
    assert not found.counts, f"live rows are not the folded ones: {found.first}"
    live = _live(store, stream, projection)
    mend(store, stream)
    assert _live(store, stream, projection) == live, f"rebuilt rows of {projection.name} are not the live ones"
    found = verify_stream(store, stream, {projection.name}, keep=3)
    assert not found.counts, f"rebuilt rows are not the folded ones: {found.first}"


def _live(store: Store, stream: str, projection: Projection) -> dict[Key, dict[str, Any]]:
    return dict(live_rows(store, head_of(store, stream), projection))


@contextmanager
def _installed(projection: Projection) -> Iterator[None]:
    """This very projection among the installed ones, whether its package is installed or not."""
    everything = cast(MutableMapping[str, Projection], installed())
    before = everything.get(projection.name)
    everything[projection.name] = projection
    try:
        yield
    finally:
        if before is None:
            del everything[projection.name]
        else:
            everything[projection.name] = before


@cache
def _make_tables(url: str, _table: Table) -> None:
    """Once for each database and table, of all that is installed now."""
    with closing(open_store(url, pool_size=1)) as store:
        upgrade_tables(store)
