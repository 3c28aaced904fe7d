"""Old and new servers side by side during a rolling upgrade: neither writes into the other's rows."""

from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager
from typing import Any, cast

import pytest
from sqlalchemy import BigInteger, Column, Text

from release_ledger.events import DeploymentReported, DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, on, read_model, verify
from release_ledger.projection.condition import conditions
from release_ledger.projection.upgrade import upgrade, upgrade_tables
from release_ledger.store import Conflict, Store, open_store
from release_ledger.store.store import head_of
from tests.support.histories import (
    ALL_LIVE,
    PRODUCTION,
    append,
    append_of,
    configured,
    faults,
    requested,
    run,
    succeeded,
    versions,
)


class Old(Projection):
    """Which deployments were asked for, and what came of them?"""

    name = "outcomes"
    key = ("number",)
    table = read_model("outcomes", Column("number", BigInteger), Column("outcome", Text, nullable=False), key=key)

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "outcome": "pending"}

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {**rows[event.number], "outcome": event.outcome}


class SameColumns(Old):
    """The same question, answered in other words."""

    definition = "2"

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "outcome": "asked"}

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {**rows[event.number], "outcome": event.outcome.upper()}


class OtherColumns(Old):
    """With the commit that it is of."""

    definition = "2"
    table = read_model(
        "outcomes",
        Column("number", BigInteger),
        Column("outcome", Text, nullable=False),
        Column("commit", Text, nullable=False),
        key=("number",),
    )

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        rows[event.number] = {"number": event.number, "outcome": "pending", "commit": event.commit}

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        rows[event.number] = {**rows[event.number], "outcome": event.outcome}


class Release:
    """The servers of one release: what they have installed, and connections of their own."""

    def __init__(self, url: str, projection: Projection) -> None:
        self.url, self.projection, self.store = url, projection, open_store(url)

    @contextmanager
    def running(self) -> Iterator[Store]:
        """What runs inside is of this release."""
        everything = cast(MutableMapping[str, Projection], installed())
        everything[self.projection.name] = self.projection
        try:
            yield self.store
        finally:
            del everything[self.projection.name]

    def writes(self, *events: Any) -> None:
        with self.running() as store:
            append(store, *events)

    def upgrades(self) -> None:
        with self.running():
            upgrade(self.url)

    def state(self) -> str:
        with self.running() as store:
            return {each.name: each.state for each in conditions(store)}["outcomes"]

    def finds(self) -> list[tuple[str, str | None, Any]]:
        """What differs for this release: of each difference the projection, the column and the live value."""
        with self.running() as store:
            return [(d.projection, d.column, d.live) for _, found in verify(store) for d in found]


NOT_ITS_OWN = [("outcomes", None, "set aside, or of another definition")]


@pytest.fixture(params=[SameColumns, OtherColumns], ids=["same columns", "other columns"])
def releases(upgraded_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[Release, Release]]:
    """An old release with a history, and a new one whose upgrade has run while the old one goes on."""
    old, new = Release(upgraded_url, Old()), Release(upgraded_url, request.param())
    with closing(old.store), closing(new.store):
        old.upgrades()
        old.writes(configured())
        old.writes(requested(1), succeeded(1))
        yield old, new


def rows_of(store: Store) -> list[dict[str, Any]]:
    """All rows that there are, of every generation."""
    return run(store, "SELECT * FROM outcomes ORDER BY generation, number")


def test_writing_by_turns_nobody_touches_the_rows_of_the_other(releases: tuple[Release, Release]) -> None:
    """From the first write of a server that would fold otherwise, the rows stay as they are and count for nobody."""
    old, new = releases
    new.upgrades()
    assert (new.finds(), new.state()) == ([], "live")
    before = rows_of(new.store)

    number = 1
    for server in (old, new, old, old, new, new, old):
        number += 1
        server.writes(requested(number))
        server.writes(succeeded(number))
        assert rows_of(new.store) == before
        assert old.finds() == new.finds() == NOT_ITS_OWN

    assert versions(new.store) == list(range(1, 2 * number + 2))
    assert faults(new.store) == []
    assert head_of(new.store, PRODUCTION).folded == ALL_LIVE
    new.upgrades()
    assert (new.finds(), new.state()) == ([], "live")
    assert old.finds() == NOT_ITS_OWN


def test_before_the_upgrade_folds_the_old_rows_go_on_being_served(
    releases: tuple[Release, Release],
) -> None:
    """`upgrade --no-rebuild` makes the tables only: with the same columns old servers lose nothing by it."""
    old, new = releases
    with new.running() as store:
        upgrade_tables(store)

    assert new.finds() == NOT_ITS_OWN
    assert new.state() == "stale"
    assert old.finds() == ([] if isinstance(new.projection, SameColumns) else NOT_ITS_OWN)


@pytest.mark.parametrize("old_is_first", [True, False])
def test_one_of_two_that_fold_at_the_same_moment_decides_again(
    releases: tuple[Release, Release], old_is_first: bool
) -> None:
    """Both folded onto the same head: one event is recorded, with rows of its own shape or none."""
    old, new = releases
    new.upgrades()
    first, second = (old, new) if old_is_first else (new, old)
    with second.running() as store:
        late = append_of(store, requested(2))

    first.writes(requested(2))
    with pytest.raises(Conflict):
        second.store.append(late)

    assert versions(new.store) == [1, 2, 3, 4]
    assert new.finds() == (NOT_ITS_OWN if old_is_first else [])


def test_what_an_old_server_folded_before_the_upgrade_is_not_written_after_it(
    releases: tuple[Release, Release],
) -> None:
    """The very same version and generation; but its table was made anew meanwhile, and the heads say so."""
    old, new = releases
    with old.running() as store:
        late = append_of(store, requested(2))
    with new.running() as store:
        upgrade_tables(store)

    if isinstance(new.projection, OtherColumns):
        with pytest.raises(Conflict):
            old.store.append(late)
        assert rows_of(new.store) == []
    else:
        old.store.append(late)  # nothing has changed for its rows
        assert old.finds() == []
    old.writes(requested(3))
    assert faults(old.store) == []
