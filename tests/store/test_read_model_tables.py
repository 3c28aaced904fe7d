"""The tables of read models: damage is seen and mended, nobody waits long for it, and nobody's rows are lost by it."""

import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing, contextmanager
from typing import Any, cast

import pytest
from sqlalchemy import BigInteger, Column

from release_ledger.errors import SchemaMismatch
from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, on, read_model, verify
from release_ledger.projection.alone import alone
from release_ledger.projection.upgrade import WAITING, make_lost_tables, upgrade, upgrade_tables
from release_ledger.store import Store, open_store, read_models
from release_ledger.store.store import head_of
from tests.support.histories import ALL_LIVE, PRODUCTION, append, configured, live_but, requested, run, statuses
from tests.support.schemas import schema_of
from tests.support.server import wait_for

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
ENDS_WITHIN_S = 30
TABLE = installed()["deployments"].table
COLUMNS = ", ".join(f'"{column.name}"' for column in TABLE.columns)
INDEX = min(str(index.name) for index in TABLE.indexes)


def filled(store: Store) -> None:
    append(store, configured(), requested(1), requested(2))


def sound(store: Store) -> bool:
    return [found for _, found in verify(store) if found] == [] and head_of(store, PRODUCTION).folded == ALL_LIVE


def of_sqlite(store: Store, old: str, new: str) -> None:
    """The table again, with its rows, but this word of its declaration."""
    [row] = run(store, "SELECT sql FROM sqlite_master WHERE name = 'deployments'")
    assert old in row["sql"]
    indexes = run(store, "SELECT sql FROM sqlite_master WHERE tbl_name = 'deployments' AND sql LIKE 'CREATE%INDEX%'")
    run(
        store,
        "CREATE TABLE kept AS SELECT * FROM deployments",
        "DROP TABLE deployments",
        row["sql"].replace(old, new),
        f"INSERT INTO deployments ({COLUMNS}) SELECT {COLUMNS} FROM kept",
        "DROP TABLE kept",
        *(index["sql"] for index in indexes),
    )


def upgraded(store: Store, url: str) -> None:
    """The table is as it was made, and holds what the history says."""
    with store.database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM deployments")  # so that what is kept open has seen the damage
    mended(store, url)


def mended(store: Store, url: str) -> None:
    store.database.forget_connections()
    upgrade(url)
    store.database.forget_connections()
    assert statuses(store) == {1: "pending", 2: "pending"}
    assert sound(store)


@pytest.mark.parametrize(
    "damage",
    [
        ("ALTER TABLE deployments DROP CONSTRAINT deployments_pkey",),
        (f"DROP INDEX {INDEX}",),
        (f"DROP INDEX {INDEX}", f"CREATE INDEX {INDEX} ON deployments (reason)"),
        ("ALTER TABLE deployments ALTER COLUMN reason TYPE varchar(40)",),
        ("ALTER TABLE deployments ALTER COLUMN number TYPE integer",),
        ("ALTER TABLE deployments ALTER COLUMN kind DROP NOT NULL",),
        (
            "CREATE TABLE k AS SELECT * FROM deployments",
            "DROP TABLE deployments",
            "ALTER TABLE k RENAME TO deployments",
        ),
    ],
    ids=lambda damage: damage[-1],
)
@on_postgresql
def test_damage_to_a_table_is_mended(store: Store, upgraded_url: str, damage: tuple[str, ...]) -> None:
    """A key, an index, a type or a constraint that somebody dropped or changed: names of columns are not all."""
    filled(store)
    before = schema_of(store.database)
    run(store, *damage)
    assert schema_of(store.database) != before

    upgraded(store, upgraded_url)

    assert schema_of(store.database) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PRIMARY KEY", "UNIQUE"),
        ("reason TEXT", "reason INTEGER"),
        ("kind TEXT NOT NULL", "kind TEXT"),
    ],
)
@on_sqlite
def test_damage_to_a_table_of_sqlite_is_mended(store: Store, upgraded_url: str, old: str, new: str) -> None:
    """The same, where a table is altered by making it anew."""
    filled(store)
    before = schema_of(store.database)
    of_sqlite(store, old, new)
    assert schema_of(store.database) != before

    upgraded(store, upgraded_url)

    assert schema_of(store.database) == before


@pytest.mark.parametrize(
    "damage", [(f"DROP INDEX {INDEX}",), (f"DROP INDEX {INDEX}", f"CREATE INDEX {INDEX} ON deployments (reason)")]
)
@on_sqlite
def test_an_index_of_sqlite_is_mended(store: Store, upgraded_url: str, damage: tuple[str, ...]) -> None:
    """A dropped one, and one of the name on something else."""
    filled(store)
    before = schema_of(store.database)
    run(store, *damage)

    upgraded(store, upgraded_url)

    assert schema_of(store.database) == before


@pytest.mark.parametrize(
    ("database_kind", "kind"),
    [("sqlite", "VIEW"), ("postgresql", "VIEW"), ("postgresql", "MATERIALIZED VIEW")],
)
def test_a_view_in_the_place_of_a_table_is_dropped(store: Store, upgraded_url: str, kind: str) -> None:
    """It can be read, so that nothing else would notice, and not be written."""
    filled(store)
    before = schema_of(store.database)
    run(
        store,
        "CREATE TABLE kept AS SELECT * FROM deployments",
        "DROP TABLE deployments",
        f"CREATE {kind} deployments AS SELECT * FROM kept",
    )

    upgraded(store, upgraded_url)

    run(store, "DROP TABLE kept")
    assert schema_of(store.database) == before


def test_a_table_that_was_renamed_is_left_and_made_again(store: Store, upgraded_url: str) -> None:
    """It keeps its rows; what it kept of the names of key and indexes is no longer in the way."""
    filled(store)
    before = schema_of(store.database)
    run(store, "ALTER TABLE deployments RENAME TO deployments_old")

    mended(store, upgraded_url)

    assert before.items() <= schema_of(store.database).items()
    assert len(run(store, "SELECT number FROM deployments_old")) == 2


def test_what_has_the_name_of_an_index_is_out_of_the_way(store: Store, upgraded_url: str) -> None:
    """A table or a view, say."""
    filled(store)
    before = schema_of(store.database)
    other = max(str(index.name) for index in TABLE.indexes)
    run(store, "DROP TABLE deployments", f"CREATE TABLE {INDEX} (a text)", f"CREATE VIEW {other} AS SELECT 1 AS a")

    mended(store, upgraded_url)

    assert before.items() <= schema_of(store.database).items()


def test_what_somebody_added_is_left(store: Store, upgraded_url: str) -> None:
    """An index for somebody's own questions is no damage: nothing is folded again for it."""
    filled(store)
    run(store, "CREATE INDEX mine ON deployments (reason)")
    before, head = schema_of(store.database), head_of(store, PRODUCTION)

    upgrade(upgraded_url)

    assert schema_of(store.database) == before
    assert head_of(store, PRODUCTION) == head


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(ENDS_WITHIN_S)
        assert not thread.is_alive()


@on_postgresql
def test_nobody_waits_for_an_upgrade_that_waits(
    store: Store, other_store: Store, upgraded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads a table for long that is to be made anew: it says so, and others write meanwhile."""
    monkeypatch.setattr(read_models, "LOCKS_WITHIN_MS", 100)
    monkeypatch.setattr(read_models, "PAUSE_S", 0.1)
    filled(store)
    run(store, f"DROP INDEX {INDEX}")
    said: list[str] = []
    with closing(open_store(upgraded_url)) as reading, reading.database.transaction(write=False) as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM deployments LIMIT 1")
        [[pid]] = cursor.fetchall()
        with beside(lambda: upgrade_tables(other_store, said.append)) as upgrading:
            wait_for(lambda: said)
            began = time.monotonic()
            for number in range(3, 13):
                append(store, requested(number))
            waited_s = time.monotonic() - began
            assert upgrading.is_alive()
            cursor.execute("COMMIT")
            upgrading.join(ENDS_WITHIN_S)

    [line] = said
    assert line.startswith("The table deployments is to be made anew: waiting for whoever uses it (now the sessions ")
    assert str(pid) in line.removesuffix(")…").partition("sessions ")[2].split(", ")
    assert waited_s < 5
    assert INDEX in {name.split()[-1] for name in schema_of(store.database)}
    upgrade(upgraded_url)
    assert sound(store)


def test_tables_are_made_when_no_rebuild_is_under_way(store: Store, other_store: Store) -> None:
    """Or rows that it has written would be gone with the table of before."""
    filled(store)
    run(store, "DROP TABLE deployments")
    said: list[str] = []
    with alone(store.database, wait=False):
        thread = threading.Thread(target=lambda: upgrade_tables(other_store, said.append))
        thread.start()
        wait_for(lambda: said)
        assert not any(name.startswith("column deployments.") for name in schema_of(store.database))
    thread.join(ENDS_WITHIN_S)

    assert said == [WAITING]
    assert any(name.startswith("column deployments.") for name in schema_of(store.database))
    assert head_of(store, PRODUCTION).folded == live_but("deployments")


class Totals(Projection):
    """How many deployments were requested here?"""

    name = "totals"
    definition = "9"
    table = read_model("totals", Column("requested", BigInteger, nullable=False))

    @on(DeploymentRequested)
    def requested(self, _event: DeploymentRequested, rows: Rows) -> None:
        rows[()] = {"requested": (rows.get(()) or {"requested": 0})["requested"] + 1}


class OtherTotals(Totals):
    """With a column more."""

    definition = "10"
    table = read_model(
        "totals", Column("requested", BigInteger, nullable=False), Column("twice", BigInteger, nullable=False)
    )

    @on(DeploymentRequested)
    def requested(self, _event: DeploymentRequested, rows: Rows) -> None:
        count = (rows.get(()) or {"requested": 0})["requested"] + 1
        rows[()] = {"requested": count, "twice": 2 * count}


class NamedTotals(OtherTotals):
    """Of a definition that is no number."""

    definition = "next"


@contextmanager
def release(projection: Projection) -> Iterator[None]:
    """A release that has this projection."""
    everything = cast(MutableMapping[str, Projection], installed())
    everything["totals"] = projection
    try:
        yield
    finally:
        del everything["totals"]


def totals(store: Store) -> list[dict[str, Any]]:
    return run(store, "SELECT t.* FROM totals t JOIN streams USING (stream, generation)")


def rebuilds(store: Store) -> None:
    """What `rebuild` and `verify --repair` make."""
    with alone(store.database, wait=False) as seat:
        make_lost_tables(seat)


def test_an_older_release_leaves_the_tables_of_a_newer_one(store: Store, upgraded_url: str) -> None:
    """Of the two, the newer has the say, also over 9 and 10: the older one's upgrade is refused, and its rebuild."""
    filled(store)
    with release(OtherTotals()):
        upgrade(upgraded_url)
    before = totals(store)
    assert [row["twice"] for row in before] == [4]

    with release(Totals()):
        newer = r"totals is of definition 10, which is newer than this release knows .* 9\): install a newer one"
        with pytest.raises(SchemaMismatch, match=newer):
            upgrade(upgraded_url)
        with pytest.raises(SchemaMismatch, match=newer):
            rebuilds(store)

    assert totals(store) == before


@pytest.mark.parametrize(("first", "second"), [(Totals, OtherTotals), (NamedTotals, Totals), (Totals, NamedTotals)])
def test_only_an_upgrade_replaces_the_table_of_another_definition(
    store: Store, upgraded_url: str, first: type[Projection], second: type[Projection]
) -> None:
    """Servers of the other release read and write it: a rebuild does not take it from them."""
    filled(store)
    with release(first()):
        upgrade(upgraded_url)
    before = totals(store)

    with release(second()):
        has = f"is of definition {first.definition}, this release has {second.definition}: run `release-ledger upgrade`"
        with pytest.raises(SchemaMismatch, match=has):
            rebuilds(store)
        assert totals(store) == before

        upgrade(upgraded_url)

        assert [row["requested"] for row in totals(store)] == [2]
        assert run(store, "SELECT definition FROM projections WHERE name = 'totals'") == [
            {"definition": second.definition}
        ]


def test_a_rebuild_makes_what_is_damaged_of_its_own(store: Store, upgraded_url: str) -> None:
    """And what nobody registered yet; a table that fits is left, by whatever definition it was made."""
    filled(store)
    with release(Totals()):
        rebuilds(store)
        assert totals(store) == []
        upgrade(upgraded_url)
        run(store, "DROP TABLE totals")

        rebuilds(store)

        assert totals(store) == []
        upgrade(upgraded_url)
        assert [row["requested"] for row in totals(store)] == [2]
        run(store, "UPDATE projections SET definition = '8' WHERE name = 'totals'")
        rebuilds(store)
        assert [row["requested"] for row in totals(store)] == [2]
