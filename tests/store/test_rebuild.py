"""Rebuilding a stream: the same rows as the live ones, whatever happens meanwhile, and nothing else is left."""

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing, suppress
from typing import Any, cast

import pytest
from sqlalchemy import BigInteger, Column, Text

from release_ledger.environment import Settings
from release_ledger.events import DeploymentReported, DeploymentRequested
from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.people import token_named
from release_ledger.ledger.views import environment_view
from release_ledger.projection import (
    Projection,
    Rows,
    installed,
    loading,
    mend,
    on,
    part,
    read_model,
    rebuild,
    relevant,
    staging,
    verify,
)
from release_ledger.projection.alone import alone
from release_ledger.projection.live import loader
from release_ledger.projection.rebuild import Rebuilt, rebuild_stream
from release_ledger.projection.upgrade import upgrade_tables
from release_ledger.store import Conflict, Params, Row, Statement, Store
from release_ledger.store.store import head_of
from tests.support.histories import (
    ALL_LIVE,
    PRODUCTION,
    STAGING,
    append,
    configured,
    faults,
    live_but,
    requested,
    run,
    statuses,
    stored,
    succeeded,
)

BY = Caller(recorded_by="ci")
LONG = 60
OF_PRODUCTION = f"WHERE stream = '{PRODUCTION}'"


class Open(Projection):
    """Which deployments were requested and not reported yet, and after which other one did each come?

    Unlike ours, it looks for rows that never were, and removes some.
    """

    name = "open"
    key = ("release_candidate_version", "number")
    table = read_model(
        "open", Column("release_candidate_version", Text), Column("number", BigInteger), Column("after", Text), key=key
    )

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        earlier = f"1.{event.number - 3}.0-rc1"
        key = (event.release_candidate_version, event.number)
        assert rows.get(key) is None
        rows[key] = {"after": earlier if rows.get((earlier, event.number - 3)) else None}

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        if rows.get((event.release_candidate_version, event.number)) is not None:
            del rows[event.release_candidate_version, event.number]

    def dump(self, row: Any) -> dict[str, Any]:
        return {"after": row["after"]}


@pytest.fixture
def _open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further projection is installed."""
    monkeypatch.setitem(cast(MutableMapping[str, Projection], installed()), "open", Open())
    upgrade_tables(store)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so small that a short stream reaches all of them."""
    monkeypatch.setattr(part, "PAGE_EVENTS", 7)
    monkeypatch.setattr(part, "HELD_ROWS", 8)
    monkeypatch.setattr(rebuild, "FEW_EVENTS", 2)
    for bounds in (loading.PIECE_ROWS, staging.REMOVED_ROWS):
        for kind in bounds:
            monkeypatch.setitem(bounds, kind, 3)
    monkeypatch.setattr(loading, "TURN_S", 0.0005)
    monkeypatch.setattr(staging, "TURN_S", 0.0005)
    monkeypatch.setattr(staging, "BATCH_ROWS", 5)


def long_history(store: Store) -> None:
    """Deployments that are reported long after they were requested, in another order, some of them twice."""
    append(store, configured())
    append(store, *(requested(number) for number in range(1, LONG + 1)))
    append(store, *(succeeded(number * 7 % (LONG + 1)) for number in range(1, LONG + 1) if number % 5))
    append(store, *(requested(number) for number in range(LONG + 1, LONG + 10)), succeeded(3), succeeded(LONG + 2))


def rebuilt(store: Store, stream: str = PRODUCTION, advanced: Callable[[int], object] = lambda events: None) -> Rebuilt:
    with alone(store.database, wait=False) as seat:
        return rebuild_stream(seat, stream, advanced)


def differences(store: Store) -> list[Any]:
    return [difference for _, found in verify(store) for difference in found]


def generations(store: Store, stream: str = PRODUCTION) -> set[int]:
    """Of which generations there are rows of a stream, live or not."""
    tables = [projection.table.name for projection in relevant(stream)]
    rows = [run(store, f"SELECT DISTINCT generation FROM {table} WHERE stream = '{stream}'") for table in tables]
    return {row["generation"] for found in rows for row in found}


def own_rows(store: Store) -> dict[str, list[Any]]:
    """The rows of the read models without their generation."""
    rows = {name: found for name, found in stored(store).items() if name not in ("streams", "events")}
    return {name: sorted((_own(row) for row in found), key=repr) for name, found in rows.items()}


def _own(row: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [pair for pair in row if pair[0] != "generation"]


class Meanwhile:
    """Something that happens once in the middle of a rebuild, after so many pages, before anything is locked."""

    def __init__(self, happens: Callable[[], object], after: int = 1) -> None:
        self._happens, self._after, self.pages = happens, after, 0

    def __call__(self, _events: int) -> None:
        self.pages += 1
        if self.pages == self._after:
            self._happens()


def test_a_rebuild_ends_in_the_same_rows(store: Store) -> None:
    """Under another generation, and nothing of the old one is left; the other streams are not touched."""
    long_history(store)
    append(store, configured(), requested(1), stream=STAGING)
    before, head, staging_head = own_rows(store), head_of(store, PRODUCTION), head_of(store, STAGING)

    came = rebuilt(store)

    after = head_of(store, PRODUCTION)
    assert own_rows(store) == before
    assert after.generation > head.generation
    assert (after.version, after.folded) == (head.version, ALL_LIVE)
    assert generations(store) == {after.generation}
    assert head_of(store, STAGING) == staging_head
    live = sum(len(run(store, f"SELECT stream FROM {p.table.name} {OF_PRODUCTION}")) for p in relevant(PRODUCTION))
    assert (came.events, came.rows, came.faults, came.left) == (head.version, live, (), "")
    assert 0 < came.waited_s < 5


@pytest.mark.usefixtures("_open", "_small")
def test_a_stream_with_more_rows_than_are_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows leave memory long before the stream ends, and are loaded back when an event touches them again."""
    loaded, most = set(), [0]
    fold_page = part.Part.fold_page

    def counting(projection: Projection, *place: Any) -> Any:
        load = loader(projection, *place)

        def counted(key: Any) -> Any:
            loaded.add(projection.name)
            return load(key)

        return counted

    def measuring(self: Any, upto: int | None = None) -> bool:
        folded = fold_page(self, upto)
        most[0] = max(most[0], *(len(held) for _, held in self.live()))
        return folded

    monkeypatch.setattr(part, "loader", counting)
    monkeypatch.setattr(part.Part, "fold_page", measuring)
    long_history(store)
    before = own_rows(store), run(store, "SELECT release_candidate_version, number FROM open ORDER BY number")

    came = rebuilt(store)

    assert differences(store) == []
    assert (own_rows(store), run(store, "SELECT release_candidate_version, number FROM open ORDER BY number")) == before
    assert loaded >= {"deployments", "open"}
    assert most[0] <= 8 + 2 * 7
    assert came.rows == sum(
        len(run(store, f"SELECT stream FROM {p.table.name} {OF_PRODUCTION}")) for p in relevant(PRODUCTION)
    )
    assert generations(store) == {head_of(store, PRODUCTION).generation}


@pytest.mark.usefixtures("_small")
def test_what_is_recorded_meanwhile_is_folded_too(store: Store, other_store: Store) -> None:
    """The writers do not wait: they write in the middle of it."""
    long_history(store)

    def more() -> None:
        append(other_store, *(requested(number) for number in range(100, 130)))
        append(other_store, succeeded(1), succeeded(100))

    meanwhile = Meanwhile(more)
    came = rebuilt(store, advanced=meanwhile)

    assert meanwhile.pages > 1
    assert came.events == head_of(store, PRODUCTION).version
    assert statuses(store)[100] == "success"
    assert differences(store) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE deployments SET status = 'failure'",
        "DELETE FROM deployments WHERE number > 3",
        "CREATE TEMPORARY TABLE more AS SELECT * FROM deployments; UPDATE more SET number = number + 1000; "
        "INSERT INTO deployments SELECT * FROM more",
        "UPDATE environments SET state = '{}', latest_number = 99",
        "UPDATE deployments SET generation = generation + 5",
        "UPDATE streams SET folded = 'deployments=0'",
    ],
)
def test_damage_is_mended(store: Store, damage: str) -> None:
    """Rows edited, deleted, added or of no generation, and a head that does not say what is live."""
    long_history(store)
    run(store, *damage.split("; "))
    assert differences(store)

    rebuilt(store)

    assert differences(store) == []
    assert generations(store) == {head_of(store, PRODUCTION).generation}


@pytest.mark.usefixtures("_small")
def test_a_head_that_was_moved_meanwhile_is_not_pointed_elsewhere(store: Store, other_store: Store) -> None:
    """Somebody set rows aside, or made a table anew: what was folded until then may lack rows. It is folded again."""
    long_history(store)
    take_off = f"UPDATE streams SET folded = 'environments=1' {OF_PRODUCTION}"
    meanwhile = Meanwhile(lambda: run(other_store, take_off, "DELETE FROM deployments"), after=8)

    came = rebuilt(store, advanced=meanwhile)

    assert differences(store) == []
    assert came.faults == ()
    assert head_of(store, PRODUCTION).folded == ALL_LIVE


def test_another_generation_meanwhile_is_not_overwritten(store: Store, other_store: Store) -> None:
    """As if somebody else had made other rows live: these are replaced by a fold that began after them."""
    long_history(store)
    meanwhile = Meanwhile(lambda: run(other_store, f"UPDATE streams SET generation = 7 {OF_PRODUCTION}"))

    rebuilt(store, advanced=meanwhile)

    assert differences(store) == []
    assert generations(store) == {head_of(store, PRODUCTION).generation}
    assert meanwhile.pages > 2


@pytest.mark.usefixtures("_small")
def test_a_rebuild_that_is_stopped_changes_nothing(store: Store) -> None:
    """And takes its own rows away again."""
    long_history(store)
    before = stored(store)
    pages = []

    def stop(events: int) -> None:
        pages.append(events)
        if len(pages) == 8:
            assert len(generations(store)) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuilt(store, advanced=stop)

    assert stored(store) == before


class Broken(Projection):
    """Does not know what to do after the second deployment."""

    name = "deployments"
    key = ("number",)
    table = installed()["deployments"].table

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        if event.number > 2:
            raise RuntimeError("a mistake")
        rows[event.number] = {"number": event.number}


def test_a_fold_that_raises_sets_its_projection_aside(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """For this stream, with the version at which it did; everything else goes live, and of its rows none is left."""
    long_history(store)
    with monkeypatch.context() as patched:
        patched.setitem(cast(MutableMapping[str, Projection], installed()), "deployments", Broken())

        came = rebuilt(store)

    assert [(each.projection, each.version, each.error) for each in came.faults] == [
        ("deployments", 4, "RuntimeError: a mistake")
    ]
    assert faults(store) == [("deployments", PRODUCTION, 4)]
    assert head_of(store, PRODUCTION).folded == live_but("deployments")
    assert run(store, "SELECT * FROM deployments") == []
    assert rebuilt(store).faults == ()
    assert faults(store) == []
    assert head_of(store, PRODUCTION).folded == ALL_LIVE


@pytest.mark.parametrize("refused_at", [3, 100], ids=["early", "in the last round"])
@pytest.mark.usefixtures("_small")
def test_rows_that_the_database_refuses_set_their_projection_aside(
    store: Store, other_store: Store, refused_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether in the middle, or in the transaction that makes the other rows live."""
    long_history(store)
    before_the_last_round(monkeypatch, lambda: append(other_store, requested(100), succeeded(100)))
    if store.database.is_postgresql:
        constraint = (
            f"ALTER TABLE deployments ADD CONSTRAINT no CHECK (number <> {refused_at} OR generation = 0) NOT VALID"
        )
    else:
        raising = f"WHEN NEW.number = {refused_at} AND NEW.generation > 0 BEGIN SELECT RAISE(ABORT, 'no'); END"
        constraint = f"CREATE TRIGGER no BEFORE INSERT ON deployments {raising}"
    run(store, constraint)

    came = rebuilt(store)

    head = head_of(store, PRODUCTION)
    assert [each.projection for each in came.faults] == ["deployments"]
    assert [(name, stream) for name, stream, _ in faults(store)] == [("deployments", PRODUCTION)]
    assert (head.folded, came.events) == (live_but("deployments"), head.version)
    assert run(store, "SELECT * FROM deployments") == []
    assert {difference.projection for difference in differences(store)} == {"deployments"}


def before_the_last_round(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens when all is folded and written, and nothing is locked yet."""
    go_live = rebuild._Refold._go_live

    def late(self: Any) -> Rebuilt:
        happens()
        return go_live(self)

    monkeypatch.setattr(rebuild._Refold, "_go_live", late)


def test_the_last_events_are_folded_while_writers_wait(
    store: Store, other_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or an event that comes at the last moment would be in no row. It is decided anew, from the new rows."""
    long_history(store)
    before_the_last_round(monkeypatch, lambda: append(other_store, requested(100)))
    move_head = rebuild._Refold._move_head
    came: list[object] = []

    def write() -> None:
        while not came:
            with suppress(Conflict):
                came.append(append(other_store, succeeded(100)))

    writer = threading.Thread(target=write)

    def while_locked(self: Any, head: Any) -> None:
        writer.start()
        time.sleep(0.2)
        assert came == []
        move_head(self, head)

    monkeypatch.setattr(rebuild._Refold, "_move_head", while_locked)

    whole = rebuilt(store)

    writer.join()
    assert whole.waited_s > 0.2
    assert whole.events == head_of(store, PRODUCTION).version - 1
    assert differences(store) == []
    assert statuses(store)[100] == "success"


def test_a_table_that_is_gone_sets_its_projection_aside(store: Store) -> None:
    """The engine makes no tables; `upgrade` and the command do."""
    long_history(store)
    run(store, "DROP TABLE deployments")

    assert not mend(store, PRODUCTION)

    assert head_of(store, PRODUCTION).folded == live_but("deployments")
    upgrade_tables(store)
    assert mend(store, PRODUCTION)
    assert differences(store) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("topic = 'deployment-approved'", "version 5 is an event of a newer release: deployment-approved"),
        ("state = substr(state, 1, 9)", "Failed to deserialise state"),
    ],
)
def test_a_stream_that_cannot_be_read_is_left_alone(store: Store, damage: str, says: str) -> None:
    """It may be live for a newer server."""
    long_history(store)
    run(store, f"UPDATE events SET {damage} WHERE version = 5")
    before = stored(store)

    came = rebuilt(store)

    assert says in came.left
    assert stored(store) == before


def test_rows_are_read_with_the_generation_that_is_live_by_then(upgraded_url: str) -> None:
    """A command, or a question, that saw the head before a rebuild finds what it is about: or a rollback would be
    refused, and a token not be found, that are there."""
    with closing(Ledger.open(upgraded_url)) as ledger:
        commands(ledger, range(1, 8))
        ledger.create_token("ci", role="deploy", by=BY)
        view = environment_view(ledger.store, "shop", "production")
        for stream in (PRODUCTION, "access"):
            mend(ledger.store, stream)

        assert [row["number"] for row in view.history()] == list(range(7, 0, -1))
        assert view.success_of("1.3-rc1") is not None
        assert token_named(MendedMeanwhile(ledger.store), "ci").known["tokens"]


class MendedMeanwhile:
    """The tokens are rebuilt between every two reads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, statement: Statement, params: Params) -> list[Row]:
        rows = self._store.read(statement, params)
        mend(self._store, "access")
        return rows


def commands(ledger: Ledger, numbers: range) -> None:
    """A project and an environment, and so many deployments."""
    if numbers.start == 1:
        ledger.configure_project("shop", repo="acme/shop", by=BY)
        ledger.configure_environment("shop", "production", Settings(), by=BY)
    for number in numbers:
        version = f"1.{number}-rc1"
        ledger.cut_release_candidate("shop", version, repo="acme/shop", commit=f"{number:040x}", by=BY)
        ledger.report("shop", "production", release_candidate_version=version, status="success", by=BY)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("bound", ["PAGE_BYTES", "HELD_BYTES", None])
def test_memory_is_bounded_by_bytes_too(store: Store, monkeypatch: pytest.MonkeyPatch, bound: str | None) -> None:
    """Few rows may hold much: each bound does its part, and both together keep little of the whole history."""
    whole = 400 * 10_000
    append(store, configured())
    for number in range(1, 401):
        append(store, requested(number, reason=f"{number}" * (10_000 // len(f"{number}"))))
    before = statuses(store)
    for name in ("PAGE_BYTES", "HELD_BYTES"):
        monkeypatch.setattr(part, name, 100_000 if name != bound else 10**9)

    tracemalloc.start()
    found = rebuilt(store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (peak < whole // 3) == (bound is None), peak
    assert (found.faults, found.left, statuses(store)) == ((), "", before)
    assert differences(store) == []


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    with closing(Ledger.open(upgraded_url)) as ledger:
        yield ledger


def test_commands_and_questions_go_on(ledger: Ledger, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream after stream is rebuilt, over and over, while somebody deploys and somebody reads: none of them is
    refused, each page is complete, and in the end the live rows are what the history says."""
    monkeypatch.setattr(part, "PAGE_EVENTS", 20)
    monkeypatch.setattr(part, "HELD_ROWS", 16)
    commands(ledger, range(1, 30))
    failed: list[BaseException] = []
    over, pages = threading.Event(), []

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def catching() -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)
            finally:
                over.set()

        thread = threading.Thread(target=catching)
        thread.start()
        return thread

    def read() -> None:
        while not over.is_set():
            page = ledger.deployments("shop", "production", page=1, per_page=20)
            pages.append(len(page.items))
            assert [each["number"] for each in page.items] == list(range(page.total or 0, (page.total or 0) - 20, -1))

    def write() -> None:
        for number in range(30, 1000):
            commands(ledger, range(number, number + 1))
            if over.is_set():
                break

    threads = [guarded(write), guarded(read)]
    for _ in range(4):
        for stream in (PRODUCTION, "project/shop"):
            came = rebuilt(store, stream)
            assert (came.faults, came.left) == ((), "")
    over.set()
    for thread in threads:
        thread.join()

    assert failed == []
    assert set(pages) == {20}
    assert faults(store) == []
    assert differences(store) == []
    live = statuses(store)
    assert len(live) > 29
    assert live == dict.fromkeys(range(1, len(live) + 1), "success")
