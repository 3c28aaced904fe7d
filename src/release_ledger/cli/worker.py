"""`release-ledger worker`, and the worker beside `serve`."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from ..log import log_as_json
from ..settings import Settings
from ..worker import Worker
from .opening import open_ledger
from .server import end_with_parent

RESTART_PAUSE_S: Final = 1.0
ENDS_WITHIN_S: Final = 15.0


@click.command()
def worker() -> None:
    """Trigger workflows, and watch for deployments that hang, until told to stop (Ctrl-C or SIGTERM).

    Any number may run, on any host that reaches the database; `serve` runs one of its own unless told --no-worker.
    Whatever one that was killed had begun is taken up by another, or by the next, within seconds.
    """
    click.echo("Working. Stop with Ctrl-C.", err=True)
    work(Settings.from_environment())


def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log_as_json()
    with open_ledger(settings) as ledger:
        Worker(ledger, settings).run(stop)


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
    context = multiprocessing.get_context("spawn")
    while not ended.is_set():
        process = context.Process(target=_work_beside, name="release-ledger worker")
        process.start()
        while process.is_alive() and not ended.is_set():
            ended.wait(0.2)
        if process.is_alive():
            process.terminate()
            process.join(ENDS_WITHIN_S)
            process.kill()
        process.join()
        process.close()
        time.sleep(0 if ended.is_set() else RESTART_PAUSE_S)


def _work_beside() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the parent, which then tells it to stop
    threading.Thread(target=end_with_parent, daemon=True).start()
    work(Settings.from_environment())
