"""What a client may take of the server is bounded, and it is told when it is at a bound."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any

import pytest

from release_ledger.api.app import BODY_LIMIT_BYTES
from release_ledger.cli import limits
from release_ledger.cli.front import Front
from release_ledger.cli.limits import CONNECTIONS, FILES_OTHERWISE, HEADERS_BYTES, THREADS
from release_ledger.cli.server import _connections
from release_ledger.cli.wsgi import Environ
from release_ledger.log import log_as_json
from tests.cli.test_slow_clients import connected
from tests.support.granian_process import Echo
from tests.support.server import LiveServer, wait_for

IDLE = 2_000
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "scheme": "http",
    "server": ("127.0.0.1", "80"),
    "client": ("127.0.0.1", "99"),
}
TOO_LARGE = {"error": "Request Entity Too Large", "code": "body_too_large"}


def test_a_body_that_says_it_is_too_large_is_not_awaited(front: Echo) -> None:
    """413 before its first byte."""
    with connected(front) as client:
        client.sendall(f"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {BODY_LIMIT_BYTES + 1}\r\n\r\n".encode())
        started_s = time.monotonic()
        head = client.recv(4096)

    assert time.monotonic() - started_s < 1
    assert head.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_a_body_that_is_too_large_can_read_why(front: Echo, chunked: bool) -> None:
    """Though it sends all of it first: the server does not hang up on the rest, and not forget why either."""
    size = BODY_LIMIT_BYTES * 3
    connection = HTTPConnection("127.0.0.1", front.port, timeout=10)
    connection.request("POST", "/x", iter([b"x" * size]) if chunked else b"x" * size, encode_chunked=chunked)
    answer = connection.getresponse()

    assert answer.status == 413
    assert TOO_LARGE["code"].encode() in answer.read()
    connection.close()


def test_the_largest_body_is_taken_and_the_connection_goes_on(front: Echo) -> None:
    """To the byte."""
    connection = HTTPConnection("127.0.0.1", front.port, timeout=10)
    for size in (BODY_LIMIT_BYTES, 1, 0):
        connection.request("POST", "/x", b"x" * size)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """For the tests of this module; the last one stops it."""
    with LiveServer(f"sqlite:///{tmp_path_factory.mktemp('limits') / 'ledger.db'}") as started:
        yield started


def test_headers_are_bounded(server: LiveServer) -> None:
    """431, not a connection that is hung up on."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-A: " + b"a" * (HEADERS_BYTES * 2) + b"\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_who_waits_too_long_for_a_thread_is_told(front: Echo) -> None:
    """503 with Retry-After, not silence; and once a thread is free, the next one is served."""
    with ExitStack() as stack:
        for _ in range(THREADS):
            client = stack.enter_context(connected(front))
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        answers = []

        def is_refused() -> bool:
            answers.append(front.get("/x"))
            return answers[-1][0] == 503

        wait_for(is_refused)

    _, headers, body = answers[-1]
    assert headers["retry-after"] == "1"
    assert body["code"] == "ledger_unavailable"
    assert body["details"] == {"reason": "too many requests at once"}
    wait_for(lambda: front.get("/x")[0] == 200)


def test_thousands_of_idle_connections_hold_nobody_up(server: LiveServer) -> None:
    """Each is one file descriptor of many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 200:
        pytest.skip("this process may not open as many")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 200), hard))
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        started_s = time.monotonic()

        assert server.answers()
        assert time.monotonic() - started_s < 2
        stopped_s = time.monotonic()
        assert server.stop() == 0  # and they do not delay its stop
        assert time.monotonic() - stopped_s < 8


def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One body that is under way takes all the room there is; once it is through, the next one has it."""
    monkeypatch.setattr(limits, "BODIES_BYTES", 10)
    answers = asyncio.run(one_during_another(Front(accept), b"x" * 10))

    assert [status for status, _ in answers] == [503, 200, 200]
    assert json.loads(answers[0][1])["details"] == {"reason": "too many bodies at once"}


def test_an_application_that_fails_is_answered_for(capfd: pytest.CaptureFixture[str]) -> None:
    """In the contract's shape; also when it wanted to end the process."""
    log_as_json()  # to this test's standard error, not to that of whoever was here before

    def fail(*_: object) -> Iterable[bytes]:
        raise SystemExit

    status, body = asyncio.run(called(Front(fail), a_body(b"x")))

    assert (status, json.loads(body)) == (500, {"error": "Internal error", "code": "internal_error"})
    assert "SystemExit" in "".join(capfd.readouterr())


def accept(_: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []


async def one_during_another(front: Front, body: bytes) -> list[tuple[int, bytes]]:
    """The answers to a request that comes whole between the body and the end of another, to that, and to a third."""
    more = asyncio.Event()

    async def amid_its_body() -> AsyncIterator[bytes]:
        yield body
        await more.wait()

    first = asyncio.create_task(called(front, amid_its_body()))
    await asyncio.sleep(0)
    refused = await called(front, a_body(body))
    more.set()
    return [refused, await first, await called(front, a_body(body))]


async def a_body(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def called(front: Front, body: AsyncIterator[bytes]) -> tuple[int, bytes]:
    """The status and body of the answer to a POST, whose body comes in these pieces."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = await anext(body, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await front({**SCOPE, "headers": [(b"transfer-encoding", b"chunked")]}, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "raised"),
    [
        (1_024, 524_288, CONNECTIONS, CONNECTIONS + FILES_OTHERWISE),
        (1_024, 1_024, 1_024 - FILES_OTHERWISE, 1_024),
        (100, 100, 50, 100),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, CONNECTIONS, resource.RLIM_INFINITY),
        (1_024, resource.RLIM_INFINITY, CONNECTIONS, CONNECTIONS + FILES_OTHERWISE),
    ],
)
def test_connections_are_no_more_than_there_are_file_descriptors(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, connections: int, raised: int
) -> None:
    """Out of them, a server accepts nobody and spins."""
    files = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: files[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: files.append(to))

    assert _connections() == connections
    assert files[-1] == (raised, hard)
