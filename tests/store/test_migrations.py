"""A ledger of any age becomes, by upgrading, what a fresh one is."""

from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from release_ledger.projection.upgrade import upgrade, upgrade_tables
from release_ledger.store import open_store, revisions
from release_ledger.store import upgrade as store_upgrade
from release_ledger.store.database import Database
from release_ledger.store.schema import NEWEST_REVISION
from tests.support.schemas import schema_of

CONFIG = revisions.config_of(revisions.MIGRATIONS)
SCRIPTS = list(ScriptDirectory.from_config(CONFIG).walk_revisions("base", "heads"))
EARLIER = [None, *(script.revision for script in reversed(SCRIPTS))]


def test_the_newest_revision_is_known_without_alembic() -> None:
    """It is written down once more, in the schema that queries see."""
    assert ScriptDirectory.from_config(CONFIG).get_current_head() == NEWEST_REVISION


def migrate(database: Database, revision: str) -> None:
    """What a release that knew no more than this revision made."""
    with store_upgrade.upgrading(database) as connection:
        revisions.migrate(connection, revision)


@pytest.fixture
def fresh_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A ledger that was made by this release."""
    sqlite = f"sqlite:///{tmp_path}/fresh.db"
    url = sqlite if database_kind == "sqlite" else str(request.getfixturevalue("postgres").create_database())
    upgrade(url)
    return url


@pytest.mark.parametrize("earlier", EARLIER)
def test_an_earlier_schema_becomes_the_fresh_one(database_url: str, fresh_url: str, earlier: str | None) -> None:
    """Same columns, constraints and indexes, from whichever release one comes."""
    with closing(open_store(database_url)) as old, closing(open_store(fresh_url)) as fresh:
        if earlier is not None:
            migrate(old.database, earlier)

        upgrade_tables(old)

        assert schema_of(old.database) == schema_of(fresh.database)
        assert "column events.position" in schema_of(fresh.database)


def test_there_is_one_line_of_revisions() -> None:
    """Two heads would leave it to chance which tables a ledger has."""
    assert len([script for script in SCRIPTS if script.is_head]) == 1
    assert len([script for script in SCRIPTS if script.is_base]) == 1
