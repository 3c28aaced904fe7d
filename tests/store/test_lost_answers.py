"""A lost answer to a commit is settled without guessing: the same append again, and the stored digest says whose it is.

The connection is lost around the statement that commits, once (or as often as a test says).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from threading import Timer
from typing import Any

import psycopg
import pytest

from release_ledger.errors import LedgerUnavailable
from release_ledger.projection import verify
from release_ledger.store import Append, Conflict, Params, Row, Statement, Store
from release_ledger.store.database import Database
from release_ledger.store.statement import Cursor
from release_ledger.store.store import _RECORDED, head_of
from tests.support.histories import (
    PRODUCTION,
    STAGING,
    append,
    append_of,
    configured,
    faults,
    requested,
    run,
    stored,
    succeeded,
    versions,
)

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])  # SQLite has no connection to lose


class Lossy(Database):
    """Loses its connection `at` a statement: after it, or, having called `before`, before it."""

    def __init__(
        self, url: str, *, before: Callable[[], object] | None = None, times: int = 1, at: str = "COMMIT"
    ) -> None:
        super().__init__(url)
        self.before, self.times, self.at = before, times, at

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        with super().cursor() as cursor:
            yield LossyCursor(self, cursor)


class LossyCursor:
    def __init__(self, database: Lossy, cursor: Cursor) -> None:
        self.database, self.cursor = database, cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def execute(self, sql: str, params: Any = None, /) -> None:
        lose = self.database.times > 0 and sql.startswith(("WITH head", self.database.at))
        self.database.times -= lose
        if lose and self.database.before is not None:
            self.database.before()
        else:
            self.cursor.execute(sql, params)
        if lose:
            raise psycopg.OperationalError("the connection is lost")


@pytest.fixture(autouse=True)
def _configured(store: Store) -> None:
    append(store, configured())
    append(store, configured(), stream=STAGING)


def one_stream(store: Store) -> Sequence[Append]:
    """One statement, which commits by itself."""
    return [append_of(store, requested(1), succeeded(1))]


def two_streams(store: Store) -> Sequence[Append]:
    """A transaction of plain statements."""
    return [append_of(store, requested(1), succeeded(1)), append_of(store, requested(1), stream=STAGING)]


def carefully(store: Store) -> Sequence[Append]:
    """Careful mode, because a read model is broken."""
    run(store, "ALTER TABLE deployments ADD CONSTRAINT no CHECK (status <> 'success')")
    return one_stream(store)


in_each_way = pytest.mark.parametrize("ways", [one_stream, two_streams, carefully])


@in_each_way
def test_lost_after_the_commit(store: Store, upgraded_url: str, ways: Callable[[Store], Sequence[Append]]) -> None:
    """It had been recorded: success, with the positions that were given out, and it is there once."""
    appends = ways(store)
    database = Lossy(upgraded_url)

    with closing(Store(database)) as lossy:
        positions = lossy.append_all(appends)

    assert database.times == 0
    assert versions(store) == [1, 2, 3]
    assert positions == [
        row["position"] for row in run(store, "SELECT position FROM events WHERE version > 1 ORDER BY stream, version")
    ]
    assert len(faults(store)) == (ways is carefully)


@in_each_way
def test_lost_before_the_commit(store: Store, upgraded_url: str, ways: Callable[[Store], Sequence[Append]]) -> None:
    """It had not been recorded: the second try records it, once."""
    appends = ways(store)
    database = Lossy(upgraded_url, before=lambda: None)

    with closing(Store(database)) as lossy:
        positions = lossy.append_all(appends)

    assert database.times == 0
    assert versions(store) == [1, 2, 3]
    assert len(positions) == sum(len(each.events) for each in appends)
    assert len(faults(store)) == (ways is carefully)


@pytest.mark.parametrize("ways", [one_stream, two_streams])
def test_lost_before_the_commit_and_another_writer_came(
    store: Store, upgraded_url: str, ways: Callable[[Store], Sequence[Append]]
) -> None:
    """The version is another's, and not taken for ours: ours can never commit, so it is decided again."""
    appends = ways(store)
    database = Lossy(upgraded_url, before=lambda: append(store, requested(1, reason="another's")), at="BEGIN")

    with closing(Store(database)) as lossy, pytest.raises(Conflict):
        lossy.append_all(appends)

    assert versions(store) == [1, 2]
    assert versions(store, STAGING) == [1]
    assert list(verify(store)) == [(PRODUCTION, []), (STAGING, [])]


def test_lost_after_the_commit_and_another_writer_went_on(store: Store, upgraded_url: str) -> None:
    """The head has moved beyond ours: what is stored at our version says that it is ours all the same."""
    database = Lossy(upgraded_url)
    made = append_of(store, requested(1))

    def recorded_and_gone_on() -> None:
        store.append(made)
        append(store, succeeded(1))

    database.before = recorded_and_gone_on
    with closing(Store(database)) as lossy:
        positions = lossy.append(made)

    assert len(positions) == 1
    assert versions(store) == [1, 2, 3]


def test_no_answer_within_the_bound(store: Store, upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost again and again: 503 at last, and nothing of it is there."""
    monkeypatch.setattr("release_ledger.store.store.IN_DOUBT_S", 0.2)
    made, before = append_of(store, requested(1)), stored(store)
    database = Lossy(upgraded_url, before=lambda: None, times=10**6)

    with closing(Store(database)) as lossy, pytest.raises(LedgerUnavailable):
        lossy.append(made)

    assert stored(store) == before


def test_a_connection_that_the_server_ended(store: Store, other_store: Store) -> None:
    """For real: the server closes our pooled connections, and the next append goes through on a new one."""
    made = append_of(store, requested(1))
    ours = "datname = current_database() AND pid <> pg_backend_pid()"
    run(other_store, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")

    positions = store.append(made)

    assert len(positions) == 1
    assert versions(store) == [1, 2]


def test_the_first_try_is_still_at_work_when_another_stream_moves(store: Store, upgraded_url: str) -> None:
    """The second try is refused for another stream's sake, which says nothing of the first: that one is waited for."""
    append(store, requested(1), stream=STAGING)
    conditions = [(STAGING, head_of(store, STAGING).mark)]
    made = append_of(store, requested(1))
    orphan = Timer(0.3, lambda: store.append(made))

    def goes_on() -> None:
        append(store, succeeded(1), stream=STAGING)
        orphan.start()

    with closing(Store(Lossy(upgraded_url, before=goes_on))) as lossy:
        positions = lossy.append(replace(made, unmoved=conditions))
    orphan.join()

    assert len(positions) == 1
    assert versions(store) == [1, 2]


def test_the_first_try_lands_between_two_looks(store: Store, upgraded_url: str) -> None:
    """The one that found nothing, and the next: it is ours all the same, and no conflict."""
    append(store, requested(1), stream=STAGING)
    conditions = [(STAGING, head_of(store, STAGING).mark)]
    made = append_of(store, requested(1))
    landing = [made]

    class Late(Store):
        def read(self, statement: Statement, params: Params) -> list[Row]:
            rows = super().read(statement, params)
            if statement is _RECORDED and landing:
                store.append(landing.pop())
            return rows

    with closing(Late(Lossy(upgraded_url, before=lambda: append(store, succeeded(1), stream=STAGING)))) as late:
        positions = late.append(replace(made, unmoved=conditions))

    assert len(positions) == 1
    assert versions(store) == [1, 2]


def test_the_first_try_is_never_heard_of_again(
    store: Store, upgraded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be said of it within the bound: 503. Deciding again could record it twice."""
    monkeypatch.setattr("release_ledger.store.store.IN_DOUBT_S", 0.2)
    conditions = [(STAGING, head_of(store, STAGING).mark)]
    made = append_of(store, requested(1))
    database = Lossy(upgraded_url, before=lambda: append(store, requested(1), stream=STAGING))

    with closing(Store(database)) as lossy, pytest.raises(LedgerUnavailable):
        lossy.append(replace(made, unmoved=conditions))

    assert versions(store) == [1]
