"""The store's own tables, as queries see them. The migrations make them; read models bring their own tables.

`streams` holds one row per stream, its head: what an append is checked against. `folded` lists, as `name=definition`,
the projections whose rows of this stream are complete at `version`; whatever is not listed is answered by folding.
`generation` says which rows of the read models belong to the live fold of this stream.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    cast,
    func,
    select,
)

from .seal import SEAL

METADATA = MetaData()
NEWEST_REVISION: Final = "0004"  # of the migrations; those tables are described here

STREAMS = Table(
    "streams",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("folded", Text, nullable=False),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("stream", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

PROJECTIONS = Table(
    "projections",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("definition", Text, nullable=False),
)

PROJECTION_FAULTS = Table(
    "projection_faults",
    METADATA,
    Column("projection", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("set_aside_at", Text, nullable=False),
)

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Text, nullable=False),
)

PEOPLE = Table(
    "people",
    METADATA,
    Column("person_id", Text, primary_key=True),
    Column("email", Text, nullable=False),
)

FEED = Table(
    "feed",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)

CHECKPOINT_LEAVES = Table(
    "checkpoint_leaves",
    METADATA,
    Column("position", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("size", BigInteger, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("made_at", Text, nullable=False),
)


def mark_of(stream: str | ColumnElement[str]) -> ColumnElement[str]:
    """How a stream stands, in one text that changes whenever its head does (`Head.mark`); empty for one that is not.

    The moment is in it because a version may come twice: where a database was restored, or a standby took over that
    lagged behind.
    """
    c = STREAMS.alias("marked").c
    mark = cast(c.version, Text) + " " + c.recorded_at + " " + cast(c.generation, Text) + " " + c.folded
    return func.coalesce(select(mark).where(c.stream == stream).scalar_subquery(), "")


@cache
def own_columns(table: Table) -> tuple[str, ...]:
    """The columns that a read model declared: those beside its rows' stream, generation and seal."""
    return tuple(column.name for column in table.columns if column.name not in ("stream", "generation", SEAL))
