"""Places that can be called: sites on loopback, peers that misbehave, and an internet whose addresses lead to them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.github_faults import Asked, Fault, Listener, Reply

CERTIFICATES: Final = Path(__file__).parent / "certificates"  # of ledger.test, until 2120; its key protects nothing
AUTHORITY: Final = CERTIFICATES / "authority.pem"
PUBLIC: Final = "93.184.216.34"


class Site:
    """A server that answers every request by `reply`, and remembers them in `asked`."""

    def __init__(self, reply: Callable[[Asked], Reply], *, tls: bool, fault: Fault | None) -> None:
        self.asked: list[Asked] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if context is not None:
            context.load_cert_chain(CERTIFICATES / "server.pem")
        self.listener = Listener(
            lambda asked: fault, reply, lambda exchange: self.asked.append(exchange.asked), context
        )
        self.port, self.url = self.listener.port, self.listener.url


HERE: Final = Reply(200, b"here", {})


@contextmanager
def site(
    reply: Callable[[Asked], Reply] = lambda asked: HERE, *, tls: bool = False, fault: Fault | None = None
) -> Iterator[Site]:
    made = Site(reply, tls=tls, fault=fault)
    made.listener.start()
    try:
        yield made
    finally:
        made.listener.end()


def to(location: str, status: int = 307) -> Reply:
    return Reply(status, b"", {"Location": location})


@contextmanager
def peer(behave: Callable[[socket.socket, threading.Event], object]) -> Iterator[str]:
    """The URL of one who does this with each connection; the event says that the test is over."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                behave(connection, over)

        def listen() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class Internet:
    """`names`: what the name service answers, once each, the last one for ever. `places`: public address → port here.

    `connected` are the addresses that were connected to; nothing leaves this machine.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[Sequence[str]]] = {}
        self.places: dict[str, int] = {}
        self.connected: list[str] = []
        self.resolved: list[str] = []
        self._getaddrinfo, self._connect = socket.getaddrinfo, socket.socket.connect
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)
        monkeypatch.setattr(socket.socket, "connect", lambda one, address: self._lead(one, address))

    def _resolve(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host not in self.names:
            return list(self._getaddrinfo(host, port, *args, **options))
        self.resolved.append(host)
        answers = self.names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [self._entry(each, port) for each in found]

    def _entry(self, address: str, port: int) -> tuple[Any, ...]:
        if ip_address(address).version == 4:
            return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))

    def _lead(self, one: socket.socket, address: Any) -> None:
        self.connected.append(address[0])
        if address[0] in self.places:
            self._connect(one, ("127.0.0.1", self.places[address[0]]))
        elif ip_address(address[0]).is_loopback:
            self._connect(one, address)
        else:
            raise OSError(101, "Network is unreachable")
