"""Which projections there are: every distribution's entry points of the group `release_ledger.projections`.

One that does not load, or that would get into the way of others, is left out and said; it stops nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, NamedTuple

from sqlalchemy import Table

from ..events import Event
from ..store.schema import METADATA, own_columns
from ..store.seal import SEAL
from .projection import Projection
from .streams import kind_of

GROUP: Final = "release_ledger.projections"
_PROJECTIONS: Final = "release_ledger.projections."
OURS: Final = "release-ledger"
LONGEST_NAME: Final = 63  # of a table or an index on PostgreSQL

# Besides the tables of `METADATA`: what the migrations make.
_TAKEN: Final = (
    *("alembic_version", "alembic_version_pkc", "outbox_leases", "outbox_leases_pkey"),
    *("idempotency_keys_by_age", "people_by_email", "events_position_key"),
    *("feed_of_event", "checkpoint_leaves_by_stream"),
)


class LeftOut(NamedTuple):
    """A projection that is installed and cannot be used: the name of its entry point, and why."""

    entry: str
    reason: str


class Unusable(Exception):
    """The projection would get into the way of others, or its rows could not be kept."""


@cache
def installed() -> Mapping[str, Projection]:
    """The projections of this installation by name, in the order of their names."""
    return _found()[0]


def left_out() -> Sequence[LeftOut]:
    """What is installed and not among them."""
    return _found()[1]


@cache
def _found() -> tuple[dict[str, Projection], list[LeftOut]]:
    found: dict[str, Projection] = {}
    out: list[LeftOut] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (not _is_ours(entry), entry.name)):
        try:
            projection: Projection = entry.load()()
            check_usable(projection, found.values())
        except (Exception, SystemExit) as error:
            reason = (
                str(error) if isinstance(error, Unusable) else f"it does not load ({type(error).__name__}: {error})"
            )
            out.append(LeftOut(entry.value, reason))
        else:
            found[projection.name] = projection
    return dict(sorted(found.items())), out


def _is_ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name.lower().replace("_", "-") == OURS


def check_usable(projection: Projection, others: Iterable[Projection]) -> None:
    """Raise `Unusable` unless its name and definition can stand in a head, what it makes in the database is its own,
    and its table can hold rows of every stream and generation.
    """
    name = projection.name
    for what, word in (("name", name), ("definition", projection.definition)):
        if not word or "=" in word or word.split() != [word]:
            raise Unusable(f"its {what} {word!r} is empty, or has white space or `=` in it")
    others = list(others)
    if name in (other.name for other in others):
        raise Unusable(f"there is another projection of the name {name}")
    taken = {each.lower() for table in METADATA.tables.values() for each in _made_by(table)}
    taken |= {each.lower() for other in others for each in _made_by(other.table)} | {*_TAKEN}
    for made in _made_by(projection.table):
        if not made.startswith(name):
            raise Unusable(f"its table or index {made} does not begin with its name, {name}")
        if made.lower() in taken:
            raise Unusable(f"its table or index {made} is the ledger's, or another projection's")
        if len(made.encode()) > LONGEST_NAME:
            raise Unusable(f"the name of its table or index {made} is longer than {LONGEST_NAME} bytes")
    _check_columns(projection)


def _check_columns(projection: Projection) -> None:
    table, key = projection.table, tuple(projection.key)
    ours = ("stream", "generation", SEAL)
    missing = [name for name in ours if name not in table.columns]
    if missing:
        raise Unusable(f"its table has no column {missing[0]}: `read_model` makes one")
    for name in key:
        if name not in own_columns(table):
            raise Unusable(f"its key {name} is no column of its own")
    keyed = sorted(column.name for column in table.primary_key)
    if keyed != sorted(("stream", "generation", *key)):
        raise Unusable(f"its table is keyed by {', '.join(keyed)}, and not by stream, generation and its key {key}")


def _made_by(table: Table) -> list[str]:
    """The names that this table takes in the database."""
    return [table.name, f"{table.name}_pkey", *(str(index.name) for index in table.indexes)]


def relevant(stream: str) -> Sequence[Projection]:
    """The projections that fold the events of this stream; none for a stream that is not the ledger's."""
    return _relevant(stream.partition("/")[0], tuple(installed().values()))


@lru_cache(maxsize=16)
def _relevant(sort: str, projections: tuple[Projection, ...]) -> Sequence[Projection]:
    kind = kind_of(sort)
    if kind is Event:
        return ()
    found = (p for p in projections if any(issubclass(event, kind) for event in p.events))
    # Ours first: what a fold of others does to an event, which it must not, ours do not see.
    return tuple(sorted(found, key=lambda p: not type(p).__module__.startswith(_PROJECTIONS)))


def tag(projection: Projection) -> str:
    """How a head lists that this projection's rows are complete, and by which definition they were made."""
    return f"{projection.name}={projection.definition}"


def listed(folded: str, name: str) -> bool:
    """Whether a head's `folded` lists this projection in the definition installed here."""
    return _lists(folded, tag(installed()[name]))


@lru_cache(maxsize=256)
def _lists(folded: str, tag: str) -> bool:
    return tag in folded.split()
