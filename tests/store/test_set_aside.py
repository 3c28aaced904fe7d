"""A projection that fails never stops an event: it is set aside for that stream, the others stay live."""

from collections.abc import MutableMapping
from typing import cast

import pytest

from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, mend, on, verify
from release_ledger.projections.deployments import Deployments
from release_ledger.store import Store
from release_ledger.store.store import head_of
from tests.support.histories import (
    ALL_LIVE,
    PRODUCTION,
    STAGING,
    append,
    append_of,
    configured,
    faults,
    live_but,
    requested,
    run,
    statuses,
    succeeded,
    versions,
)


@pytest.fixture(autouse=True)
def _two_environments(store: Store) -> None:
    append(store, configured())
    append(store, configured(), stream=STAGING)


def assert_set_aside(store: Store, version: int) -> None:
    """The event is recorded; `deployments` is set aside for production, and nothing else for nobody."""
    assert versions(store) == list(range(1, version + 1))
    assert faults(store) == [("deployments", PRODUCTION, version)]
    assert head_of(store, PRODUCTION).folded == live_but("deployments")
    assert head_of(store, STAGING).folded == ALL_LIVE
    [row] = run(store, f"SELECT deployments FROM environments WHERE stream = '{PRODUCTION}'")
    assert row == {"deployments": version - 1}


def refuse(store: Store, column: str, value: object) -> None:
    """A rule of the database's own, that no fold knows of: no rows of this value in `deployments`."""
    if store.database.is_postgresql:
        run(store, f"ALTER TABLE deployments ADD CONSTRAINT no CHECK ({column} <> {value!r})")
    else:
        raising = f"WHEN NEW.{column} = {value!r} BEGIN SELECT RAISE(ABORT, 'no'); END"
        run(store, f"CREATE TRIGGER no BEFORE INSERT ON deployments {raising}")


def allow(store: Store) -> None:
    run(store, "ALTER TABLE deployments DROP CONSTRAINT no" if store.database.is_postgresql else "DROP TRIGGER no")


def test_a_dropped_table_costs_its_projection_only(store: Store) -> None:
    """Somebody dropped a read model by hand: reports keep coming in, and the other rows with them."""
    run(store, "DROP TABLE deployments")

    append(store, requested(1))

    assert_set_aside(store, version=2)
    [fault] = run(store, "SELECT error, set_aside_at FROM projection_faults")
    assert "deployments" in fault["error"]
    assert fault["set_aside_at"] == head_of(store, PRODUCTION).recorded_at


def test_a_row_that_the_database_refuses_costs_its_projection_only(store: Store) -> None:
    """The event is a fact; a row is only a view of it. Streams whose rows are taken are not touched."""
    refuse(store, "stream", PRODUCTION)

    append(store, requested(1))
    append(store, requested(1), stream=STAGING)

    assert_set_aside(store, version=2)
    assert statuses(store, PRODUCTION) == {}
    assert statuses(store, STAGING) == {1: "pending"}


def test_a_duplicate_row_is_not_taken_for_a_version_conflict(store: Store) -> None:
    """It has the same SQLSTATE as one: as a conflict it would be decided again for ever and the report lost."""
    append(store, requested(1))
    run(store, "CREATE UNIQUE INDEX one_of_a_kind ON deployments (kind)")

    append(store, requested(2))

    assert_set_aside(store, version=3)


def test_a_fold_that_raises_costs_its_projection_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in our own code, or in anybody's plug-in, is no reason to lose a report."""

    class Broken(Deployments):
        @on(DeploymentRequested)
        def requested(self, _event: DeploymentRequested, _rows: Rows) -> None:
            raise RuntimeError("a mistake \0 with a character that PostgreSQL does not take")

    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), "deployments", Broken())

    append(store, requested(1))

    assert_set_aside(store, version=2)
    [fault] = run(store, "SELECT error FROM projection_faults")
    assert fault["error"].startswith("RuntimeError: a mistake")


def test_what_the_refused_rows_began_is_undone(store: Store) -> None:
    """Rows before the refused one are not left behind: half of an append's rows would be wrong answers."""
    append(store, requested(1))
    refuse(store, "number", 3)

    append(store, requested(2), requested(3))

    assert versions(store) == [1, 2, 3, 4]
    assert faults(store) == [("deployments", PRODUCTION, 4)]
    assert statuses(store) == {1: "pending"}


def test_what_is_set_aside_is_left_alone_until_it_is_mended(store: Store) -> None:
    """Rows that miss an event are not written on; the fault keeps saying where it began."""
    refuse(store, "stream", PRODUCTION)
    append(store, requested(1))
    allow(store)

    append(store, succeeded(1))

    assert faults(store) == [("deployments", PRODUCTION, 2)]
    assert head_of(store, PRODUCTION).folded == live_but("deployments")
    assert statuses(store) == {}


def test_mending_folds_the_stream_and_forgets_the_fault(store: Store) -> None:
    """Afterwards the projection is live again, as if nothing had been."""
    refuse(store, "stream", PRODUCTION)
    append(store, requested(1), succeeded(1))
    allow(store)

    mend(store, PRODUCTION)
    append(store, requested(2))

    assert faults(store) == []
    assert head_of(store, PRODUCTION).folded == ALL_LIVE
    assert statuses(store) == {1: "success", 2: "pending"}
    assert all(differences == [] for _, differences in verify(store))


def test_several_streams_in_one_append_are_set_aside_each_for_itself(store: Store) -> None:
    """A row refused in one stream says nothing of the other one."""
    refuse(store, "stream", PRODUCTION)

    store.append_all([append_of(store, requested(1)), append_of(store, requested(1), stream=STAGING)])

    assert_set_aside(store, version=2)
    assert statuses(store, STAGING) == {1: "pending"}


def test_two_projections_are_set_aside_each_with_its_own_reason(store: Store) -> None:
    """Whoever mends reads what was wrong with which."""
    run(store, "DROP TABLE deployments", "DROP TABLE environments")

    append(store, requested(1))

    assert versions(store) == [1, 2]
    assert faults(store) == [("deployments", PRODUCTION, 2), ("environments", PRODUCTION, 2)]
    assert head_of(store, PRODUCTION).folded == live_but("deployments", "environments")
    assert head_of(store, STAGING).folded == ALL_LIVE


def test_mending_makes_live_what_it_can(store: Store) -> None:
    """Rows that are refused again do not keep the stream's other read models from their refold."""
    refuse(store, "stream", PRODUCTION)
    append(store, requested(1))
    run(store, f"UPDATE streams SET folded = '' WHERE stream = '{PRODUCTION}'", "DELETE FROM projection_faults")

    whole = mend(store, PRODUCTION)

    assert not whole
    assert head_of(store, PRODUCTION).folded == live_but("deployments")
    assert faults(store) == [("deployments", PRODUCTION, 2)]
    [(_, production), _] = verify(store)
    assert {difference.projection for difference in production} == {"deployments"}
