"""The one order of all events: `feed` numbers them densely, each stream's own in their order.

It is filled in batches by whoever reads, one at a time. What a slow transaction recorded gets its number once it is
committed: nothing is skipped, whatever order the commits came in (`docs/decisions/0014-feed.md`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Integer, bindparam, cast, func, insert, literal, select

from ..errors import LedgerUnavailable
from . import failures
from .database import Database
from .failures import Failure
from .schema import EVENTS, FEED, STREAMS
from .statement import Row, Statement
from .store import Source, Store

BATCH_EVENTS: Final = 2000
_LOCK: Final = 0x72656C6E  # of the advisory lock; those before it are of `upgrade` and of rebuilds

_NEWEST = func.coalesce(select(func.max(FEED.c.seq)).scalar_subquery(), 0)
_RECORDED = func.coalesce(select(cast(func.sum(STREAMS.c.version), FEED.c.seq.type)).scalar_subquery(), 0)
# The ledger's own streams begin at 1 (docs/proof.md); those of an application that uses the recorder, where it likes.
_OWN: Final = ("project/", "environment/")
_skipped = (
    select(func.min(EVENTS.c.version) - 1)
    .where(EVENTS.c.stream == STREAMS.c.stream)
    .correlate(STREAMS)
    .scalar_subquery()
)
_SKIPPED = func.coalesce(
    select(cast(func.sum(_skipped), FEED.c.seq.type))
    .where(*(func.substr(STREAMS.c.stream, 1, len(own)) != own for own in _OWN))
    .scalar_subquery(),
    0,
)
_COUNTS = Statement(select(_NEWEST.label("numbered"), (_RECORDED - _SKIPPED).label("recorded")))


def _fill(batch: int) -> Statement:
    """Number up to so many events: of each stream that moved its share of the batch, its oldest ones.

    `since` is the latest moment of a stream so far, so that a stream's order never depends on what a moment says.
    """
    fed = select(func.max(FEED.c.version)).where(FEED.c.stream == STREAMS.c.stream).scalar_subquery()
    heads = select(STREAMS.c.stream, STREAMS.c.version, func.coalesce(fed, _skipped, 0).label("fed")).cte("heads")
    moved = select(heads).where(heads.c.version > heads.c.fed).cte("moved")
    streams = select(func.count()).select_from(moved).scalar_subquery()
    share: ColumnElement[int] = literal(1, Integer) + literal(batch, Integer) // streams
    since = func.max(EVENTS.c.recorded_at).over(partition_by=EVENTS.c.stream, order_by=EVENTS.c.version)
    of_moved = (
        select(EVENTS.c.stream, EVENTS.c.version, since.label("since"))
        .select_from(moved.join(EVENTS, EVENTS.c.stream == moved.c.stream))
        .where(EVENTS.c.version > moved.c.fed, EVENTS.c.version <= moved.c.fed + share)
        .where(EVENTS.c.version <= moved.c.version)
        .subquery("of_moved")
    )
    order = (of_moved.c.since, of_moved.c.stream, of_moved.c.version)
    oldest = select(of_moved).order_by(*order).limit(literal(batch, Integer)).subquery("oldest")
    place = func.row_number().over(order_by=(oldest.c.since, oldest.c.stream, oldest.c.version))
    return Statement(
        insert(FEED).from_select(
            ["seq", "stream", "version"], select(_NEWEST + place, oldest.c.stream, oldest.c.version)
        )
    )


_FILL = _fill(BATCH_EVENTS)
_AFTER = Statement(
    select(FEED.c.seq, FEED.c.stream, EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state, EVENTS.c.digest)
    .select_from(FEED.outerjoin(EVENTS, (EVENTS.c.stream == FEED.c.stream) & (EVENTS.c.version == FEED.c.version)))
    .where(FEED.c.seq > bindparam("after"))
    .order_by(FEED.c.seq)
    .limit(bindparam("limit"))
)


def is_behind(source: Source) -> bool:
    """Whether there may be committed events without a number: the streams' lengths add up to how many there are."""
    counts = source.read(_COUNTS, {})[0]
    return bool(counts["numbered"] != counts["recorded"])


def has_after(source: Source, seq: int) -> bool:
    """Whether there may be something beyond a number, in the feed or not in it yet."""
    counts = source.read(_COUNTS, {})[0]
    return bool(counts["numbered"] > seq or counts["numbered"] != counts["recorded"])


def after(source: Source, seq: int, limit: int) -> list[Row]:
    """The next events beyond a number; an event that is not in the history any more has nulls only."""
    return source.read(_AFTER, {"after": seq, "limit": limit})


def fill(store: Store) -> None:
    """Number a batch of the committed events that have no number. Raises `LedgerUnavailable`.

    The lock is taken in a statement of its own: the next one then sees what its holder before has committed.
    """
    database = store.database
    try:
        with database.transaction(write=True) as cursor:
            if database.is_postgresql:
                cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            _FILL.execute(cursor, database.dialect, {})
    except Exception as error:
        _raise_as_refusal(database, error)


def _raise_as_refusal(database: Database, error: Exception) -> None:
    failure = failures.of(error)
    if failure in (Failure.IN_DOUBT, Failure.UNAVAILABLE):
        database.forget_connections()
    if failure in (Failure.IN_DOUBT, Failure.UNREACHABLE, Failure.UNAVAILABLE, Failure.AGAIN):
        raise LedgerUnavailable() from error
    raise error
