"""A stream that had to be folded is kept: what is read of its history after that, and that it is never a wrong one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, delete, select, text, update

from release_ledger.environment import Settings
from release_ledger.errors import LedgerUnavailable
from release_ledger.ledger import Caller, Ledger, recording
from release_ledger.ledger.moments import Moment
from release_ledger.projection import (
    FoldedSource,
    Rows,
    StillFolding,
    environment_stream,
    fold_now,
    installed,
    kept_beside,
    mend,
    own_columns,
    project_stream,
)
from release_ledger.projections.deployments import Deployments
from release_ledger.projections.outbox import Outbox
from release_ledger.store import Head, Params, Row, Statement, Store
from release_ledger.store.database import Database
from release_ledger.store.schema import EVENTS, PEOPLE, STREAMS
from release_ledger.store.store import head_of

BY: Final = Caller(recorded_by="tests")
EMAIL: Final = "dev@example.com"
PROJECT: Final = "shop"
STREAM: Final = environment_stream(PROJECT, "production")
_NOT_LIVE: Final = Statement(text("update streams set folded = ''"))
_NO_PEOPLE: Final = Statement(delete(PEOPLE))
_PEOPLE: Final = Statement(select(PEOPLE))
_CUT_OFF: Final = Statement(
    delete(EVENTS).where(EVENTS.c.stream == bindparam("of"), EVENTS.c.version > bindparam("above"))
)
_SET_BACK: Final = Statement(
    update(STREAMS)
    .where(STREAMS.c.stream == bindparam("of"))
    .values(version=bindparam("v"), digest=bindparam("d"), recorded_at=bindparam("at"))
)


class CountingStore(Store):
    """Counts the events that are read."""

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))
        self.events = 0

    def read(self, statement: Statement, params: Params) -> list[Row]:
        rows = super().read(statement, params)
        self.events += sum("topic" in row for row in rows)
        return rows

    def events_for(self, ask: Any) -> int:
        """How many events this read."""
        before = self.events
        ask()
        return self.events - before


@pytest.fixture
def store(upgraded_url: str) -> Iterator[CountingStore]:
    with closing(CountingStore(upgraded_url)) as store:
        yield store


@pytest.fixture
def ledger(store: CountingStore, others: Ledger) -> Ledger:
    """The one that is watched. Nothing of the project is live, and it has asked nothing so far."""
    others.store.write(_NOT_LIVE, {})
    return Ledger(store)


@pytest.fixture
def others(upgraded_url: str) -> Iterator[Ledger]:
    """The same ledger in another process, which has recorded a history."""
    with closing(Ledger.open(upgraded_url)) as others:
        others.create_token("dev", role="admin", email=EMAIL, by=BY)
        others.configure_project(PROJECT, repo="acme/shop", by=BY)
        for environment in ("production", "staging"):
            others.configure_environment(PROJECT, environment, Settings(), by=BY)
        for number in range(1, 6):
            others.cut_release_candidate(PROJECT, f"{number}-rc1", repo="acme/shop", commit=f"{number:040x}", by=BY)
            ran(others, number)
        yield others


def ran(ledger: Ledger, number: int, by: Caller = BY, environment: str = "production") -> int:
    """A version is deployed with success; the version of the stream."""
    version = f"{number}-rc1"
    ledger.deploy(PROJECT, environment, release_candidate_version=version, by=by)
    said = ledger.report(PROJECT, environment, release_candidate_version=version, status="success", by=by)
    return said[1]


def versions(ledger: Ledger, environment: str = "production") -> list[str]:
    """What was deployed, newest first."""
    return [each["release_candidate_version"] for each in ledger.deployments(PROJECT, environment).items]


def test_only_the_first_question_reads_the_history(store: CountingStore, ledger: Ledger, others: Ledger) -> None:
    """The next ones read no event, whatever they ask; after a report, its events and the one before them."""
    history = head_of(store, STREAM).version

    first = store.events_for(lambda: versions(ledger))
    again = store.events_for(lambda: (versions(ledger), ledger.environment(PROJECT, "production")))
    ran(others, 1)
    after_report = store.events_for(lambda: versions(ledger))

    assert (first, again) == (history, 0)
    assert after_report == head_of(store, STREAM).version - history + 1
    assert versions(ledger) == ["1-rc1", "5-rc1", "4-rc1", "3-rc1", "2-rc1", "1-rc1"]


def test_a_command_folds_what_it_recorded_and_no_more(store: CountingStore, ledger: Ledger) -> None:
    """A hundred reports to a long damaged stream do not cost a hundred histories."""
    ran(ledger, 1)

    read = store.events_for(lambda: [ran(ledger, 1 + number % 5) for number in range(20)])

    assert read < 100
    assert versions(ledger)[:3] == ["5-rc1", "4-rc1", "3-rc1"]


@pytest.fixture
def a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of some events are long ones."""
    for name in ("store.store.EVENTS_PER_READ", "projection.kept.EVENTS_PER_READ", "projection.kept.FEW_EVENTS"):
        monkeypatch.setattr(f"release_ledger.{name}", 4)


@pytest.mark.usefixtures("a_few_at_once")
def test_threads_that_need_the_same_stream_share_its_fold(store: CountingStore, ledger: Ledger) -> None:
    """Two begin at once: every event is read once, but for the last of each page, which is compared."""
    history, together = head_of(store, STREAM).version, threading.Barrier(2)

    def ask() -> list[str]:
        together.wait(10)
        return versions(ledger)

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask) for _ in range(2)]
        answers = [each.result() for each in asked]

    assert answers[0] == answers[1] == ["5-rc1", "4-rc1", "3-rc1", "2-rc1", "1-rc1"]
    assert store.events <= history + history // 3 + 1


@pytest.mark.usefixtures("a_few_at_once")
def test_few_threads_wait_for_a_long_fold(store: CountingStore, ledger: Ledger) -> None:
    """Of two that would, one does and is answered; the other is told at once to ask again, and when it is worth it."""
    somebody_elses = Head(stream=STREAM, version=1000)

    with ThreadPoolExecutor(2) as pool:
        with kept_beside(store).turn_for([somebody_elses]):
            asked = {pool.submit(versions, ledger) for _ in range(2)}
            told, waiting = wait(asked, timeout=10, return_when=FIRST_COMPLETED)
            still = told.pop().exception()
            assert isinstance(still, StillFolding)
            worth_it_before = still.is_over()
        answer = waiting.pop().result(10)

    assert (worth_it_before, still.is_over()) == (False, True)
    assert answer[0] == "5-rc1"


@pytest.mark.usefixtures("a_few_at_once")
@pytest.mark.parametrize("moment", [None, Moment(version=10)], ids=["now", "the past"])
def test_nobody_waits_for_ever(
    store: CountingStore, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, moment: Moment | None
) -> None:
    """Who had no turn in time is told to ask again; a question about the past of a damaged stream, too."""
    monkeypatch.setattr("release_ledger.projection.kept.TURN_WITHIN_S", 0.05)

    with kept_beside(store).turn_for([Head(stream=STREAM, version=1000)]), pytest.raises(StillFolding):
        ledger.deployments(PROJECT, "production", moment=moment)

    assert ledger.deployments(PROJECT, "production", moment=moment).items[-1]["release_candidate_version"] == "1-rc1"


@pytest.mark.parametrize("then", [0, 2, 3, 4])
def test_another_history_is_folded_anew(ledger: Ledger, others: Ledger, then: int) -> None:
    """A backup was restored behind the process's back, and went on: shorter than before, as long, longer."""
    backup = head_of(others.store, STREAM)
    for number in (1, 2, 3):
        ran(others, number)
    assert versions(ledger)[:3] == ["3-rc1", "2-rc1", "1-rc1"]

    others.store.write(_CUT_OFF, {"of": STREAM, "above": backup.version})
    set_back = {"of": STREAM, "v": backup.version, "d": backup.digest, "at": backup.recorded_at}
    others.store.write(_SET_BACK, set_back)
    with closing(Ledger.open(others.store.database.url.render_as_string(hide_password=False))) as restored:
        for number in (5, 4, 3, 2)[:then]:
            ran(restored, number)

    assert versions(ledger) == [
        *("2-rc1", "3-rc1", "4-rc1", "5-rc1")[4 - then :],
        *(f"{n}-rc1" for n in range(5, 0, -1)),
    ]


def test_who_was_forgotten_is_in_no_answer_of_a_kept_stream(ledger: Ledger, others: Ledger) -> None:
    """Nor does the memory hold anybody's e-mail between two questions; who is known again is shown again."""
    person_id = others.store.read(_PEOPLE, {})[0]["person_id"]
    ran(others, 2, by=Caller(recorded_by="dev", person_id=person_id, email=EMAIL))

    def actor() -> object:
        return ledger.deployments(PROJECT, "production").items[0]["actor"]

    before = actor()
    with fold_now(ledger.store, [STREAM]) as source:
        during = source.read(_PEOPLE, {})
    between = source.read(_PEOPLE, {})
    others.forget_person(EMAIL, by=BY)

    assert (before, actor()) == (EMAIL, None)
    assert (during, between) == ([{"person_id": person_id, "email": EMAIL}], [])


def test_rows_of_another_generation_serve_on(store: CountingStore, ledger: Ledger, others: Ledger) -> None:
    """After a rebuild, what was folded before it is still right: nothing is read again, and commands are taken."""
    versions(ledger)
    mend(others.store, STREAM)
    others.store.write(_NOT_LIVE, {})

    read = store.events_for(lambda: versions(ledger))
    ran(ledger, 3)

    assert read == 0
    assert versions(ledger) == ["3-rc1", "5-rc1", "4-rc1", "3-rc1", "2-rc1", "1-rc1"]


def test_a_question_sees_the_streams_that_it_named(ledger: Ledger) -> None:
    """Others that are kept beside them are perhaps behind, and of no concern."""
    versions(ledger)
    streams = Statement(select(STREAMS.c.stream))

    with fold_now(ledger.store, [project_stream(PROJECT), "environment/shop/unknown"]) as source:
        seen = source.read(streams, {})

    assert seen == [{"stream": project_stream(PROJECT)}]
    assert source.read(streams, {}) == []


def test_what_was_used_longest_ago_goes_first(
    store: CountingStore, ledger: Ledger, others: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more is kept than may be; what a question needs stays, however much it is."""
    ran(others, 4, environment="staging")
    monkeypatch.setattr("release_ledger.projection.kept.KEPT_BYTES", 0)

    versions(ledger)
    again = store.events_for(lambda: versions(ledger))
    other = versions(ledger, "staging")
    anew = store.events_for(lambda: versions(ledger))

    assert (again, anew) == (0, head_of(store, STREAM).version)
    assert other == ["4-rc1"]
    assert versions(ledger)[0] == "5-rc1"


def test_the_memory_goes_once_the_rows_are_live(
    store: CountingStore, ledger: Ledger, others: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing had to be folded for a while, nothing is kept."""
    versions(ledger)
    for stream in (STREAM, project_stream(PROJECT)):
        mend(others.store, stream)
    monkeypatch.setattr("release_ledger.projection.kept.UNUSED_S", -1)
    assert versions(ledger)[0] == "5-rc1"
    others.store.write(_NOT_LIVE, {})

    assert store.events_for(lambda: versions(ledger)) == head_of(store, STREAM).version


def test_the_time_of_folding_is_not_that_of_deciding_again(
    ledger: Ledger, others: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command whose stream was folded for longer than it may decide again, and then had moved, is recorded."""
    whole, overtaken = installed()["deployments"].fold, threading.Event()

    def slow(event: Any, rows: Rows) -> None:
        if not overtaken.is_set():
            overtaken.set()
            ran(others, 1)
            threading.Event().wait(0.3)
        whole(event, rows)

    monkeypatch.setattr(recording, "DECIDE_AGAIN_S", 0.2)
    monkeypatch.setattr(installed()["deployments"], "fold", slow)
    ran(ledger, 2)

    assert versions(ledger)[:3] == ["2-rc1", "1-rc1", "5-rc1"]


@pytest.mark.usefixtures("a_few_at_once")
def test_a_fold_that_is_interrupted_leaves_nothing_half(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out amid a page, no projection is blamed, and the page is folded once more from its begin."""
    whole, left = installed()["running_periods"].fold, [6]
    counts = Statement(select(Deployments.table.c.event_count))

    def fold(event: Any, rows: Rows) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise MemoryError
        whole(event, rows)

    monkeypatch.setattr(installed()["running_periods"], "fold", fold)
    with pytest.raises(LedgerUnavailable):
        versions(ledger)
    with fold_now(ledger.store, [STREAM]) as source:
        failed, rows = source.failed[STREAM], source.read(counts, {})

    assert (left[0] < 0, failed) == (True, {})
    assert rows == [{"event_count": 2}] * 5
    assert len(ledger.running(PROJECT, "production").items) == 5


def test_a_row_that_goes_is_gone() -> None:
    """What a fold deletes is deleted, whether it was put there now or before."""
    with closing(FoldedSource()) as source:
        head = Head(stream=STREAM, version=1)
        row = dict.fromkeys(own_columns(Outbox.table), 1)
        source.put(head, "outbox", {("trigger", 1): row, ("trigger", 2): row})
        source.put(head, "outbox", {("trigger", 1): None, ("trigger", 3): None})

        left = source.read(Statement(select(Outbox.table.c.number)), {})

    assert left == [{"number": 2}]
