"""Who sends slowly holds a connection, and nobody else up."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import pytest

from release_ledger.cli.limits import THREADS
from tests.support.granian_process import Echo
from tests.support.server import LiveServer

HEAD = b"PUT /api/releases/shop HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


def test_slow_clients_do_not_hold_up_others(live_server: LiveServer) -> None:
    """Those that send no body, a byte of it, or not even all headers; many more of each than there are threads."""
    with ExitStack() as stack:
        for sent in (HEAD, HEAD + b"{", HEAD[:-2]) * THREADS * 4:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", live_server.port), 10))
            client.sendall(sent)
        started_s = time.monotonic()

        connection = HTTPConnection("127.0.0.1", live_server.port, timeout=5)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()

    assert time.monotonic() - started_s < 2


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_come_in_time_is_given_up(front: Echo, framing: str) -> None:
    """408 in the contract's shape, with the request's own id, and the connection closed."""
    with connected(front) as client:
        client.sendall(f"POST /x HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n{framing}\r\n\r\n".encode())
        if "chunked" in framing:
            client.sendall(b"1\r\na\r\n")
        status, headers, body = last_answer(client)

    assert status == 408
    assert body == {"error": "Request Timeout", "code": "request_timeout"}
    assert headers["x-request-id"] == "mine"
    assert headers["connection"] == "close"


def test_a_body_in_many_pieces_is_one(front: Echo) -> None:
    """Also when they come one by one."""
    with connected(front) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 26\r\n\r\n")
        for letter in b"abcdefghijklmnopqrstuvwxyz":
            client.sendall(bytes([letter]))
        status, _, body = last_answer(client)

    assert (status, body["wsgi.input"]) == (200, "abcdefghijklmnopqrstuvwxyz")


def test_a_client_that_leaves_amid_its_body_is_forgotten(front: Echo) -> None:
    """Nothing is carried out for it, and the others are served."""
    before = front.get("/counts")[2]
    for _ in range(THREADS * 2):
        with connected(front) as client:
            client.sendall(b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")

    assert front.get("/counts")[2] == before


@contextmanager
def connected(served: Echo) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        yield client


def last_answer(client: socket.socket) -> tuple[int, dict[str, str], dict[str, str]]:
    """The status, headers and JSON of an answer after which the server hangs up."""
    received = b"".join(iter(lambda: client.recv(65_536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), json.loads(body)
