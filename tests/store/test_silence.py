"""A network that swallows everything, and one that refuses at once: an answer within bounds, and nothing twice."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Timer
from typing import Final

import pytest
from sqlalchemy.engine import make_url

from release_ledger.errors import LedgerUnavailable
from release_ledger.projection import verify
from release_ledger.store import Store, open_store
from release_ledger.store.store import head_of
from tests.support.cuts import CUT_OFF, Network, Point, network
from tests.support.histories import PRODUCTION, append, append_of, configured, requested, run, succeeded, versions

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"])
HALF_A_REQUEST: Final[Point] = ("to_server", 1_000)
NO_ANSWER: Final[Point] = ("to_client", 0)
SLACK_S: Final = 1.5  # for a machine that is busy; each bound below is further off from the next


@pytest.fixture
def silent(upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A network that can go silent, and a ledger that has less patience with it than it is shipped with."""
    monkeypatch.setattr("release_ledger.store.patience.SILENCE_S", 0.3)
    with network(upgraded_url) as made:
        append(made.direct, configured())
        rescue = Timer(20, made.proxy.watch)  # what would wait for ever fails then
        rescue.start()
        yield made._replace(url=f"{made.url}&connect_timeout=2")
        rescue.cancel()


@pytest.fixture
def far(silent: Network) -> Iterator[Store]:
    """A store that reaches its database through that network, and has a connection."""
    with closing(open_store(silent.url)) as store:
        run(store, "SELECT 1")
        yield store


def seconds(refused: Callable[[], object]) -> float:
    """How long it took until it was refused."""
    began = time.monotonic()
    with pytest.raises(LedgerUnavailable):
        refused()
    return time.monotonic() - began


@pytest.mark.parametrize("point", [HALF_A_REQUEST, NO_ANSWER])
def test_silence_amid_an_append(silent: Network, far: Store, point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and when the network is back it is recorded or not, but whole; the next append goes through."""
    monkeypatch.setattr("release_ledger.store.store.IN_DOUBT_S", 0.1)
    made = append_of(silent.direct, requested(1), succeeded(1))
    silent.proxy.arm(*point, "silence")

    took = seconds(lambda: far.append(made))
    silent.proxy.watch()
    silent.settle()
    append(far, requested(2))

    assert took < 0.5 + SLACK_S
    assert versions(silent.direct) in ([1, 2], [1, 2, 3, 4])
    assert list(verify(silent.direct)) == [(PRODUCTION, [])]


@pytest.mark.parametrize("point", [HALF_A_REQUEST, NO_ANSWER])
def test_a_network_that_delivers_late(silent: Network, far: Store, point: Point) -> None:
    """The first try arrives after we gave it up and tried again: it counts once."""
    made = append_of(silent.direct, requested(1), succeeded(1))
    silent.proxy.arm(*point, "silence")
    back = Timer(0.6, silent.proxy.watch)

    back.start()
    positions = far.append(made)
    back.join()
    far.close()
    silent.settle()
    assert silent.proxy.cuts == 1

    assert len(positions) == 2
    assert versions(silent.direct) == [1, 2, 3]
    assert list(verify(silent.direct)) == [(PRODUCTION, [])]


def test_silence_amid_a_question(silent: Network, far: Store) -> None:
    """Questions do not wait for ever either, in a transaction or outside of one."""
    questions: list[Callable[[], object]] = [lambda: head_of(far, PRODUCTION), lambda: far.snapshot().__enter__()]
    for question in questions:
        silent.proxy.watch()
        far.database.forget_connections()
        run(far, "SELECT 1")
        silent.proxy.arm(*NO_ANSWER, "silence")

        assert seconds(question) < 2.5 + SLACK_S


def test_silence_instead_of_a_connection(silent: Network) -> None:
    """A server that does not answer to a new connection: nothing was sent, 503 when the connection's time is over."""
    made = append_of(silent.direct, requested(1))
    silent.proxy.arm("to_server", 0, "silence")

    with closing(open_store(silent.url)) as far:
        took = seconds(lambda: far.append(made))

    assert took < 2 + SLACK_S
    silent.proxy.watch()
    silent.settle()
    assert versions(silent.direct) == [1]


def test_nobody_listens(silent: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can have been sent, so nothing is in doubt: 503 after a moment, not when doubt has had its time."""
    monkeypatch.setattr("release_ledger.store.store.CONNECT_S", 0.2)
    made = append_of(silent.direct, requested(1))
    nowhere = make_url(silent.url).set(port=1).render_as_string()

    with closing(open_store(nowhere)) as far:
        took = seconds(lambda: far.append(made))

    assert took < 0.5 + SLACK_S


def test_a_server_that_hung_up_on_a_kept_connection(
    silent: Network, far: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen before anything is sent over it, so nothing is in doubt."""
    monkeypatch.setattr("release_ledger.store.store.CONNECT_S", 0.2)
    made = append_of(silent.direct, requested(1))
    run(silent.direct, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{CUT_OFF}'")
    silent.settle()
    silent.proxy.go_down()

    assert seconds(lambda: far.append(made)) < 0.5 + SLACK_S
    assert versions(silent.direct) == [1]


def test_nobody_listens_after_the_connection_was_lost(silent: Network, far: Store) -> None:
    """A try may have been recorded: it is in doubt, and looked for until the bound."""
    made = append_of(silent.direct, requested(1))
    back = Timer(1.5, silent.proxy.watch)  # later than CONNECT_S
    silent.proxy.arm(*NO_ANSWER, "close", silent.proxy.go_down)

    back.start()
    positions = far.append(made)
    back.join()

    assert len(positions) == 1
    assert versions(silent.direct) == [1, 2]
