"""The servers that the HTTP measurements talk to: `release-ledger serve`, and the hand-written Flask application."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import Final

from release_ledger.ledger import Ledger
from release_ledger.ledger.recording import Caller
from tests.support.server import LiveServer, free_port

from .result import Result

WORKERS: Final = 2
STARTING_S: Final = 60.0
POLL_S: Final = 0.005
BY: Final = Caller(recorded_by="benchmark", request_id="benchmark")


def new_token(url: str) -> str:
    """A token that may do everything, made before the first server starts."""
    with closing(Ledger.open(url, pool_size=1)) as ledger:
        return ledger.create_token(f"benchmark-{time.time_ns()}", role="admin", by=BY)


@contextmanager
def serving_ledger(url: str) -> Iterator[int]:
    """`release-ledger serve` over this database; the port."""
    # All clients use one token, and are to ask as fast as they can.
    with LiveServer(url, workers=WORKERS, variables={"RELEASE_LEDGER_RATE_LIMIT": "0"}) as server:
        yield server.port


@contextmanager
def serving_plain_flask(url: str) -> Iterator[int]:
    """The Flask application over this database, served alike; the port."""
    port = free_port()
    arguments = ["--database", url, "--port", str(port), "--workers", str(WORKERS)]
    command = [sys.executable, "-m", "benchmarks.plain_flask", *arguments]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1]) as process:  # noqa: S603 - our own
        try:
            _until_it_answers(process, port)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(STARTING_S)
            except subprocess.TimeoutExpired:
                process.kill()


def measure_start(url: str, *, rounds: int) -> Result:
    """How long from the start of the process until /healthz answers."""
    seconds = [_start_once(url) for _ in range(rounds)]
    note = f"{min(seconds):.2f} to {max(seconds):.2f} in {rounds} starts, {WORKERS} workers"
    return Result(part="serve", what="process start to /healthz", value=median(seconds), unit="s", note=note)


def _start_once(url: str) -> float:
    server = LiveServer(url, workers=WORKERS)
    try:
        started = time.perf_counter()
        server.launch()
        _until_it_answers(server.process, server.port)
        took = time.perf_counter() - started
        server.stop()
        return took
    finally:
        server.close()


def _until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + STARTING_S
    while process.poll() is None and time.monotonic() < give_up_at:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(POLL_S)
        finally:
            connection.close()
    raise RuntimeError("the server did not start")
