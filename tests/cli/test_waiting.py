"""Requests that wait for events, on a real server: they hold no thread, and are answered once there is something."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
import requests

from release_ledger.cli import limits
from release_ledger.ledger import Caller, Ledger
from tests.support.server import LiveServer, wait_for

BY: Final = Caller(recorded_by="tests")
SOON_S: Final = 3.0  # of what a busy machine may add


class Feed:
    """The feed of a server, read with its first token."""

    def __init__(self, server: LiveServer, token: str) -> None:
        self.server, self.headers = server, {"Authorization": f"Bearer {token}"}

    def read(self, after: str = "", wait_s: int = 0) -> tuple[list[dict[str, Any]], str, float]:
        """The events, the cursor, and after how long they came."""
        began = time.monotonic()
        answer = requests.get(
            f"{self.server.url}/api/feed",
            params={"after": after, "wait_s": str(wait_s)},
            headers=self.headers,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return found["events"], found["cursor"], time.monotonic() - began


@pytest.fixture
def ledger(live_server: LiveServer) -> Iterator[Ledger]:
    opened = Ledger.open(live_server.database_url or "")
    opened.configure_project("web", repo="acme/web", by=BY)
    yield opened
    opened.close()


@pytest.fixture
def feed(live_server: LiveServer, ledger: Ledger) -> Feed:
    assert ledger.projects()
    return Feed(live_server, live_server.token or "")


def test_a_reader_that_waits_is_told_as_soon_as_something_is_recorded(feed: Feed, ledger: Ledger) -> None:
    """By another process, too; and what was there before is answered at once."""
    events, cursor, took_s = feed.read(wait_s=30)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(feed.read, cursor, 30)
        time.sleep(1.5)
        assert not waiting.done()
        ledger.configure_project("other", repo="acme/other", by=BY)
        told, _, waited_s = waiting.result()

    assert events
    assert took_s < SOON_S
    assert [each["project_name"] for each in told] == ["other"]
    assert 1.5 < waited_s < 1.5 + SOON_S


def test_where_nothing_happens_the_answer_comes_when_it_was_asked_for(feed: Feed) -> None:
    """With no events, and the same cursor."""
    _, cursor, _ = feed.read()

    assert feed.read(cursor)[:2] == ([], cursor)
    events, same, took_s = feed.read(cursor, wait_s=2)

    assert (events, same) == ([], cursor)
    assert 2 <= took_s < 2 + SOON_S


def test_many_that_wait_take_nothing_from_others(feed: Feed, ledger: Ledger) -> None:
    """Ten times as many as there are threads: whoever asks meanwhile is answered, and in the end all of them are."""
    _, cursor, _ = feed.read()
    readers = 10 * limits.THREADS

    with ThreadPoolExecutor(readers) as pool:
        waiting = [pool.submit(feed.read, cursor, 30) for _ in range(readers)]
        time.sleep(2)
        began = time.monotonic()
        for _ in range(5):
            feed.read()
        meanwhile_s = time.monotonic() - began
        ledger.configure_project("other", repo="acme/other", by=BY)
        told = [each.result() for each in waiting]

    assert meanwhile_s < SOON_S
    assert {tuple(each["project_name"] for each in events) for events, _, _ in told} == {("other",)}


def test_a_reader_whose_token_is_revoked_is_told_nothing_more(feed: Feed, ledger: Ledger) -> None:
    """Who waits is asked for the token again before anything is answered."""
    token = ledger.create_token("reader", role="read", by=BY)
    reader = Feed(feed.server, token)
    _, cursor, _ = reader.read()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.read, cursor, 30)
        time.sleep(1)
        ledger.revoke_token("reader", by=BY)

        with pytest.raises(AssertionError, match="unauthorized"):
            waiting.result()


def test_one_that_hangs_up_is_not_waited_for(feed: Feed, live_server: LiveServer) -> None:
    """More than may wait at once hang up one after the other: the next one still waits."""
    _, cursor, _ = feed.read()
    for _ in range(limits.WAITING + 5):
        with socket.create_connection(("127.0.0.1", live_server.port)) as connection:
            token = feed.headers["Authorization"]
            request = f"GET /api/feed?after={cursor}&wait_s=30 HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
            connection.sendall(request.encode())
            time.sleep(0.02)
    time.sleep(1)

    _, _, took_s = feed.read(cursor, wait_s=1)

    assert took_s >= 1


def test_more_than_may_wait_are_answered_at_once(feed: Feed) -> None:
    """What a process holds for them is bounded."""
    _, cursor, _ = feed.read()
    more = 6

    with ThreadPoolExecutor(limits.WAITING + more) as pool:
        told = list(pool.map(lambda _: feed.read(cursor, 4), range(limits.WAITING + more)))

    assert sum(took_s < 4 for _, _, took_s in told) >= more
    assert all(events == [] for events, _, _ in told)


def test_a_server_with_readers_that_wait_stops_when_it_is_told_to(feed: Feed, live_server: LiveServer) -> None:
    """It does not take until the last of them has waited enough."""
    _, cursor, _ = feed.read()
    outcomes: list[str] = []

    def waits() -> None:
        try:
            feed.read(cursor, 30)
            outcomes.append("answered")
        except requests.RequestException:
            outcomes.append("cut off")

    thread = threading.Thread(target=waits)
    thread.start()
    time.sleep(1)
    began = time.monotonic()
    status = live_server.stop()
    took_s = time.monotonic() - began
    wait_for(lambda: outcomes)
    thread.join()

    assert (status, took_s < 10) == (0, True), (outcomes, took_s)
