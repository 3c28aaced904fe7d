"""The web server: granian, several processes that each make the application anew."""

from __future__ import annotations

import http.client
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from ..errors import ConfigurationError

APP: Final = "release_ledger.api:create_app"
BLOCKING_THREADS: Final = 4
HEADERS_BYTES: Final = 64 * 1024
HEADERS_WITHIN_MS: Final = 10_000
STOPPING_S: Final = 20
ANSWERS_EVERY_S: Final = 0.05

# Standard output is for what `serve` itself says.
_TO_STDERR: Final[dict[str, Any]] = {
    "handlers": {
        "console": {"formatter": "generic", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
    }
}


def run(address: str, port: int, workers: int) -> None:
    """Answer requests until SIGTERM or Ctrl-C; says so once it does. Exits with 1 when its processes keep failing."""
    # Not forked: a process that was has the parent's memory, and with it the first token.
    multiprocessing.set_start_method("spawn", force=True)
    server = Server(
        APP,
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=BLOCKING_THREADS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_WITHIN_MS, max_buffer_size=HEADERS_BYTES),
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=_TO_STDERR,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=STOPPING_S,
        factory=True,
    )
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


def load_app() -> Callable[..., Any]:
    """The application, made in a worker, which ends when its parent does, however that ends.

    Ctrl-C reaches a terminal's whole group; the worker leaves it to its parent, which then tells it to stop. Told
    twice by different signals, granian's worker stops only when it is killed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from ..api import create_app

    return create_app()


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
