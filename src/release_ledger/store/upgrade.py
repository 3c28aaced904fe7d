"""Making and migrating the tables, under a lock: safe to run twice, and from many hosts at the same moment.

The store's own tables come from the migrations; those of the read models are made in `read_models`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ..errors import LedgerUnavailable, SchemaMismatch
from .database import Database

_LOCK: Final = 0x72656C6C  # the advisory lock of this program, on PostgreSQL
_MIGRATIONS: Final = "release_ledger:migrations"
UPGRADE_FIRST: Final = "run `release-ledger upgrade` first"


def upgrade_schema(database: Database) -> None:
    """Bring the store's tables to what this release knows. Raises `SchemaMismatch` when they are newer."""
    with upgrading(database) as connection:
        _found_and_newest(connection)
        config = _config(_MIGRATIONS)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(database: Database) -> None:
    """Raise `SchemaMismatch`, saying what to do, unless the tables are those of this release."""
    try:
        with database.engine.connect() as connection:
            found, newest = _found_and_newest(connection)
    except SQLAlchemyError as error:
        raise LedgerUnavailable() from error
    if found is None:
        raise SchemaMismatch(f"The database has no ledger yet: {UPGRADE_FIRST}.")
    if found != newest:
        raise SchemaMismatch(f"The database's schema is {found}, this release needs {newest}: {UPGRADE_FIRST}.")


@cache
def _scripts(location: str) -> tuple[str | None, frozenset[str]]:
    """The newest revision among the migrations at this place, and all of them; they do not change while it runs."""
    scripts = ScriptDirectory.from_config(_config(location))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


def _config(location: str) -> Config:
    config = Config()
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config


def _found_and_newest(connection: Connection) -> tuple[str | None, str | None]:
    """The revision of the tables, if there are any, and the newest of this release; newer ones are refused."""
    found = MigrationContext.configure(connection).get_current_revision()
    newest, known = _scripts(_MIGRATIONS)
    if found is not None and found not in known:
        raise SchemaMismatch(f"The database's schema {found} is newer than this release knows: install a newer one.")
    return found, newest


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
