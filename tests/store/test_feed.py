"""The feed's numbers: dense, each stream in its order, and none for what is not committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

from release_ledger.events import ProjectConfigured
from release_ledger.store import Append, Store, feed, open_store, transaction
from release_ledger.store.append import chained, next_moment
from release_ledger.store.codec import encode
from release_ledger.store.store import head_of

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
Numbered = list[tuple[int, str, int]]


@pytest.fixture
def store(upgraded_url: str) -> Iterator[Store]:
    opened = open_store(upgraded_url)
    yield opened
    opened.close()


def appended(store: Store, stream: str, events: int = 1) -> Append:
    """The next events of a stream, as an append that is not made yet."""
    head = head_of(store, stream)
    now = next_moment(head)
    made = [
        ProjectConfigured(
            originator_id=stream, originator_version=version, recorded_at=now, repo="acme/web", build_workflow=None
        )
        for version in range(head.version + 1, head.version + events + 1)
    ]
    return Append(head=head, events=chained(head, [encode(event) for event in made], now), folded="")


def record(store: Store, stream: str, events: int = 1) -> None:
    store.append(appended(store, stream, events))


@contextmanager
def held(store: Store, append: Append) -> Iterator[None]:
    """The append's transaction stays open until the block ends."""
    with store.database.transaction(write=True) as cursor:
        transaction._write(store.database, cursor, append, careful=False)
        yield


def fill(store: Store) -> None:
    while feed.is_behind(store):
        feed.fill(store)


def numbered(store: Store) -> Numbered:
    with store.database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("select seq, stream, version from feed order by seq"))]


def run(store: Store, sql: str, **params: Any) -> None:
    with store.database.engine.begin() as connection:
        connection.execute(text(sql), params)


def assert_each_in_order(found: Numbered, streams: dict[str, int]) -> None:
    assert [seq for seq, _, _ in found] == list(range(1, len(found) + 1))
    for stream, newest in streams.items():
        assert [version for _, of, version in found if of == stream] == list(range(1, newest + 1))
    assert {of for _, of, _ in found} == set(streams)


def test_every_event_has_one_number_and_each_stream_keeps_its_order(store: Store) -> None:
    """Whether it was recorded before the first reader came or between two of them."""
    record(store, "project/a", 3)
    record(store, "project/b", 2)
    fill(store)
    record(store, "project/a", 2)
    record(store, "project/c", 1)

    fill(store)

    assert_each_in_order(numbered(store), {"project/a": 5, "project/b": 2, "project/c": 1})
    assert not feed.is_behind(store)


def test_what_has_a_number_keeps_it(store: Store) -> None:
    """A fixed order: what is recorded later comes later, in whatever stream."""
    record(store, "project/b", 2)
    fill(store)
    before = numbered(store)

    record(store, "project/a", 2)
    fill(store)

    assert numbered(store)[: len(before)] == before


def test_a_long_history_is_numbered_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each stream a share at once, so that no long history makes the others wait."""
    monkeypatch.setattr(feed, "_FILL", feed._fill(10))
    record(store, "project/long", 45)
    for number in range(15):
        record(store, f"project/{number}", 2)

    batches = []
    while feed.is_behind(store):
        feed.fill(store)
        batches.append(len(numbered(store)))

    assert all(0 < after - before <= 10 for before, after in zip([0, *batches], batches, strict=False))
    assert_each_in_order(numbered(store), {"project/long": 45} | {f"project/{n}": 2 for n in range(15)})


@pytest.mark.parametrize("first", [-3, 0, 2, 5001])
def test_a_stream_may_begin_at_any_version(store: Store, first: int) -> None:
    """An application that uses the recorder numbers its events as it likes: each is in the feed, once."""
    record(store, "project/a", 2)
    begin_at(store, "app/x", first, events=2)
    fill_at_most(store, 3)
    record(store, "app/x", 1)
    record(store, "project/a", 1)

    fill_at_most(store, 3)

    assert not feed.is_behind(store)
    found = numbered(store)
    assert [seq for seq, _, _ in found] == [1, 2, 3, 4, 5, 6]
    assert [version for _, stream, version in found if stream == "app/x"] == [first, first + 1, first + 2]
    assert [version for _, stream, version in found if stream == "project/a"] == [1, 2, 3]


def begin_at(store: Store, stream: str, first: int, events: int) -> None:
    """A stream whose events are those of a new one, numbered from another version on."""
    record(store, stream, events)
    for version in reversed(range(1, events + 1)) if first > 0 else range(1, events + 1):
        place = {"stream": stream, "version": version}
        run(
            store,
            f"update events set version = {first - 1 + version} where stream = :stream and version = :version",
            **place,
        )
    run(store, f"update streams set version = {first - 1 + events} where stream = :stream", stream=stream)


def fill_at_most(store: Store, times: int) -> None:
    """Like `fill`, for what may never end."""
    for _ in range(times):
        if feed.is_behind(store):
            feed.fill(store)


@on_postgresql
def test_a_slow_transactions_event_is_numbered_once_it_is_committed(store: Store) -> None:
    """Others were recorded, and read, while it was open: it is not skipped, and nobody waits for it."""
    record(store, "project/slow", 1)
    fill(store)
    slow = appended(store, "project/slow", 2)

    with held(store, slow):
        record(store, "project/fast", 3)
        fill(store)
        meanwhile = numbered(store)
    fill(store)

    assert [stream for _, stream, _ in meanwhile] == ["project/slow", *["project/fast"] * 3]
    assert_each_in_order(numbered(store), {"project/slow": 3, "project/fast": 3})
    assert numbered(store)[: len(meanwhile)] == meanwhile


def test_many_who_fill_at_once_give_each_event_one_number(store: Store) -> None:
    """One at a time, each seeing what the one before has committed."""
    for number in range(20):
        record(store, f"project/{number}", 5)
    errors: list[BaseException] = []

    def filler() -> None:
        try:
            for _ in range(10):
                feed.fill(store)
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=filler) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(20):
        record(store, f"project/{number}", 1)
    for thread in threads:
        thread.join()
    fill(store)

    assert errors == []
    assert_each_in_order(numbered(store), {f"project/{number}": 6 for number in range(20)})


def test_a_moment_that_was_edited_does_not_change_the_order_of_its_stream(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auditors read what somebody has tampered with: the order must not depend on it, and no event be lost by it."""
    monkeypatch.setattr(feed, "_FILL", feed._fill(3))
    for _ in range(6):
        record(store, "project/a", 1)
        record(store, "project/b", 1)
    run(store, "update events set recorded_at = '1999' where stream = 'project/a' and version >= 4")

    fill(store)

    assert_each_in_order(numbered(store), {"project/a": 6, "project/b": 6})


def test_an_event_that_is_gone_stops_nobody(store: Store) -> None:
    """`audit verify` says that it is missing; the feed goes on with what is there."""
    record(store, "project/a", 3)
    record(store, "project/b", 1)
    fill(store)
    run(store, "delete from events where stream = 'project/a' and version = 2")

    rows = feed.after(store, 0, 10)

    assert [(row["stream"], row["version"]) for row in rows if row["topic"] is not None] == [
        (stream, version) for _, stream, version in numbered(store) if (stream, version) != ("project/a", 2)
    ]


def test_what_moved_is_found_by_indexes_alone(store: Store) -> None:
    """Whatever the length of the history: of the events only those are read that have no number."""
    for number in range(30):
        record(store, f"project/{number}", 30)
    fill(store)
    record(store, "project/7", 1)
    run(store, "analyze")

    plan = explained(store)

    assert not [line for line in plan if "Seq Scan on events" in line or "SCAN events" in line], "\n".join(plan)


def explained(store: Store) -> list[str]:
    sql, binds, own = feed._FILL.compiled(store.database.dialect)
    values = [own[name] for name in binds]
    with store.database.cursor() as cursor:
        if store.database.is_postgresql:
            cursor.execute("set enable_seqscan = off")  # the tables are small here
        cursor.execute(("explain " if store.database.is_postgresql else "explain query plan ") + sql, values)
        return [str(row[-1]) for row in cursor.fetchall()]
