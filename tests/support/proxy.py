"""A network in front of a server that can fail at any byte: it cuts both sides of a connection, or goes silent.

One thread carries all connections. "To the server" and "to the client" name the two directions of an exchange.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, Self, TypeVar

from sqlalchemy.engine import make_url

Direction = Literal["to_server", "to_client"]
Way = Literal["close", "reset", "silence"]
AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing says RST, and what was not sent is lost
PIECE: Final = 65_536
TRIES: Final = 200  # seals have 17 to 20 digits: a longest exchange does not come again soon
Came = TypeVar("Came")


class Proxy:
    """On a port of its own. `passed`: the bytes since the last `arm` or `watch`; `cuts`: how often it was lost."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._listener.getsockname()[1]
        self._waking, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._peers: dict[socket.socket, tuple[socket.socket, Direction]] = {}
        self._plan: tuple[Direction, int, Way, Callable[[], object] | None] | None = None
        self.passed: dict[Direction, bytearray] = {"to_server": bytearray(), "to_client": bytearray()}
        self.cuts, self.is_down, self._is_silent, self._ended = 0, False, False, False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def url(self, url: str) -> str:
        """The same database, by way of this proxy."""
        return make_url(url).set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def watch(self) -> None:
        """Let everything pass, and take note of it from here on."""
        with self._lock:
            self._plan, self.is_down, self._is_silent = None, False, False
            self.passed = {"to_server": bytearray(), "to_client": bytearray()}
        self._waking.send(b"!")

    def arm(
        self, direction: Direction, after: int, way: Way = "close", then: Callable[[], object] | None = None
    ) -> None:
        """Lose the connection, once, when `after` more bytes have passed in this direction; then call `then`.

        0: when the next byte arrives, which does not pass. `then` runs before anything else is carried.
        """
        self.watch()
        with self._lock:
            self._plan = direction, after, way, then

    def go_down(self) -> None:
        """Every connection from now on ends as soon as it is made, until `watch` or `arm`."""
        self.is_down = True

    def until_cut(self, work: Callable[[], Came]) -> Came:
        """What came of the work, done again where it was over before the armed point: its bytes vary by digits."""
        before = self.cuts
        for _ in range(TRIES):
            came = work()
            if self.cuts > before:
                return came
        raise AssertionError(f"none of {TRIES} came as far as the cut")

    def _carry(self) -> None:
        while not self._ended:
            heard = [self._listener, *self._peers] if not self._is_silent else []
            for ready in select.select([self._woken, *heard], [], [])[0]:
                with self._lock:
                    if ready is self._woken:
                        self._woken.recv(PIECE)
                    elif ready is self._listener:
                        self._accept()
                    elif ready in self._peers and not self._is_silent:
                        self._pass_on(ready)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket()
        if self.is_down or server.connect_ex(("127.0.0.1", self._server_port)):
            return self._part(client, server, way="close")
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[client], self._peers[server] = (server, "to_server"), (client, "to_client")
        return None

    def _pass_on(self, source: socket.socket) -> None:
        sink, direction = self._peers[source]
        try:
            left = self._plan[1] - len(self.passed[direction]) if self._plan and self._plan[0] == direction else PIECE
            # What may not pass stays where it is: after a silence it is delivered late.
            piece = source.recv(min(left, PIECE) or 1, 0 if left else socket.MSG_PEEK)
            if not piece:
                return self._part(source, sink, way="close")
            self.passed[direction] += piece[:left]
            sink.sendall(piece[:left])
        except OSError:
            return self._part(source, sink, way="reset")
        if left <= len(piece) and self._plan:
            (_, _, way, then), self._plan = self._plan, None
            self.cuts, self._is_silent = self.cuts + 1, way == "silence"
            if way == "close":
                with suppress(OSError):
                    source.recv(PIECE, socket.MSG_DONTWAIT)  # unread, it would make a reset of it
            if way != "silence":
                self._part(source, sink, way=way)
            if then is not None:
                then()
        return None

    def _part(self, *both: socket.socket, way: Way) -> None:
        for each in both:
            if way == "reset":
                with suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self._peers.pop(each, None)
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended = True
        self._waking.send(b"!")
        self._thread.join()
        for each in (self._listener, self._waking, self._woken, *self._peers):
            each.close()
