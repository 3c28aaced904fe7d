"""One long stream: half of its projections are folded here, the others by another process meanwhile."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest

from release_ledger.projection import crew
from release_ledger.projection.alone import alone
from release_ledger.projection.crew import rebuild_streams
from release_ledger.projection.rebuild import Rebuilt
from release_ledger.store import Store
from release_ledger.store.store import head_of
from tests.store.test_rebuild import (
    Meanwhile,
    _small,  # noqa: F401 - a fixture
    before_the_last_round,
    differences,
    generations,
    long_history,
    rebuilt,
)
from tests.support.histories import ALL_LIVE, PRODUCTION, append, faults, live_but, requested, run, succeeded

pytestmark = pytest.mark.usefixtures("_small")


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "MANY_EVENTS", 0)


def rebuilt_beside(store: Store, advanced: Callable[[int], object] = lambda events: None) -> Rebuilt:
    with alone(store.database, wait=False) as seat:
        [came] = rebuild_streams(seat, {PRODUCTION: head_of(store, PRODUCTION).version}, 2, advanced)
        return came


def companions() -> list[int]:
    return [process.pid or 0 for process in multiprocessing.active_children() if "folding_pieces" in process.name]


def test_the_same_rows(store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of deployments that were written, forgotten and loaded back, and of what is recorded meanwhile."""
    long_history(store)
    alone_, before = rebuilt(store), head_of(store, PRODUCTION)
    seen: list[int] = []

    came = rebuilt_beside(store, lambda events: seen.extend(companions()))
    head = head_of(store, PRODUCTION)

    assert len(set(seen)) == 1
    assert companions() == []
    assert (came.rows, came.events, came.faults, came.left) == (alone_.rows, alone_.events, (), "")
    assert head.generation > before.generation
    assert generations(store) == {head.generation}
    assert differences(store) == []
    before_the_last_round(monkeypatch, lambda: append(other_store, requested(100), succeeded(100)))
    assert rebuilt_beside(store).events == head.version + 2
    assert differences(store) == []


@pytest.mark.parametrize("after", [1, 4, 12])
def test_a_helper_that_is_killed(store: Store, after: int) -> None:
    """All is folded here then, and counted once; nothing of the companion's is left."""
    long_history(store)
    pages: list[int] = []

    def advanced(events: int) -> None:
        pages.append(events)
        if len(pages) == after:
            [companion] = companions()
            os.kill(companion, signal.SIGKILL)

    came = rebuilt_beside(store, advanced)

    assert (came.faults, came.left) == ((), "")
    assert sum(pages) == came.events
    assert after > 4 or min(pages) < 0  # begun again
    assert head_of(store, PRODUCTION).folded == ALL_LIVE
    assert generations(store) == {head_of(store, PRODUCTION).generation}
    assert differences(store) == []


@pytest.mark.parametrize("name", ["deployments", "running_periods"])
def test_rows_that_the_database_refuses(store: Store, name: str) -> None:
    """Set their own projection aside, and no other, whoever folds it."""
    long_history(store)
    if store.database.is_postgresql:
        run(store, f"ALTER TABLE {name} ADD CONSTRAINT no CHECK (number <> 3 OR generation = 0) NOT VALID")
    else:
        raising = "WHEN NEW.number = 3 AND NEW.generation > 0 BEGIN SELECT RAISE(ABORT, 'no'); END"
        run(store, f"CREATE TRIGGER no BEFORE INSERT ON {name} {raising}")

    came = rebuilt_beside(store)

    assert [each.projection for each in came.faults] == [name]
    assert [(name, stream) for name, stream, _ in faults(store)] == [(name, PRODUCTION)]
    assert head_of(store, PRODUCTION).folded == live_but(name)
    assert run(store, f"SELECT * FROM {name}") == []
    assert {difference.projection for difference in differences(store)} == {name}


@pytest.mark.parametrize("name", ["deployments", "running_periods", "outbox"])
def test_a_table_that_is_gone(store: Store, name: str) -> None:
    """Sets its projection aside, whoever folds it."""
    long_history(store)
    run(store, f"DROP TABLE {name}")

    came = rebuilt_beside(store)

    assert [each.projection for each in came.faults] == [name]
    assert head_of(store, PRODUCTION).folded == live_but(name)


def test_stopped_in_the_middle(store: Store) -> None:
    """Nothing has changed, and the companion is gone with what it wrote."""
    long_history(store)
    before = head_of(store, PRODUCTION)
    pages: list[int] = []

    def advanced(events: int) -> None:
        pages.append(events)
        if len(pages) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt_beside(store, advanced)

    assert companions() == []
    assert head_of(store, PRODUCTION) == before
    assert generations(store) == {before.generation}
    assert differences(store) == []


def test_recorded_meanwhile(store: Store, other_store: Store) -> None:
    """It is in the new rows."""
    long_history(store)
    version = head_of(store, PRODUCTION).version
    meanwhile = Meanwhile(lambda: append(other_store, requested(100), succeeded(100)), after=5)

    came = rebuilt_beside(store, meanwhile)

    assert came.events == head_of(store, PRODUCTION).version == version + 2
    assert differences(store) == []
