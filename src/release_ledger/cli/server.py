"""The web server: granian, several processes that each make the application anew."""

from __future__ import annotations

import asyncio
import gc
import http.client
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from prometheus_client import values

from .. import projection
from ..errors import ConfigurationError
from . import limits
from .supervision import SupervisedServer

if TYPE_CHECKING:
    from .front import Front

APP: Final = "release_ledger.api:create_app"
WELL_AFTER_S: Final = 1.0  # listening begins a moment after the application is made, and may fail
ANSWERS_EVERY_S: Final = 0.05

# How granian speaks to clients, and to the front.
HTTP: Final[dict[str, Any]] = {
    "interface": Interfaces.ASGI,
    "backlog": limits.BACKLOG,
    "http": HTTPModes.http1,
    "http1_settings": HTTP1Settings(header_read_timeout=limits.HEADERS_WITHIN_MS, max_buffer_size=limits.HEADERS_BYTES),
    "websockets": False,
    "log_level": LogLevels.error,
    "factory": True,
}
# Standard output is for what `serve` itself says.
_TO_STDERR: Final[dict[str, Any]] = {
    "handlers": {
        "console": {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
    }
}


def run(address: str, port: int, workers: int) -> None:
    """Answer requests until SIGTERM or Ctrl-C; says so once it does. Fails when its processes do not start."""
    # Not forked: a process that was has the parent's memory, and with it the first token.
    multiprocessing.set_start_method("spawn", force=True)
    server = _server(address, port, workers)
    ended = threading.Event()
    with _metrics_folder():
        threading.Thread(target=_announce, args=(address, port, ended), daemon=True).start()
        try:
            server.serve(target_loader=load_app, wrap_loader=False)
        except SystemExit:
            # Workers that were told to stop by somebody else, and were faster, count as failed there.
            if not server.interrupt_signal:
                raise
        finally:
            ended.set()
    if server.gave_up:
        raise click.ClickException("The processes that answer requests end before they do; what they said is above.")


def _server(address: str, port: int, workers: int) -> SupervisedServer:
    return SupervisedServer(
        APP,
        address=address,
        port=port,
        workers=workers,
        backpressure=_connections(),
        log_dictconfig=_TO_STDERR,
        respawn_interval=0.1,
        workers_kill_timeout=limits.STOPPING_S,
        **HTTP,
    )


def _connections() -> int:
    """How many a process may have open, with the file descriptors that there are; these are raised where possible."""
    wanted = limits.CONNECTIONS + limits.FILES_OTHERWISE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    return max(files - limits.FILES_OTHERWISE, files // 2)


def load_app(number: int, tell: Connection) -> Front:
    """The application, made in a worker, which ends when its parent does, however that ends.

    `number` and `tell` are as `supervision.Load` says. Ctrl-C reaches a terminal's whole group; the worker leaves it
    to its parent, which then tells it to stop.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Counts are kept by number, not by process: the next one goes on counting where one that died left off.
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call] # it has no types
    from ..api import create_app
    from .front import Front

    def ready() -> None:
        # Beside the event loop's own, which hears of the signal by its wake-up file and not by this function.
        signal.signal(signal.SIGTERM, lambda *_: front.stop_waiting())
        pid = os.getpid().to_bytes(4)
        asyncio.get_running_loop().call_later(WELL_AFTER_S, tell.send_bytes, pid)

    app = create_app()
    for left_out in projection.left_out():
        structlog.get_logger("release_ledger.cli").warning("projection left out", **left_out._asdict())
    gc.collect()
    gc.freeze()  # what is there now stays: it is not gone through again at each collection

    def ended() -> NoReturn:
        app.extensions["ledger"].close()
        sys.stderr.flush()
        os._exit(0)  # a thread of granian's that wakes while the interpreter is taken down aborts the process

    front = Front(app, ready, ended)
    return front


def address_of(host: str, port: int) -> str:
    """The host's address, if one can listen there. Raises `ConfigurationError`.

    The workers share the port (SO_REUSEPORT), and would share it with another server's too: so it is tried first.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(
            f"Cannot listen on {host}, port {port} ({reason}): give another --host or --port."
        ) from error
    return str(where[0])


def url_of(address: str, port: int) -> str:
    """How a client on this machine calls a server that listens on this address."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """A fresh folder in which the workers put their counts together (prometheus_client)."""
    folder = tempfile.mkdtemp(prefix="release-ledger-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _announce(address: str, port: int, ended: threading.Event) -> None:
    """Say where it listens, once it answers."""
    url = url_of(address, port)
    while not ended.wait(ANSWERS_EVERY_S):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
        click.echo(f"Release Ledger listens on {url}")
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
