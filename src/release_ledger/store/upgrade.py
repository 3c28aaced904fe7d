"""Making and migrating the tables, under a lock: safe to run twice, and from many hosts at the same moment.

The store's own tables come from the migrations; those of the read models are made in `read_models`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ..errors import LedgerUnavailable, SchemaMismatch
from .database import Database
from .schema import NEWEST_REVISION

_LOCK: Final = 0x72656C6C  # the advisory lock of this program, on PostgreSQL
UPGRADE_FIRST: Final = "run `release-ledger upgrade` first"


def upgrade_schema(database: Database) -> None:
    """Bring the store's tables to what this release knows. Raises `SchemaMismatch` when they are newer."""
    from . import revisions

    with upgrading(database) as connection:
        revisions.found_and_newest(connection)
        revisions.migrate(connection)


def check_schema(database: Database) -> None:
    """Raise `SchemaMismatch`, saying what to do, unless the tables are those of this release."""
    try:
        with database.engine.connect() as connection:
            if _revision(connection) == NEWEST_REVISION:
                return
            from . import revisions

            found, newest = revisions.found_and_newest(connection)
    except SQLAlchemyError as error:
        raise LedgerUnavailable() from error
    if found is None:
        raise SchemaMismatch(f"The database has no ledger yet: {UPGRADE_FIRST}.")
    if found != newest:
        raise SchemaMismatch(f"The database's schema is {found}, this release needs {newest}: {UPGRADE_FIRST}.")


def _revision(connection: Connection) -> str | None:
    """The revision of the tables, if one can be read; without Alembic, whose import takes longer than most commands."""
    try:
        return cast(str | None, connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())
    except SQLAlchemyError:
        return None


@contextmanager
def upgrading(database: Database) -> Iterator[Connection]:
    """One connection in one transaction that no other upgrade runs beside.

    The transaction is begun by a statement, because the pool's connections commit each statement and have to be left
    so: with another isolation level a connection goes back to the pool that keeps nothing of what is written to it.
    """
    with database.engine.connect() as connection:
        connection.detach()  # nor does anybody else wait for as long
        if database.is_postgresql:
            connection.exec_driver_sql("BEGIN")
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        else:
            connection.exec_driver_sql("PRAGMA busy_timeout = 60000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.commit()
