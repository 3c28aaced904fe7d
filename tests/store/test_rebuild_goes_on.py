"""A rebuild goes on: what is locked, what raises and what is made anew meanwhile costs a stream or a projection."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, on, rebuild
from release_ledger.projection import alone as seats
from release_ledger.projection.alone import Seat, alone
from release_ledger.projection.crew import rebuild_streams
from release_ledger.projection.rebuild import rebuild_stream
from release_ledger.projection.upgrade import forget_strange_faults
from release_ledger.projections.deployments import Deployments
from release_ledger.store import Params, Row, Statement, Store, database, open_store, read_models
from release_ledger.store.store import head_of
from release_ledger.store.upgrade import upgrading
from tests.store.test_rebuild import Meanwhile, _small, differences, long_history, rebuilt  # noqa: F401 - a fixture
from tests.support.histories import (
    ALL_LIVE,
    PRODUCTION,
    STAGING,
    append,
    configured,
    faults,
    live_but,
    requested,
    run,
)

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 30
TURNS = 6
# Takes turns of a rebuild, each after it was told to; says when it begins to wait for one.
TAKES_TURNS = """
import sys
from release_ledger.projection.alone import Seat
from release_ledger.store import open_store

seat = Seat(open_store(sys.argv[1]).database)
for _ in sys.stdin:
    print("waits", flush=True)
    with seat.transaction(durable=False) as cursor:
        cursor.execute("INSERT INTO turns VALUES ('the other seat')")
    print("had it", flush=True)
"""


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else holds production's head, on SQLite the whole file."""
    with closing(open_store(url)) as another, another.database.transaction(write=True) as cursor:
        if another.database.is_postgresql:
            cursor.execute(f"SELECT stream FROM streams WHERE stream = '{PRODUCTION}' FOR UPDATE")
        yield


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for a moment only."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(rebuild, "PAUSE_S", 0.2)


@contextmanager
def impatient_seat(store: Store) -> Iterator[Seat]:
    with alone(store.database, wait=False) as seat:
        if store.database.is_postgresql:
            seat.cursor.execute("SET lock_timeout = 100")
        yield seat


@pytest.mark.usefixtures("_impatient")
def test_a_stream_that_somebody_locks_is_left_and_the_others_are_not(store: Store, upgraded_url: str) -> None:
    """It says so; what was not rebuilt is as it was. (SQLite has one lock for all.)"""
    append(store, configured(), requested(1))
    append(store, configured(), stream=STAGING)
    before = head_of(store, PRODUCTION)

    with locked(upgraded_url), impatient_seat(store) as seat:
        came = list(rebuild_streams(seat, dict.fromkeys([PRODUCTION, STAGING], 0), 1, lambda events: None))

    left = {each.stream: each.left for each in came}
    assert left[PRODUCTION].startswith("somebody else had it locked: ")
    assert left[STAGING].startswith("" if store.database.is_postgresql else "somebody else had it locked: ")
    assert (head_of(store, STAGING).generation > 0) == store.database.is_postgresql
    assert head_of(store, PRODUCTION) == before
    assert differences(store) == []


@pytest.mark.usefixtures("_impatient")
def test_a_lock_that_is_given_back_is_waited_for(store: Store, upgraded_url: str) -> None:
    """A longer transaction of somebody's is no reason to leave anything."""
    append(store, configured(), requested(1))
    over = threading.Event()

    def hold() -> None:
        with locked(upgraded_url):
            held.set()
            time.sleep(0.5)
        over.set()

    held, holder = threading.Event(), threading.Thread(target=hold)
    holder.start()
    assert held.wait(ENDS_WITHIN_S)
    with impatient_seat(store) as seat:
        came = rebuild_stream(seat, PRODUCTION)
    holder.join()

    assert (came.left, came.faults) == ("", ())
    assert over.is_set()
    assert head_of(store, PRODUCTION).generation > 0


@pytest.mark.usefixtures("_small")
def test_a_table_made_anew_meanwhile_is_noticed(store: Store, other_store: Store) -> None:
    """Though the head did not list it, so that it says the same as before: its rows of until then are gone."""
    long_history(store)
    run(store, f"UPDATE streams SET folded = '{live_but('deployments')}'")

    def make() -> None:
        with upgrading(other_store.database) as connection:
            read_models._make(connection, installed()["deployments"])
        assert head_of(store, PRODUCTION).folded == live_but("deployments")

    meanwhile = Meanwhile(make, after=8)
    came = rebuilt(store, advanced=meanwhile)

    assert meanwhile.pages > 8
    assert came.faults == ()
    assert head_of(store, PRODUCTION).folded == ALL_LIVE
    assert differences(store) == []


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("no server"),
        sqlite3.OperationalError("locked"),
        psycopg.errors.LockNotAvailable("x"),
        SystemExit(3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_fold_raises_sets_it_aside_and_nothing_else(
    store: Store, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of a database's, or one that would end the process, is none of ours when the fold raises it."""
    append(store, configured(), requested(1))
    append(store, configured(), stream=STAGING)

    class Broken(Deployments):
        @on(DeploymentRequested)
        def requested(self, _event: DeploymentRequested, _rows: Rows) -> None:
            raise error

    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), "deployments", Broken())

    with alone(store.database, wait=False) as seat:
        came = list(rebuild_streams(seat, dict.fromkeys([PRODUCTION, STAGING], 0), 1, lambda events: None))

    assert [each.stream for each in came] == [PRODUCTION, STAGING]
    assert [(each.projection, each.error) for each in came[0].faults] == [
        ("deployments", f"{type(error).__name__}: {error}")
    ]
    assert (came[1].faults, came[1].left) == ((), "")
    assert head_of(store, PRODUCTION).folded == live_but("deployments")


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("swallows", [False, True], ids=["raised", "swallowed by the fold"])
def test_rows_that_could_not_be_read_back_are_not_the_folds_fault(
    store: Store, swallows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the fold makes of it: the stream is folded once more."""
    long_history(store)
    failed: list[Statement] = []
    read = Seat.read

    def failing(self: Seat, statement: Statement, params: Params) -> list[Row]:
        if "FROM deployments" in str(statement.clause) and not failed:
            failed.append(statement)
            raise psycopg.DataError("out of range") if self.database.is_postgresql else sqlite3.DataError("malformed")
        return read(self, statement, params)

    class Swallowing(Deployments):
        def fold(self, event: Any, rows: Rows) -> None:
            try:
                super().fold(event, rows)
            except Exception:
                if not swallows:
                    raise

    monkeypatch.setattr(Seat, "read", failing)
    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), "deployments", Swallowing())

    came = rebuilt(store)

    assert failed
    assert came.faults == ()
    assert differences(store) == []


def test_faults_that_nothing_can_mend_are_forgotten(store: Store) -> None:
    """Of a stream that is gone, or of a projection that does not fold it; no others, nor of one that is elsewhere."""
    append(store, configured(), requested(1))
    strange = [("deployments", "environment/shop/gone"), ("tokens", PRODUCTION), ("plugin", "environment/shop/gone")]
    for name, stream in [*strange, ("deployments", PRODUCTION), ("plugin", PRODUCTION)]:
        run(store, f"INSERT INTO projection_faults VALUES ('{name}', '{stream}', 1, 'no', '2026')")

    forget_strange_faults(store)

    assert faults(store) == [("deployments", PRODUCTION, 1), ("plugin", PRODUCTION, 1)]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_between_two_turns_of_a_rebuild_others_write(
    store: Store, upgraded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer at a time, and two processes that rebuild would leave it to chance who is next."""
    monkeypatch.setattr(seats, "PAUSE_S", 0.4)
    run(store, "CREATE TABLE turns (who TEXT)")
    command = [sys.executable, "-c", TAKES_TURNS, upgraded_url]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    seat = Seat(store.database)
    with (
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as other,
        closing(seat),
    ):
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(TURNS):
            writer = threading.Thread(target=lambda: _write(store))
            with seat.transaction(durable=False) as cursor:
                cursor.execute("INSERT INTO turns VALUES ('a seat')")
                other.stdin.write("\n")
                other.stdin.flush()
                assert other.stdout.readline() == "waits\n"
                writer.start()
                time.sleep(0.1)  # both wait now
            assert other.stdout.readline() == "had it\n"
            writer.join(ENDS_WITHIN_S)
        other.stdin.close()

    turns = [row["who"] for row in run(store, "SELECT who FROM turns ORDER BY rowid")]
    assert turns == ["a seat", "a writer", "the other seat"] * TURNS


def _write(store: Store) -> None:
    with store.database.transaction(write=True) as cursor:
        cursor.execute("INSERT INTO turns VALUES ('a writer')")
