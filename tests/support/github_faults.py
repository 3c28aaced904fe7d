"""What can go wrong between us and GitHub, and the server that makes it happen."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request. `taken`: it is carried out first, and the answer (if `status` is not set,
    the right one) is lost, late or in pieces."""

    name: str
    taken: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "A fault on demand"}'
    late_s: float = 0.0
    byte_every_s: float = 0.0
    cut: bool = False


BROKEN: Final = Fault(name="500", status=500)
BAD_GATEWAY: Final = Fault(name="502", status=502)
BAD_GATEWAY_AFTER: Final = Fault(name="502, taken", status=502, taken=True)
UNAVAILABLE: Final = Fault(name="503", status=503)
LIMITED: Final = Fault(name="429", status=429, headers={"Retry-After": "1"})
LIMITED_AS_403: Final = Fault(name="403", status=403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0"})
UNAUTHORIZED: Final = Fault(name="401", status=401)
NOT_FOUND: Final = Fault(name="404", status=404)
INVALID: Final = Fault(name="422", status=422)
CUT_BEFORE: Final = Fault(name="cut before", cut=True)
CUT_AFTER: Final = Fault(name="cut after", cut=True, taken=True)
SLOW: Final = Fault(name="slow", late_s=60, taken=True)
TRICKLED: Final = Fault(name="trickled", byte_every_s=0.05, taken=True)
GARBAGE: Final = Fault(name="garbage", status=200, body=b"<html>\xff")
GARBAGE_AFTER: Final = Fault(name="garbage, taken", status=200, body=b"<html>\xff", taken=True)
HUGE: Final = Fault(name="huge", status=200, body=b" " * 2_000_000)
EVERY: Final = (
    *(BROKEN, BAD_GATEWAY, BAD_GATEWAY_AFTER, UNAVAILABLE, LIMITED, LIMITED_AS_403, UNAUTHORIZED, NOT_FOUND, INVALID),
    *(CUT_BEFORE, CUT_AFTER, SLOW, TRICKLED, GARBAGE, GARBAGE_AFTER, HUGE),
)


def moved(status: int, url: str) -> Fault:
    """A redirect to a path here, or to a URL elsewhere."""
    return Fault(name=f"{status}", status=status, headers={"Location": url})


class Asked(NamedTuple):
    """One request. `path` is decoded part by part; `headers` in lower case; `content` is the JSON in it, or None."""

    method: str
    url: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    content: Any


class Reply(NamedTuple):
    """One answer; `status` 0: none was given."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Exchange(NamedTuple):
    asked: Asked
    reply: Reply
    fault: Fault | None


class Listener:
    """Takes requests on a port of loopback: asks `fault`, then `reply`, tells `record` both, and answers."""

    def __init__(
        self,
        fault: Callable[[Asked], Fault | None],
        reply: Callable[[Asked], Reply],
        record: Callable[[Exchange], object],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.fault, self.reply, self.record = fault, reply, record
        self.ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Answering,), {"listener": self}))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    listener: Listener

    def handle(self) -> None:
        with suppress(OSError):  # they hung up
            super().handle()

    def do_GET(self) -> None:
        asked = self._asked()
        fault = self.listener.fault(asked)
        reply = self.listener.reply(asked) if fault is None or fault.taken else Reply(0, b"", {})
        if fault is not None and fault.status is not None:
            reply = Reply(fault.status, fault.body, fault.headers)
        self.listener.record(Exchange(asked, reply, fault))
        self._answer(reply, fault or Fault(name="none"))

    do_POST = do_PUT = do_DELETE = do_GET

    def _asked(self) -> Asked:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("they ended, or were killed, in the middle of a request")
        parts = urlsplit(self.path)
        path = tuple(unquote(part) for part in parts.path.strip("/").split("/"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            content = json.loads(body)
        except ValueError:
            content = None
        return Asked(self.command, self.path, path, dict(parse_qsl(parts.query)), headers, body, content)

    def _answer(self, reply: Reply, fault: Fault) -> None:
        self.listener.ending.wait(fault.late_s)
        if fault.cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        step = 1 if fault.byte_every_s else max(len(reply.body), 1)
        for at in range(0, len(reply.body), step):
            self.wfile.write(reply.body[at : at + step])
            self.listener.ending.wait(fault.byte_every_s)

    def log_message(self, *args: Any) -> None:
        """A test says itself what it wants to know."""
