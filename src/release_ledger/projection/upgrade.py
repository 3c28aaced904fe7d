"""`release-ledger upgrade`: the schema, then every stream whose read models are not complete."""

from __future__ import annotations

from sqlalchemy import select

from ..store import Source, Statement, Store, open_store
from ..store.schema import STREAMS
from ..store.upgrade import upgrade_schema
from .alone import alone
from .crew import rebuild_streams
from .installed import installed, relevant, tag

_HEADS = Statement(
    select(STREAMS.c.stream, STREAMS.c.version, STREAMS.c.folded).order_by(STREAMS.c.version.desc(), STREAMS.c.stream)
)


def upgrade(url: str) -> int:
    """Make or migrate the tables at this URL, and fold what is not complete; the number of streams made whole.

    Safe to run twice. A stream with an event that only a newer release knows is left as it is, for that release.
    """
    store = open_store(url)
    try:
        upgrade_tables(store)
        with alone(store.database, wait=True) as seat:
            rebuilt = list(rebuild_streams(seat, list(incomplete(seat)), 1, lambda events: None))
        return sum(not each.faults and not each.left for each in rebuilt)
    finally:
        store.close()


def upgrade_tables(store: Store) -> None:
    """The schema and the tables of the read models. Raises `SchemaMismatch` when they are newer."""
    upgrade_schema(store.database, list(installed().values()))


def incomplete(source: Source) -> dict[str, int]:
    """The streams whose head does not list every projection that folds them, with their versions, longest first."""
    rows = source.read(_HEADS, {})
    return {row["stream"]: row["version"] for row in rows if not _is_complete(row["stream"], row["folded"].split())}


def _is_complete(stream: str, folded: list[str]) -> bool:
    return all(tag(projection) in folded for projection in relevant(stream))
