"""The front calls the application as granian's own WSGI does, and holds nothing for those who read slowly."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from release_ledger.cli.limits import THREADS
from tests.support.granian_process import Echo, echo
from tests.support.server import wait_for

REQUESTS = {
    "path": b"GET /a%FF/%C3%A9%2F//b%zz/;x=1/?q=%20&q=\xc3\xa9 HTTP/1.1\r\nHost: h:1\r\n\r\n",
    "trailing slash": b"GET /a/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "whole address": b"GET http://other:99/x?y HTTP/1.1\r\nHost: other:99\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "repeated": b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\nAccept:\r\n\r\n",
    "body": b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Type: text/x; a=b\r\nContent-Length: 3\r\n\r\nabc",
    "chunked": b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    "empty": b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "unknown method": b"FROB /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
    "old": b"GET /x HTTP/1.0\r\n\r\n",
}


@pytest.fixture(scope="module")
def by_granian() -> Iterator[Echo]:
    with echo("wsgi") as served:
        yield served


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_the_application_is_called_as_by_granian_itself(by_granian: Echo, front: Echo, sent: bytes) -> None:
    """Whatever a request looks like: the application cannot tell."""
    environs = []
    for served in (by_granian, front):
        status, environ = exchanged(served, sent)
        assert status == 200
        environs.append({name: value for name, value in environ.items() if is_of_request(name)})

    for environ in environs:
        assert environ.pop("SERVER_PORT") in (str(by_granian.port), str(front.port))
        environ["SERVER_PROTOCOL"] = environ["SERVER_PROTOCOL"].removesuffix(".0")  # granian says HTTP/1
    assert environs[0] == environs[1]
    assert "PATH_INFO" in environs[0]


def test_a_header_cannot_pass_for_another(front: Echo) -> None:
    """X_Forwarded_Proto is not X-Forwarded-Proto, which a proxy may have taken away."""
    sent = b"GET / HTTP/1.1\r\nHost: h\r\nX_Forwarded_Proto: https\r\nX-A: \xe9\r\n\r\n"

    _, environ = exchanged(front, sent)

    assert "HTTP_X_FORWARDED_PROTO" not in environ
    assert environ["HTTP_X_A"] == "\xe9"


def test_head_has_the_length_and_no_body(front: Echo) -> None:
    """And the connection goes on after it."""
    with socket.create_connection(("127.0.0.1", front.port), 10) as client:
        client.sendall(b"HEAD /counts HTTP/1.1\r\nHost: h\r\n\r\n")
        client.sendall(b"HEAD /counts HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65_536), b""))

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"content-length: ") == 2
    assert b"{" not in answer


def test_who_does_not_read_a_stream_holds_no_thread(front: Echo) -> None:
    """It goes no further than the sockets hold; more such readers than threads; and once they leave, it is closed."""
    before = front.get("/counts")[2]["closed"]
    readers = THREADS + 2

    with ExitStack() as stack:
        for _ in range(readers):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client.connect(("127.0.0.1", front.port))
            client.sendall(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        pieces = [-1]

        def stands_still() -> bool:
            pieces.append(front.get("/counts")[2]["pieces"])
            return pieces[-1] == pieces[-2]

        wait_for(stands_still)
        assert pieces[-1] * 65_536 < readers * 16_000_000
        assert front.get("/counts")[2]["closed"] == before

    wait_for(lambda: front.get("/counts")[2]["closed"] == before + readers)


def exchanged(served: Echo, sent: bytes) -> tuple[int, dict[str, str]]:
    """The status and environ that come of these bytes."""
    with socket.create_connection(("127.0.0.1", served.port), 10) as client:
        client.sendall(sent)
        received = b""
        while b"\r\n\r\n{" not in received or not received.endswith(b"}"):
            piece = client.recv(65_536)
            assert piece, received
            received += piece
        head, _, body = received.partition(b"\r\n\r\n{")
    return int(head.split()[1]), json.loads(b"{" + body)


def is_of_request(name: str) -> bool:
    own = ("PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "CONTENT_TYPE", "CONTENT_LENGTH", "REMOTE_ADDR")
    return name in own or (name.startswith(("HTTP_", "SERVER_", "REQUEST_", "wsgi.")) and name != "SERVER_SOFTWARE")
