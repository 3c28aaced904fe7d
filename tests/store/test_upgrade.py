"""Making and migrating the tables: again, from many hosts at once, and with read models that are not there."""

import shutil
import subprocess
import sys
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import BigInteger, Column

import release_ledger.migrations
from release_ledger.errors import LedgerUnavailable, SchemaMismatch
from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, on, read_model, verify
from release_ledger.projection.upgrade import upgrade, upgrade_tables
from release_ledger.store import Store, open_store, revisions
from release_ledger.store import upgrade as store_upgrade
from release_ledger.store.store import head_of
from release_ledger.store.upgrade import check_schema
from tests.support.histories import PRODUCTION, STAGING, append, configured, faults, requested, run, statuses, succeeded
from tests.support.schemas import schema_of

ROOT = Path(__file__).parents[2]
PROCESSES = 8
UPGRADES = """
import sys
from release_ledger.projection.upgrade import upgrade
print("ready", flush=True)
sys.stdin.readline()
upgrade(sys.argv[1])
"""


class Totals(Projection):
    """How many deployments were requested here?"""

    name = "totals"
    table = read_model("totals", Column("requested", BigInteger, nullable=False))

    @on(DeploymentRequested)
    def counted(self, _event: DeploymentRequested, rows: Rows) -> None:
        rows[()] = {"requested": (rows.get(()) or {"requested": 0})["requested"] + 1}


def complaint(url: str) -> str:
    """What `check_schema` says of the database."""
    with closing(open_store(url)) as store, pytest.raises(SchemaMismatch) as raised:
        check_schema(store.database)
    return str(raised.value)


def newest_revision() -> str | None:
    return revisions.scripts(revisions.MIGRATIONS)[0]


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This program with one migration more, until the patch is undone."""
    folder = shutil.copytree(Path(release_ledger.migrations.__file__).parent, tmp_path / "migrations")
    source = f'revision = "next"\ndown_revision = "{newest_revision()}"\n\n\ndef upgrade():\n    pass\n'
    (folder / "versions" / "next.py").write_text(source)
    monkeypatch.setattr(revisions, "MIGRATIONS", str(folder))
    monkeypatch.setattr(store_upgrade, "NEWEST_REVISION", "next")
    return monkeypatch


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    """Run at every start of every host, it must be safe to repeat."""
    upgrade(database_url)
    with closing(open_store(database_url)) as store:
        append(store, configured(), requested(1))
        before, head = schema_of(store.database), head_of(store, PRODUCTION)

        folded_anew = upgrade(database_url)

        assert folded_anew == 0
        assert schema_of(store.database) == before
        assert head_of(store, PRODUCTION) == head
        check_schema(store.database)


def test_many_hosts_may_upgrade_at_once(database_url: str) -> None:
    """They start together after a release: one makes the tables, the others wait, nobody fails."""
    command = [sys.executable, "-c", UPGRADES, database_url]
    hosts = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    for host in hosts:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"

    for host in hosts:
        assert host.stdin is not None
        host.stdin.close()
        host.stdin = None  # or communicate would try to use it
    errors = [host.communicate(timeout=60)[1] for host in hosts]

    assert [host.returncode for host in hosts] == [0] * PROCESSES, errors
    with closing(open_store(database_url)) as store:
        check_schema(store.database)
        append(store, configured())


def test_what_is_appended_after_an_upgrade_by_the_same_store_is_there(database_url: str) -> None:
    """A connection that the upgrade left without autocommit would answer, and lose what it acknowledged."""
    with closing(open_store(database_url)) as store, closing(open_store(database_url)) as another:
        upgrade_tables(store)

        append(store, configured())

        assert head_of(another, PRODUCTION).version == 1


def test_an_empty_database_is_told_what_to_run(database_url: str) -> None:
    """Nobody has to guess why it does not start."""
    assert complaint(database_url) == "The database has no ledger yet: run `release-ledger upgrade` first."


def test_a_ledger_that_lost_its_revision_is_none(upgraded_url: str) -> None:
    """Tables alone say nothing of their version."""
    with closing(open_store(upgraded_url)) as store:
        run(store, "DELETE FROM alembic_version")

    assert complaint(upgraded_url) == "The database has no ledger yet: run `release-ledger upgrade` first."


def test_an_older_schema_is_told_what_to_run(upgraded_url: str, request: pytest.FixtureRequest) -> None:
    """A new release before its upgrade: it names both versions and does not touch anything."""
    older = newest_revision()
    request.getfixturevalue("next_release")

    said = complaint(upgraded_url)

    needs = "this release needs next: run `release-ledger upgrade` first."
    assert said == f"The database's schema is {older}, {needs}"


def test_a_newer_schema_is_refused(upgraded_url: str, next_release: pytest.MonkeyPatch) -> None:
    """An old release does not work on tables that it does not know, and does not upgrade them backwards."""
    upgrade(upgraded_url)
    next_release.undo()

    assert (
        complaint(upgraded_url) == "The database's schema next is newer than this release knows: install a newer one."
    )
    with pytest.raises(SchemaMismatch):
        upgrade(upgraded_url)


def test_a_database_that_does_not_answer_is_no_mismatch(tmp_path: Path) -> None:
    """Upgrading would not help."""
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 20)
    for url in (
        f"sqlite:///{tmp_path}/gone/ledger.db",
        f"sqlite:///{tmp_path}/text.db",
        "postgresql://u@127.0.0.1:1/d",
    ):
        with closing(open_store(url)) as store, pytest.raises(LedgerUnavailable):
            check_schema(store.database)


def test_a_dropped_read_model_is_made_again(store: Store, upgraded_url: str) -> None:
    """Read models are disposable: the upgrade makes the table and folds every stream anew."""
    append(store, configured(), requested(1), succeeded(1))
    append(store, configured(), requested(1), stream=STAGING)
    run(store, "DROP TABLE deployments")
    append(store, requested(2))

    folded_anew = upgrade(upgraded_url)

    assert folded_anew == 2
    assert statuses(store) == {1: "success", 2: "pending"}
    assert statuses(store, STAGING) == {1: "pending"}
    assert faults(store) == []
    assert list(verify(store)) == [(PRODUCTION, []), (STAGING, [])]


def test_a_read_model_of_other_columns_is_made_again(store: Store, upgraded_url: str) -> None:
    """What an earlier release of the projection left behind."""
    append(store, configured(), requested(1))
    run(store, "ALTER TABLE deployments ADD COLUMN earlier text")

    upgrade(upgraded_url)

    assert statuses(store) == {1: "pending"}
    assert list(verify(store)) == [(PRODUCTION, [])]


def test_a_newly_installed_read_model_is_filled(
    store: Store, upgraded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A separate distribution adds a question: it is answered for all of the past, and from then on live."""
    append(store, configured(), requested(1))
    append(store, configured(), stream=STAGING)
    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), "totals", Totals())

    folded_anew = upgrade(upgraded_url)
    append(store, requested(2))

    assert folded_anew == 2
    totals = run(store, "SELECT t.stream, requested FROM totals t JOIN streams USING (stream, generation)")
    assert totals == [{"stream": PRODUCTION, "requested": 2}]
    assert list(verify(store)) == [(PRODUCTION, []), (STAGING, [])]


def test_a_stream_with_an_event_of_a_newer_release_does_not_stop_the_others(store: Store, upgraded_url: str) -> None:
    """Two releases side by side: this one folds what it knows and leaves the rest to the other."""
    append(store, configured())
    append(store, configured(), stream=STAGING)
    run(
        store, f"UPDATE events SET topic = 'teleported' WHERE stream = '{PRODUCTION}'", "UPDATE streams SET folded = ''"
    )

    folded_anew = upgrade(upgraded_url)

    assert folded_anew == 1
    assert head_of(store, PRODUCTION).folded == ""
    assert head_of(store, STAGING).folded != ""
