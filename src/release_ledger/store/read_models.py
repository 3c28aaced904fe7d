"""The tables of read models, which are disposable: one that is missing, or is not as declared, is made anew.

Every stream's head is told so in the same transaction. Whoever calls this holds the lock of rebuilds: rows that a
rebuild wrote into a table of before would be lost without anybody's noticing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final, Protocol

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, text, update
from sqlalchemy.schema import CreateTable

from ..errors import SchemaMismatch
from . import failures
from .database import Database
from .inspection import drop_statement, free_names, is_table, kind_of, unlike_declared
from .schema import PROJECTIONS, STREAMS
from .upgrade import UPGRADE_FIRST, upgrading

Say = Callable[[str], object]
LOCKS_WITHIN_MS: Final = 1_000  # who writes waits as long as this does for whoever reads
PAUSE_S: Final = 1.0  # in which those write that waited

_HEADS = text("SELECT count(*) FROM (SELECT stream FROM streams FOR UPDATE) AS heads")
_TAKE_OFF = update(STREAMS).where(STREAMS.c.folded == bindparam("of_folded")).values(folded=bindparam("left"))
_HOLDERS = text(
    "SELECT string_agg(DISTINCT pid::text, ', ') FROM pg_locks WHERE granted AND locktype = 'relation'"
    " AND relation IN (to_regclass(:table), to_regclass('streams')) AND pid <> pg_backend_pid()"
)


class ReadModel(Protocol):
    """What is asked of a projection here: a name, a definition, a table."""

    name: ClassVar[str]
    definition: ClassVar[str]
    table: ClassVar[Table]


def unlike(database: Database, projections: Iterable[ReadModel]) -> list[ReadModel]:
    """Those whose table is missing or not as declared. Raises `SchemaMismatch` where one is of a newer release."""
    with upgrading(database) as connection:
        known = _registered(connection)
        for projection in projections:
            if _is_newer(known.get(projection.name), projection.definition):
                has = f"this release has {projection.definition}"
                raise SchemaMismatch(
                    f"The read model {projection.name} is of definition {known[projection.name]}, which is newer than"
                    f" this release knows ({has}): install a newer one."
                )
        return [projection for projection in projections if unlike_declared(connection, projection.table)]


def damage(database: Database, projections: Iterable[ReadModel]) -> dict[str, list[str]] | None:
    """By its name, what of a read model's table is not as declared; None where nobody may compare it.

    On PostgreSQL a table is made for it, for a moment: a standby, or a role that only reads, cannot.
    """
    try:
        with upgrading(database) if database.is_postgresql else database.engine.connect() as connection:
            found = {each.name: unlike_declared(connection, each.table) for each in projections}
    except Exception as error:
        if failures.is_of_rights(error):
            return None
        raise
    return {name: unlike for name, unlike in found.items() if unlike}


def make_tables(database: Database, projections: Sequence[ReadModel], *, replace: bool, say: Say) -> None:
    """Make what is missing or not as declared; `say` is told whom it waits for.

    Unless they may be replaced, tables of a definition that another release registered are not touched. Raises
    `SchemaMismatch` then.
    """
    to_make = unlike(database, projections)
    if not replace:
        _check_own(database, to_make)
    for projection in to_make:
        _make_patiently(database, projection, say)


def register(database: Database, projections: Iterable[ReadModel]) -> None:
    """Note by which definition the read models are made from now on."""
    with upgrading(database) as connection:
        for projection in projections:
            _register(connection, projection)


def _check_own(database: Database, projections: Iterable[ReadModel]) -> None:
    with upgrading(database) as connection:
        known = _registered(connection)
    for projection in projections:
        if known.get(projection.name, projection.definition) != projection.definition:
            raise SchemaMismatch(
                f"The read model {projection.name} is of definition {known[projection.name]}, this release has"
                f" {projection.definition}: {UPGRADE_FIRST}."
            )


def _make_patiently(database: Database, projection: ReadModel, say: Say) -> None:
    """Again and again, for a moment each, until nobody else uses the table."""
    said = False
    while True:
        try:
            with upgrading(database) as connection:
                _make(connection, projection)
            return
        except Exception as error:
            if not failures.is_of_locks(error):
                raise
        if not said:
            said = True
            say(f"The table {projection.table.name} is to be made anew: waiting for {_users(database, projection)}…")
        time.sleep(PAUSE_S)


def _make(connection: Connection, projection: ReadModel) -> None:
    table, kind = projection.table, kind_of(connection, projection.table)
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = {LOCKS_WITHIN_MS}"))
        if is_table(kind):  # before the heads, as appends do
            name = connection.dialect.identifier_preparer.quote_identifier(table.name)
            connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
        connection.execute(_HEADS)
    _take_off_heads(connection, projection.name)
    if kind is not None:
        connection.exec_driver_sql(drop_statement(kind, table))
    free_names(connection, table)
    connection.execute(CreateTable(table))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):  # a database may choose by their order
        index.create(connection)
    _register(connection, projection)


def _take_off_heads(connection: Connection, name: str) -> None:
    for (folded,) in connection.execute(select(STREAMS.c.folded).distinct()).all():
        left = " ".join(tag for tag in folded.split() if tag.partition("=")[0] != name)
        if left != folded:
            connection.execute(_TAKE_OFF, {"of_folded": folded, "left": left})


def _users(database: Database, projection: ReadModel) -> str:
    """Who may hold what is waited for."""
    if not database.is_postgresql:
        return "another writer"
    with upgrading(database) as connection:
        name = connection.dialect.identifier_preparer.quote_identifier(projection.table.name)
        holders = connection.execute(_HOLDERS, {"table": name}).scalar()
    return f"whoever uses it (now the sessions {holders})" if holders else "whoever uses it"


def _registered(connection: Connection) -> dict[str, str]:
    return {row.name: row.definition for row in connection.execute(select(PROJECTIONS)).all()}


def _register(connection: Connection, projection: ReadModel) -> None:
    if _registered(connection).get(projection.name) != projection.definition:
        connection.execute(delete(PROJECTIONS).where(PROJECTIONS.c.name == projection.name))
        connection.execute(insert(PROJECTIONS).values(name=projection.name, definition=projection.definition))


def _is_newer(registered: str | None, own: str) -> bool:
    """Whether a definition comes after our own; of two that are no numbers nobody can tell."""
    return registered is not None and registered.isdecimal() and own.isdecimal() and int(registered) > int(own)
