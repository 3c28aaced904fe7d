"""Which index a question goes by: where two of them would serve, the one of which few rows are read."""

import sqlite3
from contextlib import closing
from typing import Final

import pytest

from release_ledger.ledger import event_selects, selects, view_selects
from release_ledger.store.statement import SQLITE

OF_A_VERSION: Final = {
    "the success of a version": view_selects.SUCCESS_OF,
    "a list of a status and a version": selects.FILTERED[True, True],
    "the same of the past": event_selects.NUMBERS_BY[True, True],
}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("made_last", ["deployments_by_status", "deployments_by_version"])
@pytest.mark.parametrize("question", OF_A_VERSION)
def test_deployments_of_a_version_are_found_by_it(upgraded_url: str, question: str, made_last: str) -> None:
    """Nearly all deployments are a success: by their status the whole history would be read.

    SQLite, which knows nothing of the table, goes by the order in which the indexes were made.
    """
    sql, binds, own = OF_A_VERSION[question].compiled(SQLITE)
    with closing(sqlite3.connect(upgraded_url.removeprefix("sqlite:///"))) as connection:
        [(made,)] = connection.execute("select sql from sqlite_master where name = ?", [made_last]).fetchall()
        connection.execute(f"drop index {made_last}")
        connection.execute(made)
        found = connection.execute(f"explain query plan {sql}", [own.get(bind, 1) for bind in binds]).fetchall()

    plan = "\n".join(row[3] for row in found)
    assert "deployments_by_version" in plan, plan
    assert "deployments_by_status" not in plan, plan
