"""SQLite answers COMMIT with an error, having committed or not: what is stored says which, nothing is guessed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest

from release_ledger.errors import LedgerUnavailable
from release_ledger.projection import verify
from release_ledger.store import Store
from release_ledger.store.database import Database
from release_ledger.store.statement import Cursor
from tests.support.histories import (
    PRODUCTION,
    append,
    append_of,
    configured,
    requested,
    run,
    stored,
    succeeded,
    versions,
)

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
CODES: Final = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)


class BadDisk(Database):
    """Answers the next COMMIT with this error, having done it or, `instead`, something else."""

    def __init__(self, url: str, code: int, instead: Callable[[Cursor], object] | None = None) -> None:
        super().__init__(url)
        self.code, self.instead, self.fails, self.is_gone = code, instead, True, False

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        if self.is_gone:
            raise self.error(sqlite3.SQLITE_CANTOPEN)
        with super().cursor() as cursor:
            yield BadDiskCursor(self, cursor)

    @staticmethod
    def error(code: int) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        return error


class BadDiskCursor:
    def __init__(self, database: BadDisk, cursor: Cursor) -> None:
        self.database, self.cursor = database, cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def execute(self, sql: str, *params: Any) -> None:
        fails = self.database.fails and sql == "COMMIT"
        if not fails:
            self.cursor.execute(sql, *params)
            return
        self.database.fails = False
        if self.database.instead is not None:
            self.database.instead(self.cursor)
        else:
            self.cursor.execute(sql, *params)
        raise self.database.error(self.database.code)


def rolled_back(cursor: Cursor) -> None:
    cursor.execute("ROLLBACK")


@pytest.fixture(autouse=True)
def _configured(store: Store) -> None:
    append(store, configured())


@pytest.mark.parametrize("code", CODES)
def test_it_was_committed(store: Store, upgraded_url: str, code: int) -> None:
    """Success, with the positions that were given out."""
    made = append_of(store, requested(1), succeeded(1))

    with closing(Store(BadDisk(upgraded_url, code))) as bad:
        positions = bad.append(made)

    assert versions(store) == [1, 2, 3]
    assert positions == [row["position"] for row in run(store, "SELECT position FROM events WHERE version > 1")]
    assert list(verify(store)) == [(PRODUCTION, [])]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("instead", [rolled_back, lambda cursor: None], ids=["rolled back", "still open"])
def test_it_was_not_committed(store: Store, upgraded_url: str, code: int, instead: Callable[[Cursor], object]) -> None:
    """503, nothing of it is there, and the same append is taken when the disk is well again."""
    made, before = append_of(store, requested(1)), stored(store)

    with closing(Store(BadDisk(upgraded_url, code, instead))) as bad:
        with pytest.raises(LedgerUnavailable):
            bad.append(made)

        assert stored(store) == before
        bad.append(made)
    assert versions(store) == [1, 2]


def test_another_came_in_its_place(store: Store, upgraded_url: str) -> None:
    """What is stored at its version is another's: not taken for ours."""
    made = append_of(store, requested(1))

    def another_writes(cursor: Cursor) -> None:
        rolled_back(cursor)
        append(store, requested(1, reason="another's"))

    database = BadDisk(upgraded_url, sqlite3.SQLITE_IOERR, another_writes)
    with closing(Store(database)) as bad, pytest.raises(LedgerUnavailable):
        bad.append(made)

    assert versions(store) == [1, 2]
    assert list(verify(store)) == [(PRODUCTION, [])]


def test_nobody_can_say(store: Store, upgraded_url: str) -> None:
    """The file cannot be read any more either: 503, not a guess."""
    made = append_of(store, requested(1))
    database = BadDisk(upgraded_url, sqlite3.SQLITE_IOERR)

    def and_gone(cursor: Cursor) -> None:
        cursor.execute("COMMIT")
        database.is_gone = True

    database.instead = and_gone
    with closing(Store(database)) as bad, pytest.raises(LedgerUnavailable):
        bad.append(made)

    assert versions(store) == [1, 2]
