"""Connections that are made to a checked address, and that end with the time of their call.

A name is resolved here, and the connection goes to the very address that was checked: nobody can change it between.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from .addresses import Permitted
from .answers import Trouble


class Bound:
    """The time that one call has, whatever its peer does: at its end the connection under it is shut down."""

    def __init__(self, within_s: float) -> None:
        self.within_s, self.is_over = within_s, False
        self._ends_at = time.monotonic() + within_s
        self._lock, self._held = threading.Lock(), list[socket.socket]()
        self._timer = threading.Timer(within_s, self._end)
        self._timer.daemon = True

    def left_s(self) -> float:
        return max(self._ends_at - time.monotonic(), 0.001)

    def hold(self, connection: socket.socket) -> None:
        """Shut this one down at the end: by a duplicate, because TLS takes the socket itself over."""
        with self._lock:
            self._held.append(connection.dup())
        if self.is_over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            for each in self._held:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._held:
                each.close()
            self._held.clear()


class Hop:
    """One request to one origin. `began`: its first byte was about to be written."""

    def __init__(
        self, origin: str, permitted: Permitted, bound: Bound, connect_within_s: float, begin_by: float = inf
    ) -> None:
        self.origin, self.permitted, self.bound = origin, permitted, bound
        self.connect_within_s, self.began, self._begin_by = connect_within_s, False, begin_by

    def begin(self) -> None:
        """The first byte is about to be written. Raises Trouble where it is too late for that."""
        if not self.began and time.monotonic() > self._begin_by:
            raise Trouble(f"{self.origin} was not called: this process was held up for too long.")
        self.began = True

    def connected(self, host: str, port: int) -> socket.socket:
        """A connection to an address of this host that was checked. Raises Trouble."""
        found = self._resolved(host, port)
        allowed = [each for each in found if self.permitted.allows(str(each[4][0]))]
        if not allowed:
            raise Trouble(f"{self.origin} is at a private address, which may not be called.", final=True)
        said = ""
        for family, kind, protocol, _, address in allowed:
            try:
                return self._connected(socket.socket(family, kind, protocol), address)
            except OSError as error:  # also a family of addresses that this machine does not have
                said = error.strerror or str(error)
        raise Trouble(f"{self.origin} could not be reached: {said}.")

    def _connected(self, connection: socket.socket, address: Any) -> socket.socket:
        try:
            connection.settimeout(self.left_to_connect_s())
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
            self.bound.hold(connection)
        except OSError:
            connection.close()
            raise
        return connection

    def left_to_connect_s(self) -> float:
        return min(self.connect_within_s, self.bound.left_s())

    def _resolved(self, host: str, port: int) -> list[Any]:
        """What getaddrinfo finds. It knows no bound, so a thread waits for it, and we for the thread."""
        answers: SimpleQueue[list[Any]] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, ValueError):
                answers.put([])

        threading.Thread(target=ask, daemon=True).start()
        with suppress(Empty):
            if found := answers.get(timeout=self.left_to_connect_s()):
                return found
        raise Trouble(f"The name of {self.origin} could not be resolved.")

    def trouble(self, error: Exception | None) -> Trouble:
        """In our words: theirs may show the whole URL, or a header."""
        if self.bound.is_over or isinstance(error, requests.Timeout):
            return Trouble(f"{self.origin} did not answer within {self.bound.within_s:g} s.", maybe_done=self.began)
        if self.began:
            return Trouble(f"{self.origin} ended the connection before its answer was complete.", maybe_done=True)
        return Trouble(f"The call to {self.origin} could not be sent.")


class _Connection(HTTPConnection):
    """Asks its hop for a checked connection, and tells it when the request begins."""

    def __init__(self, *args: Any, hop: Hop, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hop = hop

    def _new_conn(self) -> socket.socket:
        return self._hop.connected(self._dns_host, self.port)

    def connect(self) -> None:
        said = ""
        try:
            super().connect()
        except ssl.SSLCertVerificationError as error:
            said = error.verify_message.strip(".")
        except (OSError, ValueError, HTTPError):
            said = "no TLS connection was made"
        if said:
            raise Trouble(f"{self._hop.origin} could not be trusted: {said}.")
        self.sock.settimeout(self._hop.bound.left_s())

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self._hop.begin()
        super().send(data)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same under TLS."""


class Adapter(HTTPAdapter):
    """Makes the connections of one hop."""

    def __init__(self, hop: Hop) -> None:
        super().__init__()
        self._hop = hop

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = partial(_SecureConnection if pool.scheme == "https" else _Connection, hop=self._hop)
        return pool
