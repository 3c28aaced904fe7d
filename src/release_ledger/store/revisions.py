"""The revisions of the schema, by Alembic, which is imported only where something is to be migrated or told of it."""

from __future__ import annotations

from functools import cache
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ..errors import SchemaMismatch

MIGRATIONS: Final = "release_ledger:migrations"


def migrate(connection: Connection, revision: str = "head") -> None:
    """Migrate the tables to a revision, in the transaction of the connection."""
    config = config_of(MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def found_and_newest(connection: Connection) -> tuple[str | None, str | None]:
    """The revision of the tables, if there are any, and the newest of this release; newer ones are refused."""
    found = MigrationContext.configure(connection).get_current_revision()
    newest, known = scripts(MIGRATIONS)
    if found is not None and found not in known:
        raise SchemaMismatch(f"The database's schema {found} is newer than this release knows: install a newer one.")
    return found, newest


@cache
def scripts(location: str) -> tuple[str | None, frozenset[str]]:
    """The newest revision among the migrations at this place, and all of them; they do not change while it runs."""
    found = ScriptDirectory.from_config(config_of(location))
    return found.get_current_head(), frozenset(script.revision for script in found.walk_revisions())


def config_of(location: str) -> Config:
    """What Alembic has to know to find the migrations at this place."""
    config = Config()
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config
