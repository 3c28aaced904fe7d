"""The connection to PostgreSQL is cut at every point of an append: all of it is there once, or nothing of it is.

By a real network, see tests/support/proxy.py; what `test_lost_answers.py` says one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from itertools import cycle
from typing import Final

import pytest

from release_ledger.errors import LedgerUnavailable
from release_ledger.projection import environment_stream, verify
from release_ledger.projection.mend import mend
from release_ledger.store import Append, Conflict, KeptAnswer, Store, open_store
from release_ledger.store.store import head_of
from tests.support.cuts import Network, Point, every_byte, network, points, spread
from tests.support.histories import append, append_of, configured, requested, run, succeeded
from tests.support.proxy import Way

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])
WAYS_TO_CUT: Final[tuple[Way, ...]] = ("close", "reset")
Work = Callable[[Store, int], Sequence[Append]]


@pytest.fixture
def cuttable(upgraded_url: str) -> Iterator[Network]:
    with network(upgraded_url) as made:
        yield made


def of_stream(store: Store, name: str, *, is_new: bool = False) -> Append:
    """Two events, their rows, a key and a person, for a stream of its own."""
    stream = environment_stream("shop", name)
    if not is_new:
        append(store, configured(), stream=stream)
    begin = [configured()] if is_new else []
    made = append_of(store, *begin, requested(1), succeeded(1), stream=stream)
    key = KeptAnswer(
        scope="s", key=name, request_digest=b"d", status=201, headers="{}", body=b"{}", created_at=made.last.recorded_at
    )
    return replace(made, keys=[key], people=[(name, f"{name}@example.com")])


def one_stream(store: Store, number: int) -> Sequence[Append]:
    """One statement, which commits by itself."""
    return [of_stream(store, f"e{number:05}")]


def new_stream(store: Store, number: int) -> Sequence[Append]:
    """One statement, which makes the head."""
    return [of_stream(store, f"e{number:05}", is_new=True)]


def two_streams(store: Store, number: int) -> Sequence[Append]:
    """A transaction of plain statements."""
    return [of_stream(store, f"e{number:05}"), of_stream(store, f"f{number:05}")]


def carefully(store: Store, number: int) -> Sequence[Append]:
    """Refused first, because a read model is broken; then savepoints, and that read model set aside."""
    if number == 0:
        run(store, "ALTER TABLE deployments ADD CONSTRAINT no CHECK (status <> 'success')")
    return one_stream(store, number)


def is_there(store: Store, made: Append) -> bool:
    """Whether an append is recorded: events, head, rows, key and person, or nothing of all that."""
    name = made.keys[0].key
    place = f"stream = '{made.head.stream}'"
    span = f"version BETWEEN {made.events[0].version} AND {made.last.version}"
    events = run(store, f"SELECT digest FROM events WHERE {place} AND {span} ORDER BY version")
    asides = run(store, f"SELECT projection FROM projection_faults WHERE {place}")
    rows = run(store, f"SELECT status FROM deployments WHERE {place}")
    traces = [
        [bytes(event["digest"]) for event in events] == [event.digest for event in made.events],
        head_of(store, made.head.stream).version >= made.last.version,
        (rows, asides) in (([{"status": "success"}], []), ([], [{"projection": "deployments"}])),
        len(run(store, f"SELECT * FROM idempotency_keys WHERE key = '{name}'")) == 1,
        len(run(store, f"SELECT * FROM people WHERE person_id = '{name}'")) == 1,
    ]
    assert len(set(traces)) == 1, f"half of it: {traces}"
    return traces[0]


class Sweep:
    """Appends through the network, each cut once; counts what came of them."""

    def __init__(self, cuttable: Network, work: Work, *, connecting: bool = False) -> None:
        self.network, self.work, self.connecting = cuttable, work, connecting
        self.number = 0
        self.came: dict[str, int] = {"recorded": 0, "503, recorded": 0, "503, not recorded": 0, "conflict": 0}

    def points(self, *, inside: int) -> list[Point]:
        """Where this work can be cut, found by doing it once."""
        with closing(self._store()) as store:
            store.append_all(self._appends())
        proxy = self.network.proxy
        return every_byte(proxy)[::inside] if self.connecting else points(proxy, inside=inside)

    def cut(self, point: Point, way: Way, then: Callable[[Sequence[Append]], object] | None = None) -> str:
        """Append, lose the connection at this point; what came of it, having looked that it is whole."""
        return self.network.proxy.until_cut(lambda: self._once(point, way, then))

    def _once(self, point: Point, way: Way, then: Callable[[Sequence[Append]], object] | None) -> str:
        appends = self._appends()
        with closing(self._store()) as store:
            self.network.proxy.arm(*point, way, then and (lambda: then(appends)))
            came = self._outcome(store, appends)
        self.network.proxy.watch()
        self.network.settle()
        there = {is_there(self.network.direct, made) for made in appends}
        assert len(there) == 1, "one stream of two"
        if came == "503":
            came = "503, recorded" if there == {True} else "503, not recorded"
        assert there == {came in ("recorded", "503, recorded")}, f"{came} at {point}"
        self.came[came] += 1
        return came

    def _outcome(self, store: Store, appends: Sequence[Append]) -> str:
        try:
            positions = store.append_all(appends)
        except LedgerUnavailable:
            return "503"
        except Conflict:
            return "conflict"
        places = " OR ".join(
            f"stream = '{made.head.stream}' AND version BETWEEN {made.events[0].version} AND {made.last.version}"
            for made in appends
        )
        rows = run(self.network.direct, f"SELECT position FROM events WHERE {places} ORDER BY stream, version")
        assert positions == [row["position"] for row in rows]
        return "recorded"

    def _appends(self) -> Sequence[Append]:
        self.number += 1
        return self.work(self.network.direct, self.number - 1)

    def _store(self) -> Store:
        """A store whose connection is made, and has nothing behind it but its making."""
        store = open_store(self.network.url)
        if not self.connecting:
            run(store, "SELECT 1")
        self.network.proxy.watch()
        return store


def sweep(
    cuttable: Network,
    work: Work,
    most: int,
    inside: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    last: int = 1,
    connecting: bool = False,
) -> None:
    """Cut at so many points; after each the network comes back at once, or stays down, or lets another writer in."""
    swept = Sweep(cuttable, work, connecting=connecting)
    proxy, ways = cuttable.proxy, cycle(WAYS_TO_CUT)

    def another_writes(appends: Sequence[Append]) -> None:
        with suppress(Conflict):  # ours came between its look and its append
            append(cuttable.direct, configured(), stream=appends[-1].head.stream)

    chosen = spread(swept.points(inside=inside), most, last=last)
    for point in chosen:
        assert swept.cut(point, next(ways)) == "recorded", f"cut at {point}, and the network came back"
        swept.cut(point, next(ways), another_writes)
        with monkeypatch.context() as patched:
            patched.setattr("release_ledger.store.store.IN_DOUBT_S", 0.05)
            patched.setattr("release_ledger.store.store.CONNECT_S", 0.05)
            swept.cut(point, next(ways), lambda appends: proxy.go_down())

    print(f"{work.__name__}: {proxy.cuts} cuts at {len(chosen)} points, {swept.came}")
    assert proxy.cuts == 3 * len(chosen)
    assert swept.came["503, not recorded"] > 0
    if not connecting:
        assert swept.came["503, recorded"] > 0
        assert swept.came["conflict"] > 0
    if work is carefully:
        run(cuttable.direct, "ALTER TABLE deployments DROP CONSTRAINT no")
        streams = [stream for stream, _ in verify(cuttable.direct)]
        assert all(mend(cuttable.direct, stream) for stream in streams)
    assert [differences for _, differences in verify(cuttable.direct) if differences] == []


IN_EACH_WAY: Final = pytest.mark.parametrize("work", [one_stream, new_stream, two_streams, carefully])


@IN_EACH_WAY
def test_cut_at_some_points(cuttable: Network, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Returned: recorded once. Refused: recorded or not, but never twice and never half."""
    sweep(cuttable, work, 6, 400, monkeypatch)


@pytest.mark.soak
@IN_EACH_WAY
def test_cut_at_many_points(cuttable: Network, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, hundreds of times."""
    sweep(cuttable, work, 60, 7, monkeypatch, last=12)


def test_cut_while_connecting(cuttable: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent yet: nothing is in doubt, and it is recorded as soon as there is a connection."""
    sweep(cuttable, one_stream, 6, 1, monkeypatch, connecting=True)
