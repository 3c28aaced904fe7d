"""A client that costs the server's machine little: raw sockets, kept alive, many connections to a thread.

Of Python's own `http.client` one request costs as much CPU as an answer of a fast server: on two cores that hides
differences between servers. It reads only what it must: the status line and Content-Length.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

TIMEOUT_S: Final = 30.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request_bytes(method: str, path: str, *, token: str | None = None, body: Any = None) -> bytes:
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    content = b"" if body is None else json.dumps(body).encode()
    lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode() + content


class UnexpectedAnswer(Exception):
    """The server refused what a benchmark does: its numbers would mean nothing."""


@dataclass
class Exchange:
    """One connection, and the request under way on it."""

    port: int
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: bytes) -> None:
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The body, once the answer is complete; raises `UnexpectedAnswer` unless it is a success."""
        more = self.socket.recv(65536)
        self.received += more
        head = self.received.find(b"\r\n\r\n")
        if not more:
            raise UnexpectedAnswer("the server closed the connection")
        if head < 0:
            return None
        found = _LENGTH.search(self.received, 0, head)
        length = int(found[1]) if found else 0
        if len(self.received) < head + 4 + length:
            return None
        if self.received[9:10] != b"2":
            raise UnexpectedAnswer(bytes(self.received[:2000]).decode(errors="replace"))
        return bytes(self.received[head + 4 :])

    def ask(self, request: bytes) -> tuple[bytes, float]:
        """Send, wait, receive: the body and how long it took, in seconds."""
        self.send(request)
        while True:
            body = self.receive()
            if body is not None:
                return body, time.perf_counter() - self.sent_at

    def close(self) -> None:
        self.socket.close()


# The request of a connection's turn; None: it has done enough.
Next = Callable[[int], bytes | None]


def drive(exchanges: Sequence[Exchange], nexts: Sequence[Next], *, stop: float) -> tuple[list[int], list[float]]:
    """Each connection sends its next request when it has its answer, until it has none or time is up.

    How many answers each had, and how long each answer took, in seconds.
    """
    counts, seconds = [0] * len(exchanges), list[float]()
    with selectors.DefaultSelector() as selector:
        waiting = 0

        def send(number: int) -> bool:
            request = nexts[number](counts[number]) if time.monotonic() < stop else None
            if request is not None:
                exchanges[number].send(request)
            return request is not None

        for number, exchange in enumerate(exchanges):
            if send(number):
                selector.register(exchange.socket, selectors.EVENT_READ, number)
                waiting += 1
        while waiting:
            ready = selector.select(TIMEOUT_S)
            if not ready:
                raise UnexpectedAnswer(f"no answer within {TIMEOUT_S:.0f} s")
            for key, _ in ready:
                exchange = exchanges[key.data]
                if exchange.receive() is None:
                    continue
                seconds.append(time.perf_counter() - exchange.sent_at)
                counts[key.data] += 1
                if not send(key.data):
                    selector.unregister(exchange.socket)
                    waiting -= 1
    return counts, seconds
