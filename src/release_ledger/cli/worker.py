"""`release-ledger worker`, and the worker beside `serve`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from ..log import log_as_json
from ..settings import Settings
from ..worker import Worker
from .opening import open_ledger

RESTART_PAUSE_S: Final = 1.0
LOOKED_AT_S: Final = 0.2
ENDS_WITHIN_S: Final = 15.0


@click.command()
@click.option("--beside", "is_beside", is_flag=True, hidden=True)
def worker(is_beside: bool) -> None:
    """Trigger workflows, and watch for deployments that hang, until told to stop (Ctrl-C or SIGTERM).

    Any number may run, on any host that reaches the database; `serve` runs one of its own unless told --no-worker.
    Whatever one that was killed had begun is taken up by another, or by the next, within seconds.
    """
    settings, stop = Settings.from_environment(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if is_beside:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends
        threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    else:
        click.echo("Working. Stop with Ctrl-C.", err=True)
    log_as_json()
    with open_ledger(settings) as ledger:
        Worker(ledger, settings).run(stop)


def _stop_with_parent(stop: threading.Event) -> None:
    """Whoever started it holds the other end of its standard input, until it ends, however it does."""
    sys.stdin.buffer.read()
    stop.set()


@contextmanager
def beside(wanted: bool) -> Iterator[None]:
    """A worker in a process of its own meanwhile, started again whenever it dies; none where none is wanted."""
    if not wanted:
        yield
        return
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(ended,), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(ended: threading.Event) -> None:
    while not ended.is_set():
        command = [sys.executable, "-m", "release_ledger", "worker", "--beside"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # noqa: S603 - our own command
            while process.poll() is None and not ended.wait(LOOKED_AT_S):
                pass
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
        ended.wait(RESTART_PAUSE_S)
