"""`release-ledger upgrade`: the schema, the tables of the read models, then each stream whose rows are not complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from sqlalchemy import func, select

from ..store import Source, Statement, Store, open_store
from ..store.read_models import Say, damage, make_tables, register, unlike
from ..store.schema import PROJECTION_FAULTS, STREAMS
from ..store.upgrade import upgrade_schema
from .alone import Seat, alone
from .crew import rebuild_streams
from .installed import installed, listed, relevant
from .rebuild import FORGET_FAULT

WAITING: Final = "Waiting for the rebuild that is under way…"
Came = TypeVar("Came")

_HEADS = Statement(
    select(STREAMS.c.stream, STREAMS.c.version, STREAMS.c.folded).order_by(STREAMS.c.version.desc(), STREAMS.c.stream)
)
_FAULTS = Statement(
    select(PROJECTION_FAULTS.c.projection, PROJECTION_FAULTS.c.stream, func.count(STREAMS.c.stream).label("heads"))
    .select_from(PROJECTION_FAULTS.outerjoin(STREAMS, PROJECTION_FAULTS.c.stream == STREAMS.c.stream))
    .group_by(PROJECTION_FAULTS.c.projection, PROJECTION_FAULTS.c.stream)
)


def _quietly(_line: str) -> None:
    pass


def upgrade(url: str) -> int:
    """Make or migrate the tables at this URL, and fold what is not complete; the number of streams made whole.

    Safe to run twice. A stream with an event that only a newer release knows is left as it is, for that release.
    """
    store = open_store(url)
    try:
        upgrade_tables(store)
        rebuilt = fold_incomplete(
            store, lambda seat, streams: list(rebuild_streams(seat, streams, 1, lambda events: None))
        )
        return sum(not each.faults and not each.left for each in rebuilt or ())
    finally:
        store.close()


def upgrade_tables(store: Store, say: Say = _quietly) -> None:
    """The schema and the tables of the read models. Raises `SchemaMismatch` when something there is newer.

    `say` is told what it waits for.
    """
    upgrade_schema(store.database)
    projections = list(installed().values())
    if unlike(store.database, projections):
        with alone(store.database, wait=True, waits=lambda: say(WAITING)):
            make_tables(store.database, projections, replace=True, say=say)
    register(store.database, projections)
    forget_strange_faults(store)


def damaged_tables(store: Store, names: Iterable[str] | None = None) -> dict[str, list[str]] | None:
    """By projection what of its table is not as declared; None where nobody may compare it."""
    wanted = [each for name, each in installed().items() if names is None or name in names]
    return damage(store.database, wanted)


def make_lost_tables(seat: Seat, say: Say = _quietly) -> None:
    """What `upgrade` made and noted, and somebody damaged. Raises `SchemaMismatch` where an upgrade has to come."""
    projections = list(installed().values())
    make_tables(seat.database, projections, replace=False, say=say)
    register(seat.database, projections)


def fold_incomplete(store: Store, refold: Callable[[Seat, dict[str, int]], Came], say: Say = _quietly) -> Came | None:
    """Let `refold` rebuild the streams whose read models are not complete; what it returns, None without any."""
    if not incomplete(store):
        return None
    with alone(store.database, wait=True, waits=lambda: say(WAITING)) as seat:
        return refold(seat, incomplete(seat))


def incomplete(source: Source) -> dict[str, int]:
    """The streams whose head does not list every projection that folds them, with their versions, longest first."""
    rows = source.read(_HEADS, {})
    return {row["stream"]: row["version"] for row in rows if not _is_complete(row["stream"], row["folded"])}


def _is_complete(stream: str, folded: str) -> bool:
    return all(listed(folded, projection.name) for projection in relevant(stream))


def forget_strange_faults(store: Store) -> None:
    """Forget the faults that nothing can mend: of streams that are gone, or that the projection does not fold.

    What a projection folds that is not installed here is for a host to say where it is.
    """
    for row in store.read(_FAULTS, {}):
        folds = {projection.name for projection in relevant(row["stream"])}
        if not row["heads"] or row["projection"] in installed().keys() - folds:
            store.write(FORGET_FAULT, {"name": row["projection"], "of_stream": row["stream"]})
