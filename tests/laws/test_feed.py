"""The feed under whatever happens at once: every event exactly once, each stream in its order."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.feed_questions import _read_cursor
from release_ledger.projection.upgrade import upgrade
from release_ledger.store import feed
from tests.store.test_feed import appended, held, record
from tests.support.postgres import Databases

WRITERS, TURNS, ENVIRONMENTS = 16, 12, 5
BY = Caller(recorded_by="tests")
Told = tuple[str | None, str | None, int]


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(upgraded_url, pool_size=WRITERS + 4)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for all examples of a law, each with streams of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('lasting') / 'ledger.db'}"
    else:
        databases: Databases = request.getfixturevalue("postgres")
        url = databases.create_database()
    upgrade(url)
    opened = Ledger.open(url)
    yield opened
    opened.close()


class Reader:
    """Reads on from where it is, and remembers what it was told."""

    def __init__(self, ledger: Ledger, cursor: str | None = None) -> None:
        self.ledger, self.cursor = ledger, cursor
        self.told: list[Told] = []

    def read(self, limit: int) -> int:
        found = self.ledger.feed(self.cursor, limit=limit)
        self.cursor = found.cursor
        self.told += [(each["project_name"], each["environment_name"], each["version"]) for each in found.events]
        return len(found.events)

    def read_all(self, limit: int = 7) -> None:
        while self.read(limit):
            pass


def assert_each_once(told: list[Told], newest: dict[tuple[str | None, str | None], int]) -> None:
    assert len(told) == len(set(told))
    for stream, version in newest.items():
        assert [each[2] for each in told if each[:2] == stream] == list(range(1, version + 1)), stream
    assert {each[:2] for each in told} == set(newest)


def prepare(ledger: Ledger) -> None:
    ledger.configure_project("web", repo="acme/web", by=BY)
    for number in range(ENVIRONMENTS):
        ledger.configure_environment("web", f"e{number}", settings(), by=BY)


def settings() -> Settings:
    return Settings(tier="staging", deploy_workflow=None, rollback_strategy="previous", stuck_after_s=None)


def test_sixteen_writers_and_a_transaction_held_open(ledger: Ledger, upgraded_url: str, database_kind: str) -> None:
    """Two readers read all the while, one of them in a new process's place each time: both are told every event once,
    each stream in order, those of the slow transaction too; and both are told the same order."""
    prepare(ledger)
    done = threading.Event()
    readers = [Reader(ledger), Reader(ledger)]

    def write(number: int) -> None:
        for turn in range(TURNS):
            ledger.freeze("web", f"e{(number + turn) % ENVIRONMENTS}", reason=f"{number} {turn}", by=BY)

    def follow(reader: Reader) -> None:
        while not done.is_set():
            reader.read(7)

    def reconnect(reader: Reader) -> None:
        while not done.is_set():
            reader.ledger = Ledger.open(upgraded_url, pool_size=1)
            reader.read(5)
            reader.ledger.close()
        reader.ledger = ledger

    with ThreadPoolExecutor(WRITERS + 2) as pool, ExitStack() as slow:
        if database_kind == "postgresql":  # SQLite has one writer at a time
            slow.enter_context(held(ledger.store, appended(ledger.store, "project/slow", 3)))
        reading = [pool.submit(follow, readers[0]), pool.submit(reconnect, readers[1])]
        for writing in [pool.submit(write, number) for number in range(WRITERS)]:
            writing.result()
        if database_kind == "postgresql":
            assert not [told for reader in readers for told in reader.told if told[0] == "slow"]
            slow.close()
        else:
            record(ledger.store, "project/slow", 3)
        done.set()
        for each in reading:
            each.result()
    for reader in readers:
        reader.read_all()

    newest = {("web", f"e{number}"): ledger.environment("web", f"e{number}")[1] for number in range(ENVIRONMENTS)}
    assert sum(newest.values()) == ENVIRONMENTS + WRITERS * TURNS
    # The events of `project/slow` were made by hand and do not say its name.
    slow_ones = [told for told in readers[0].told if told[:2] == ("", None)]
    assert slow_ones == [("", None, version) for version in (1, 2, 3)]
    assert_each_once(readers[0].told, newest | {("web", None): 1, ("", None): 3})
    assert readers[0].told == readers[1].told


steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("begin"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("commit"), st.just(0), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 1), st.integers(1, 5)),
    ),
    max_size=30,
)


@given(steps=steps)
def test_any_interleaving_of_appends_and_reads_tells_each_event_once(
    lasting: Ledger, steps: list[tuple[str, int, int]]
) -> None:
    """Appends to a few streams, transactions that begin and end in between, and two readers with pages of any size."""
    own = uuid.uuid4().hex
    since = _end(lasting)
    readers = [Reader(lasting, since), Reader(lasting, since)]
    newest: dict[str, int] = {}
    open_ones: list[tuple[str, ExitStack]] = []

    for step, which, many in steps:
        stream = f"project/{own}-{which}"
        busy = [of for of, _ in open_ones]
        if step == "read":
            readers[which].read(many)
        elif step == "commit" and open_ones:
            open_ones.pop(0)[1].close()
        elif step == "begin" and stream not in busy and len(open_ones) < 2 and lasting.store.database.is_postgresql:
            slow = ExitStack()
            slow.enter_context(held(lasting.store, appended(lasting.store, stream, many)))
            open_ones.append((stream, slow))
            newest[stream] = newest.get(stream, 0) + many
        elif step in ("record", "begin") and stream not in busy:
            record(lasting.store, stream, many)
            newest[stream] = newest.get(stream, 0) + many
    for _, slow in open_ones:
        slow.close()
    for reader in readers:
        reader.read_all(3)

    assert len(readers[0].told) == sum(newest.values())
    assert readers[0].told == readers[1].told
    found = _streams_after(lasting, since)
    assert {stream: [version for of, version in found if of == stream] for stream in newest} == {
        stream: list(range(1, version + 1)) for stream, version in newest.items()
    }
    assert len(found) == len(readers[0].told)


def _end(ledger: Ledger) -> str:
    reader = Reader(ledger)
    reader.read_all(1000)
    assert reader.cursor is not None
    return reader.cursor


def _streams_after(ledger: Ledger, cursor: str) -> list[tuple[str, int]]:
    """What the feed says beyond a cursor, by the names of streams."""
    rows = feed.after(ledger.store, _read_cursor(cursor).seq, 10_000)
    return [(row["stream"], row["version"]) for row in rows]
