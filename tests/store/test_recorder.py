"""The library's own test cases, run on our recorders over SQLite and PostgreSQL, and what they leave out.

All of them apply; `optional_test_insert_subscribe`, which the library leaves to each recorder, is run too. A stream's
name is text, so the originators' ids are strings here; a UUID is taken too, and read back as its text.
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from eventsourcing.tests import persistence as library

from release_ledger.events import ProjectConfigured
from release_ledger.projection import verify
from release_ledger.projection.upgrade import upgrade
from release_ledger.store import FIRST_DIGEST, Store, digest, open_store
from release_ledger.store.codec import encode
from release_ledger.store.recorder import LedgerAggregateRecorder, LedgerApplicationRecorder
from release_ledger.store.store import events_after, head_of


class LentStore(library.RecorderTestCase):
    """The library's cases are unittest's, which take no parametrized fixture: each database is a class."""

    store: Store

    @pytest.fixture(autouse=True)
    def _lend(self, store: Store) -> Iterator[None]:
        self.store, before = store, set(threading.enumerate())
        yield
        for left_running in set(threading.enumerate()) - before:  # the library does not wait for its readers
            left_running.join()

    def new_originator_id(self) -> str:
        return str(uuid4())


class AggregatesOnSQLite(LentStore, library.AggregateRecorderTestCase):
    @pytest.fixture
    def database_kind(self) -> str:
        return "sqlite"

    def create_recorder(self) -> LedgerAggregateRecorder:
        return LedgerAggregateRecorder(self.store)


class AggregatesOnPostgreSQL(AggregatesOnSQLite):
    @pytest.fixture
    def database_kind(self) -> str:
        return "postgresql"


class ApplicationsOnSQLite(LentStore, library.ApplicationRecorderTestCase[LedgerApplicationRecorder]):
    @pytest.fixture
    def database_kind(self) -> str:
        return "sqlite"

    def create_recorder(self) -> LedgerApplicationRecorder:
        return LedgerApplicationRecorder(self.store)

    def test_insert_subscribe(self) -> None:
        """A subscription yields what was recorded and what comes, and ends when it is stopped."""
        self.optional_test_insert_subscribe()


class ApplicationsOnPostgreSQL(ApplicationsOnSQLite):
    @pytest.fixture
    def database_kind(self) -> str:
        return "postgresql"


def stored(stream: UUID | str, *versions: int, topic: str = "topic") -> list[StoredEvent]:
    return [StoredEvent(stream, version, topic, b"{}") for version in versions]


def versions(recorder: LedgerAggregateRecorder, stream: UUID | str) -> list[int]:
    return [event.originator_version for event in recorder.select_events(stream)]


@pytest.mark.parametrize("first", [0, 1, 7])
def test_a_new_stream_may_begin_at_any_version(store: Store, first: int) -> None:
    """The library's own aggregates begin at 1, its snapshots anywhere; the stream goes on from there."""
    recorder = LedgerAggregateRecorder(store)

    recorder.insert_events(stored("s", first))
    recorder.insert_events(stored("s", first + 1, first + 2))

    assert versions(recorder, "s") == [first, first + 1, first + 2]


@pytest.mark.parametrize("wrong", [(2,), (4,), (3, 5), (4, 3), (3, 3), (0,)])
def test_versions_that_do_not_follow_the_newest_are_refused(store: Store, wrong: tuple[int, ...]) -> None:
    """A chain has no gaps and no second event of a version; nothing of a refused call is kept, in no stream."""
    recorder = LedgerAggregateRecorder(store)
    recorder.insert_events(stored("s", 1, 2))

    with pytest.raises(IntegrityError):
        recorder.insert_events([*stored("other", 1), *stored("s", *wrong)])

    assert versions(recorder, "s") == [1, 2]
    assert versions(recorder, "other") == []


def test_a_conflict_found_by_the_database_is_an_integrity_error(store: Store) -> None:
    """Two writers that saw the same head: one of them decides again, and its other streams are not written either."""
    recorder = LedgerAggregateRecorder(store)
    recorder.insert_events(stored("s", 1))
    with store.database.transaction(write=True) as cursor:
        cursor.execute("UPDATE streams SET version = 0 WHERE stream = 's'")

    with pytest.raises(IntegrityError):
        recorder.insert_events([*stored("other", 1), *stored("s", 1)])

    assert versions(recorder, "other") == []


def test_several_streams_are_written_in_one_call_and_positions_are_given_in_its_order(store: Store) -> None:
    """The library pairs positions with the events by their order, however the streams are mixed."""
    recorder = LedgerApplicationRecorder(store)
    mixed = [*stored("a", 1), *stored("b", 5), *stored("a", 2)]

    positions = recorder.insert_events(mixed)

    notifications = {(n.originator_id, n.originator_version): n.id for n in recorder.select_notifications(None, 10)}
    assert positions == [notifications["a", 1], notifications["b", 5], notifications["a", 2]]


def test_more_events_than_one_statement_takes_are_one_transaction_all_the_same(store: Store) -> None:
    """PostgreSQL takes 65,535 parameters a statement; a longer append goes another way, to the same end."""
    recorder = LedgerApplicationRecorder(store)

    positions = recorder.insert_events(stored("s", *range(1, 14_001)))

    assert positions is not None
    assert list(positions) == sorted(set(positions))
    assert len(versions(recorder, "s")) == 14_000


def test_an_id_that_is_a_uuid_is_its_text(store: Store) -> None:
    """A stream's name is in every digest: there is one way to write it."""
    recorder, originator_id = LedgerAggregateRecorder(store), uuid4()

    recorder.insert_events(stored(originator_id, 1))
    recorder.insert_events(stored(str(originator_id), 2))

    assert {event.originator_id for event in recorder.select_events(originator_id)} == {str(originator_id)}
    assert versions(recorder, originator_id) == [1, 2]


def test_what_a_recorder_appends_is_chained(store: Store) -> None:
    """Each event's digest covers its predecessor's, from 32 zero bytes on, and the moments do not go back."""
    recorder = LedgerAggregateRecorder(store)

    recorder.insert_events(stored("s", 1, 2))
    recorder.insert_events(stored("s", 3))

    previous, moments = FIRST_DIGEST, []
    for row in events_after(store, "s"):
        covered = {name: row[name] for name in ("version", "topic", "recorded_at", "state")}
        previous = digest(previous, stream="s", **covered)
        moments.append(row["recorded_at"])
        assert row["digest"] == previous
    assert head_of(store, "s").digest == previous
    assert moments[0] == moments[1] < moments[2]


def test_a_clock_that_is_set_back_does_not_take_the_stream_with_it(store: Store) -> None:
    """The moment after the newest event's is used until the clock has caught up."""
    recorder = LedgerAggregateRecorder(store)
    recorder.insert_events(stored("s", 1))
    with store.database.transaction(write=True) as cursor:
        cursor.execute("UPDATE streams SET recorded_at = '2999-12-31T23:59:59.999999+00:00'")

    recorder.insert_events(stored("s", 2))

    assert head_of(store, "s").recorded_at == "3000-01-01T00:00:00.000000+00:00"


def test_a_stream_of_a_stranger_has_no_read_models(store: Store, upgraded_url: str) -> None:
    """Its topics are not ours to decode: an upgrade leaves it alone."""
    LedgerAggregateRecorder(store).insert_events(stored(uuid4(), 1))

    folded_anew = upgrade(upgraded_url)

    assert folded_anew == 0
    assert list(verify(store)) == []


def test_a_ledgers_stream_written_by_a_recorder_is_not_live_until_it_is_mended(store: Store, upgraded_url: str) -> None:
    """Nobody folded the event, so no projection may say that it did."""
    event = ProjectConfigured(
        originator_id="project/p",
        originator_version=1,
        recorded_at="r",
        project_name="p",
        repo="o/r",
        build_workflow=None,
    )
    version, topic, state = encode(event)
    LedgerAggregateRecorder(store).insert_events([StoredEvent("project/p", version, topic, state)])

    before = head_of(store, "project/p").folded
    upgrade(upgraded_url)

    assert before == ""
    assert head_of(store, "project/p").folded == "known_versions=1 outbox=2 projects=2 release_candidates=2"
    assert list(verify(store)) == [("project/p", [])]


def test_a_database_that_is_gone_is_the_librarys_operational_error(tmp_path: Path) -> None:
    """An application of the library knows its errors, not ours."""
    with closing(open_store(f"sqlite:///{tmp_path}/gone/ledger.db")) as store:
        recorder = LedgerApplicationRecorder(store)

        with pytest.raises(OperationalError):
            recorder.insert_events(stored("s", 1))
        with pytest.raises(OperationalError):
            recorder.max_notification_id()


def test_a_waiting_subscription_ends_when_another_thread_stops_it(store: Store) -> None:
    """Nobody has to wait for an event that may never come in order to shut down."""
    subscription = LedgerApplicationRecorder(store).subscribe()
    stopping = threading.Timer(0.05, subscription.stop)
    stopping.start()

    with subscription:
        received = list(subscription)

    assert received == []
    stopping.join()


def test_a_subscription_reads_on_beyond_its_first_page(store: Store) -> None:
    """Every event once, in the order of positions, whatever the pages are."""
    recorder = LedgerApplicationRecorder(store)
    recorder.insert_events(stored("s", *range(1, 1203)))

    with recorder.subscribe() as subscription:
        received = [next(subscription).originator_version for _ in range(1202)]

    assert received == list(range(1, 1203))
