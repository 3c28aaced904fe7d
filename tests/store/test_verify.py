"""Verify: every difference is named however long the stream is, and whatever a projection's own code does."""

import tracemalloc
from collections.abc import MutableMapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast

import pytest

from release_ledger.errors import LedgerUnavailable
from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, installed, on, refolded
from release_ledger.projection.verify import Found, verify_stream
from release_ledger.projections.deployments import Deployments
from release_ledger.store import Store
from tests.support.histories import PRODUCTION, append, configured, requested, run, succeeded

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
VERIFY: Final = import_module("release_ledger.projection.verify")
EVENTS: Final = import_module("release_ledger.store.store")


def install(monkeypatch: pytest.MonkeyPatch, projection: Projection) -> None:
    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), projection.name, projection)


@pytest.fixture
def a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bounds are small, so that short histories exceed them."""
    bounds: dict[ModuleType, tuple[str, ...]] = {
        refolded: ("PAGE_EVENTS", "HELD_ROWS"),
        VERIFY: ("ROWS_PER_READ",),
        EVENTS: ("EVENTS_PER_READ",),
    }
    for module, names in bounds.items():
        for name in names:
            monkeypatch.setattr(module, name, 3)


@pytest.mark.usefixtures("a_few_at_once")
def test_rows_of_long_streams_are_compared_a_few_at_once(store: Store) -> None:
    """Those that an event touches long after the others, too; what differs is named, whatever the order."""
    append(store, configured(), *(requested(number) for number in range(1, 13)))
    append(store, *(succeeded(number) for number in (7, 2, 12, 1)))
    assert verify_stream(store, PRODUCTION).first == []

    run(store, "UPDATE deployments SET status = 'failure' WHERE number = 2")
    run(store, "DELETE FROM deployments WHERE number IN (1, 8)")
    run(store, "UPDATE deployments SET number = 99 WHERE number = 12")

    found = verify_stream(store, PRODUCTION)
    assert {(*each.key, each.column, each.live, each.folded) for each in found.first} == {
        (1, None, "no row", "a row"),
        (2, "status", "failure", "success"),
        (8, None, "no row", "a row"),
        (12, None, "no row", "a row"),
        (99, None, "a row", "no row"),
    }
    assert found.counts == {"deployments": 5}


@pytest.mark.usefixtures("a_few_at_once")
def test_rows_far_apart_are_compared_too(store: Store) -> None:
    """Between those that are left there are many that are gone."""
    append(store, configured(), *(requested(number) for number in range(1, 13)))
    run(store, "DELETE FROM deployments WHERE number BETWEEN 2 AND 11", "UPDATE deployments SET kind = 'rollback'")

    found = verify_stream(store, PRODUCTION, ["deployments"])

    differing = [(*each.key, each.column) for each in found.first]
    assert differing == [(1, "kind"), (12, "kind"), *((number, None) for number in range(2, 12))]


@on_sqlite
@pytest.mark.usefixtures("a_few_at_once")
def test_memory_does_not_grow_with_the_stream(store: Store) -> None:
    """Its rows are some two megabytes, and no more than a few of them are held."""
    append(store, configured())
    for first in range(1, 100, 10):
        append(store, *(requested(number, reason="x" * 20_000) for number in range(first, first + 10)))
    verify_stream(store, PRODUCTION)

    tracemalloc.start()
    try:
        found = verify_stream(store, PRODUCTION)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found == Found()
    assert peak < 600_000


class Defective(Deployments):
    """Sound until it is to be verified."""

    defect = ""

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        if self.defect == "fold" and event.number == 2:
            raise ValueError("a mistake")
        super().requested(event, rows)
        if self.defect == "keys":
            rows[str(event.number)] = rows[event.number]

    def load(self, row: Any) -> Any:
        return {} if self.defect == "load" else super().load(row)

    def dump(self, row: Any) -> dict[str, Any]:
        columns = super().dump(row)
        if self.defect == "dump":
            raise RuntimeError("a mistake")
        if self.defect == "column":
            del columns["reason"]
        if self.defect == "value":
            columns["reason"] = object()
        return columns


@on_sqlite
@pytest.mark.usefixtures("a_few_at_once")
@pytest.mark.parametrize(
    ("defect", "says"),
    [
        ("fold", "the fold fails on version 3: ValueError: a mistake"),
        ("load", "the fold fails on version 8: KeyError: "),
        ("dump", "the rows of its fold cannot be written: RuntimeError: a mistake"),
        ("column", "the rows of its fold cannot be written: KeyError: 'reason'"),
        ("value", "the rows of its fold cannot be written: TypeError: Encoding objects of type object is unsupported"),
    ],
)
def test_what_is_wrong_with_a_projection_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, defect: str, says: str
) -> None:
    """It is a difference of this projection; of the others each row is compared."""
    append(store, configured(), *(requested(number) for number in range(1, 7)), succeeded(1))
    run(store, "UPDATE environments SET latest_number = 99")
    projection = Defective()
    install(monkeypatch, projection)
    projection.defect = defect

    found = verify_stream(store, PRODUCTION)

    of_it, *others = sorted(found.first, key=lambda each: each.projection)
    assert (of_it.projection, of_it.key, of_it.column, of_it.folded) == ("deployments", (), None, "complete rows")
    assert of_it.live.startswith(says)
    assert {(each.projection, each.column, each.live) for each in others} == {("environments", "latest_number", 99)}


@on_sqlite
def test_keys_of_another_type_are_rows_too_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which nothing can bring into one order with the others."""
    append(store, configured(), requested(1), requested(2))
    projection = Defective()
    install(monkeypatch, projection)
    projection.defect = "keys"

    found = verify_stream(store, PRODUCTION)

    assert [(each.key, each.live, each.folded) for each in found.first] == [
        (("1",), "no row", "a row"),
        (("2",), "no row", "a row"),
    ]


def test_a_table_that_cannot_be_read_costs_its_projection_only(store: Store) -> None:
    """It is said why, and of the others each row is compared."""
    append(store, configured(), requested(1))
    run(store, "DROP TABLE running_periods", "DROP TABLE outbox", "DELETE FROM deployments")

    found = verify_stream(store, PRODUCTION)

    assert {(each.projection, each.live.partition(":")[0]) for each in found.first} == {
        ("running_periods", "cannot be read"),
        ("outbox", "cannot be read"),
        ("deployments", "no row"),
    }


@on_sqlite
def test_a_temporary_file_that_cannot_be_written_is_nobodys_difference(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk for temporary files is full, say: that is no damage."""
    append(store, configured(), requested(1))
    monkeypatch.setattr(refolded, "_PUT", "INSERT INTO nowhere VALUES (?, ?, ?)")

    with pytest.raises(LedgerUnavailable) as raised:
        verify_stream(store, PRODUCTION)

    assert raised.value.details == {"temporary_file": "no such table: nowhere"}
