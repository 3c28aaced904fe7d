"""`make bench`: everything is measured on this machine, on databases that are thrown away, and shown in one table.

The PostgreSQL is durable as in production: unlike that of the tests it waits for the disk at every commit.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import click
import psycopg
from rich.console import Console

from release_ledger.projection.upgrade import upgrade
from tests.support.postgres import PostgresServer

from . import append
from .bulk import plain_url
from .http import measure_http
from .latency import measure_latency
from .result import Result, show
from .serving import measure_start

DURABLE: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}
BLOCK: Final = bytes(8192)
SYNCS: Final = 50
KINDS: Final = ("postgresql", "sqlite")
CONSOLE: Final = Console(stderr=True)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    deployments: int
    samples: int


THOROUGH: Final = Effort(rounds=11, seconds=2.0, deployments=100_000, samples=100)
QUICK: Final = Effort(rounds=3, seconds=1.0, deployments=10_000, samples=20)


def measure_all(effort: Effort) -> tuple[list[Result], list[str], str]:
    """Every measurement; what failed, which stops no other; and the version of the PostgreSQL."""
    results: list[Result] = []
    failed: list[str] = []

    def part(name: str, kind: str, measure: Callable[[str], list[Result]]) -> None:
        CONSOLE.print(f"measuring {name}, {kind} …", end=" ", highlight=False)
        started = time.monotonic()
        try:
            with _ledger(server, folder, kind) as url:
                results.extend(measure(url))
        except Exception as error:
            failed.append(f"{name}, {kind}: {type(error).__name__}: {error}")
        CONSOLE.print(f"{time.monotonic() - started:.0f} s", highlight=False)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="release-ledger-bench-")))
        server = stack.enter_context(PostgresServer(settings=DURABLE))
        results.append(_measure_disk(folder))
        part(
            "append",
            "postgresql",
            lambda url: append.measure(url, processes=append.PROCESSES, rounds=effort.rounds, seconds=effort.seconds),
        )
        part(
            "append",
            "sqlite",
            lambda url: append.measure(url, processes=1, rounds=effort.rounds, seconds=effort.seconds),
        )
        for kind in KINDS:
            part("HTTP", kind, lambda url: measure_http(url, rounds=effort.rounds, seconds=effort.seconds))
        for kind in KINDS:
            part(
                "latency",
                kind,
                lambda url: measure_latency(url, deployments=effort.deployments, samples=effort.samples),
            )
        part("start", "postgresql", lambda url: [measure_start(url, rounds=effort.rounds)])
        return results, failed, _version(server)


@contextmanager
def _ledger(server: PostgresServer, folder: Path, kind: str) -> Iterator[str]:
    """A new ledger of its own for each measurement: none profits from what another left."""
    if kind == "postgresql":
        url = server.create_database()
        upgrade(url)
        yield url
        server.drop_database(url)
    else:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            url = f"sqlite:///{own}/ledger.db"
            upgrade(url)
            yield url


def _measure_disk(folder: Path) -> Result:
    """What every durable commit waits for at least: a block overwritten, as in a log whose files are used again."""
    seconds = []
    with closing(open(folder / "synced", "wb", buffering=0)) as file:
        file.write(BLOCK * SYNCS)
        os.fsync(file.fileno())
        file.seek(0)
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(BLOCK)
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - started)
    note = f"{min(seconds) * 1000:.2f} to {max(seconds) * 1000:.2f} ms, the temporary folder's disk"
    return Result(part="disk", what="8 kB written and synced", value=median(seconds) * 1000, unit="ms", note=note)


def _version(server: PostgresServer) -> str:
    with psycopg.connect(plain_url(server.url("postgres"))) as connection:
        return str(connection.info.parameter_status("server_version"))


@click.command()
@click.option("--quick", is_flag=True, help="Shorter rounds, 10,000 deployments: to see that it works.")
def main(quick: bool) -> None:
    """Measure everything, and show it in one table."""
    results, failed, postgresql = measure_all(QUICK if quick else THOROUGH)
    show(results, postgresql=postgresql)
    if failed:
        raise click.ClickException("not measured:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
