"""`release-ledger serve`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

import click

from ..settings import Settings
from .first_start import first_token, make_ready, welcome
from .opening import open_ledger
from .server import address_of, run, url_of
from .stale import say_what_is_left_out, say_what_is_stale
from .worker import beside

WORKERS_LIMIT: Final = 4


def default_workers() -> int:
    """One for each processor that this process may use, at most four."""
    return min(WORKERS_LIMIT, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port to listen on.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=default_workers,
    show_default="one a processor, at most 4",
    help="How many processes answer requests.",
)
@click.option(
    "--no-worker", is_flag=True, help="Serve only: workflows are triggered by `release-ledger worker` elsewhere."
)
def serve(host: str, port: int, workers: int, no_worker: bool) -> None:
    """Serve the API until it is told to stop (Ctrl-C or SIGTERM).

    A SQLite database that is not there yet is created. On a first start, when there is no token yet, an admin token
    named "first" is made and printed, this once. A schema that is older or newer than this release is refused. Read
    models that are not live are named: questions about these are answered by folding the history. A worker runs beside
    it, which triggers workflows and watches for deployments that hang.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_environment()
        address = address_of(host, port)
        say_what_is_left_out()
        make_ready(settings)
        with open_ledger(settings) as ledger:
            say_what_is_stale(ledger.store)
        token = first_token(settings)
        if token is not None:
            click.echo(welcome(token, url_of(address, port)))
        with beside(not no_worker):
            run(address, port, workers)
    except KeyboardInterrupt:
        sys.exit(0)
