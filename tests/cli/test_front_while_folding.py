"""While a long stream whose rows are lost is folded: everybody is answered, and at once who needs no fold."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from typing import Any, Final, NamedTuple

import pytest

from release_ledger.api import create_app
from release_ledger.cli.front import Front, Message
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import Rows, environment_stream, installed
from release_ledger.store.store import head_of
from tests.cli.test_projections import execute

BY: Final = Caller(recorded_by="tests")
PLACE: Final = "/api/releases/shop/environments"
STREAM: Final = environment_stream("shop", "production")
DEPLOYMENTS: Final = 100
READERS, WRITERS = 12, 6
AN_EVENT_S: Final = 0.005  # what folding it takes here


class Answered(NamedTuple):
    """A status, and when it came."""

    status: int
    at_s: float


class Callers:
    """Sends requests to the front, as granian does."""

    def __init__(self, front: Front, token: str) -> None:
        self._front, self._token = front, token

    async def call(self, method: str, path: str, body: object = None) -> Answered:
        sent = json.dumps(body).encode() if body is not None else b""
        headers = [(b"authorization", f"Bearer {self._token}".encode()), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "server": ("127.0.0.1", 1),
            "client": ("127.0.0.1", 2),
            "scheme": "http",
            "headers": [*headers, (b"content-length", str(len(sent)).encode())],
        }
        coming = [{"type": "http.request", "body": sent, "more_body": False}] if sent else []
        answers: list[Message] = []

        async def receive() -> Message:
            if coming:
                return coming.pop()
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: Message) -> None:
            await asyncio.sleep(0)
            answers.append(message)

        await self._front(scope, receive, send)
        return Answered(answers[0]["status"], time.monotonic())


@pytest.fixture
def front(upgraded_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callers]:
    """The application behind the front of `serve`, on a long damaged stream and one that is sound."""
    ledger.configure_project("shop", repo="acme/shop", by=BY)
    ledger.cut_release_candidate("shop", "1.0.0-rc1", repo="acme/shop", commit="a" * 40, by=BY)
    for environment in ("production", "staging"):
        ledger.configure_environment("shop", environment, Settings(), by=BY)
    said: dict[str, Any] = {"release_candidate_version": "1.0.0-rc1", "by": BY}
    for _ in range(DEPLOYMENTS):
        ledger.deploy("shop", "production", **said)
        ledger.report("shop", "production", status="success", **said)
    execute(ledger, f"update streams set folded = '' where stream = '{STREAM}'")
    for name in ("store.store.EVENTS_PER_READ", "projection.kept.EVENTS_PER_READ", "projection.kept.FEW_EVENTS"):
        monkeypatch.setattr(f"release_ledger.{name}", 10)
    fold = installed()["deployments"].fold

    def slow(event: Any, rows: Rows) -> None:
        time.sleep(AN_EVENT_S)
        fold(event, rows)

    monkeypatch.setattr(installed()["deployments"], "fold", slow)
    app = create_app(ledger=Ledger.open(upgraded_url))
    yield Callers(Front(app), ledger.create_token("ci", role="admin", by=BY))
    app.extensions["ledger"].close()


def test_everybody_is_answered(front: Callers, ledger: Ledger) -> None:
    """More requests than threads want the same long stream: all are answered, each report counts once. A request for
    another environment, which comes last, is answered before any of them."""
    before = head_of(ledger.store, STREAM).version

    def report(number: int) -> Coroutine[Any, Any, Answered]:
        body = {"release_candidate_version": "1.0.0-rc1", "status": "success", "error_message": f"said {number}"}
        return front.call("PATCH", f"{PLACE}/production/deployments", body)

    async def all_at_once() -> list[Answered]:
        reads = [front.call("GET", f"{PLACE}/production/deployments") for _ in range(READERS)]
        writes = [report(number) for number in range(WRITERS)]
        return await asyncio.gather(*reads, *writes, front.call("GET", f"{PLACE}/staging"))

    *damaged, sound = asyncio.run(all_at_once())

    assert [answered.status for answered in (*damaged, sound)] == [200] * (READERS + WRITERS + 1)
    assert sound.at_s < min(answered.at_s for answered in damaged)
    assert head_of(ledger.store, STREAM).version == before + WRITERS
