"""A rebuild of everything: `python -m benchmarks.rebuild --database URL --events N --environments M`.

Beside the limit that the same database sets in the same run (the events read and as many rows written, raw), and the
library's own runner; then once more while others write, to see how long they wait.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import psycopg
from sqlalchemy import Table
from sqlalchemy.engine import make_url

from release_ledger.projection import environment_stream, installed
from release_ledger.projection.alone import alone
from release_ledger.projection.staging import remove
from release_ledger.projection.verify import verify
from release_ledger.store import open_store
from release_ledger.store.schema import EVENTS
from release_ledger.store.store import stream_names

from .bulk import ROWS_PER_TRANSACTION, plain_url, target_at, written_columns
from .history import write_history
from .others import Waited, written_by_others
from .result import Result, show

STOCK_EVENTS: Final = 1_000
QUIET_S: Final = 2.0
RAW_GENERATION: Final = 1
SAMPLED_EVERY_S: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the command said of itself, and the most memory that one of its processes, or all together, had, in MB."""

    said: dict[str, Any]
    largest_mb: float
    all_mb: float


def measure_rebuild(
    url: str, *, events: int, environments: int, longest: int | None = None, jobs: int | None = None
) -> list[Result]:
    """Write a history into an upgraded ledger without one, and rebuild it."""
    place = write_history(url, events=events, environments=environments, longest=longest).longest
    raw = events / _raw_seconds(url)
    with written_by_others(url, place) as quiet:
        time.sleep(QUIET_S)
    alone_ = rebuilt(url, jobs)
    stock = _stock(url, environment_stream(place.project_name, place.environment_name))
    with written_by_others(url, place) as waited:
        busy = rebuilt(url, jobs)
    with closing(open_store(url)) as store:
        differences = sum(len(found) for _, found in verify(store))
    speed = alone_.said["events_a_second"]
    part = (
        f"rebuild, {'PostgreSQL' if make_url(url).get_backend_name() == 'postgresql' else 'SQLite'}, {events:,} events"
    )
    note = f"{alone_.said['rows']:,} rows of all read models in {alone_.said['seconds']:.1f} s"

    def line(what: str, value: float, unit: str, note: str = "", ratio: float | None = None, to: str = "") -> Result:
        return Result(part=part, what=what, value=value, unit=unit, ratio=ratio, to=to, note=note)

    lines = [
        line("rebuild", speed, "events/s", note, speed / raw, "the limit"),
        line("the limit: read events, write as many rows", raw, "events/s"),
        line("memory, the largest process", alone_.largest_mb, "MB", f"{alone_.all_mb:.0f} MB all together"),
        line("rebuild while others write", busy.said["events_a_second"], "events/s", f"{differences} differences"),
        line("a head was locked, at most", busy.said["waited_s"] * 1000, "ms"),
        line("a command took, at most", waited[0].longest_s * 1000, "ms", _said(waited[0])),
        line("a command took, at most, without a rebuild", quiet[0].longest_s * 1000, "ms", _said(quiet[0])),
    ]
    if stock is not None:
        lines.insert(
            2, line("stock ProjectionRunner, the same read models", stock, "events/s", "", speed / stock, "it, of ours")
        )
    return lines


def _said(waited: Waited) -> str:
    return f"{waited.commands} commands, median {waited.median_s * 1000:.1f} ms, {waited.failed} failed"


def rebuilt(url: str, jobs: int | None = None) -> Ran:
    """Run the command as an operator does, and watch its memory."""
    command = [sys.executable, "-m", "release_ledger", "projections", "rebuild", "--json"]
    command += ["--jobs", str(jobs)] if jobs else []
    environment = os.environ | {"RELEASE_LEDGER_DATABASE_URL": url}
    peaks: dict[int, float] = {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        while process.poll() is None:
            peaks |= {pid: max(peak, peaks.get(pid, 0)) for pid, peak in _peaks(process.pid)}
            time.sleep(SAMPLED_EVERY_S)
        said = json.loads(process.communicate()[0])
    return Ran(said=said, largest_mb=max(peaks.values(), default=0.0), all_mb=sum(peaks.values()))


def _peaks(pid: int) -> Iterator[tuple[int, float]]:
    """The most memory that a process and its children have had so far, in MB; nothing where there is no /proc."""
    folder = Path(f"/proc/{pid}")
    try:
        status = (folder / "status").read_text()
        children = (folder / f"task/{pid}/children").read_text().split()
    except OSError:
        return
    for line in status.splitlines():
        if line.startswith("VmHWM"):
            yield pid, int(line.split()[1]) / 1024
    for child in children:
        yield from _peaks(int(child))


def _raw_seconds(url: str) -> float:
    """Read every event, and write every row of the read models once more, without a thought."""
    seconds = sum(took for took, _ in _pieces(url, EVENTS, ["version", "topic", "state"]))
    with target_at(url) as target, closing(open_store(url, pool_size=1)) as store:
        for projection in installed().values():
            names = written_columns(projection.table)
            at = names.index("generation")
            for _, piece in _pieces(url, projection.table, names):
                rows = [(*row[:at], RAW_GENERATION, *row[at + 1 :]) for row in piece]
                began = time.perf_counter()
                target.insert({projection.table: rows})
                seconds += time.perf_counter() - began
        with alone(store.database, wait=False) as seat:
            for stream in stream_names(store, ""):
                for projection in installed().values():
                    remove(seat, projection.table, stream, 0)
        target.settle()
    return seconds


def _pieces(url: str, table: Table, names: list[str]) -> Iterator[tuple[float, list[tuple[Any, ...]]]]:
    """All rows of a table, some thousand at a time, by the driver alone; and how long each piece took."""
    columns = ", ".join(f'"{name}"' for name in names)
    question = f'SELECT {columns} FROM "{table.name}"'  # noqa: S608 - our own names
    with ExitStack() as stack:
        cursor: Any
        if make_url(url).get_backend_name() == "postgresql":
            connection = stack.enter_context(psycopg.connect(plain_url(url)))
            cursor = stack.enter_context(connection.cursor(name="pieces", binary=True))
        else:
            file = stack.enter_context(closing(sqlite3.connect(str(make_url(url).database))))
            cursor = file.cursor()
        began = time.perf_counter()
        cursor.execute(question)
        while piece := cursor.fetchmany(ROWS_PER_TRANSACTION):
            yield time.perf_counter() - began, piece
            began = time.perf_counter()


def _stock(url: str, stream: str) -> float | None:
    if make_url(url).get_backend_name() != "postgresql" or importlib.util.find_spec("psycopg_pool") is None:
        return None
    from .stock_runner import stock_events_a_second

    return stock_events_a_second(url, stream, STOCK_EVENTS)


@click.command()
@click.option("--database", "url", required=True, help="sqlite:///FILE or postgresql+psycopg://…, upgraded and empty.")
@click.option("--events", type=click.IntRange(3), default=100_000, show_default=True)
@click.option("--environments", type=click.IntRange(1), default=20, show_default=True)
@click.option("--longest", type=click.IntRange(1), help="Events in the longest stream.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes that rebuild; the command's own number otherwise.")
def main(url: str, events: int, environments: int, longest: int | None, jobs: int | None) -> None:
    """Rebuild a large history, and show how fast, beside what bounds it."""
    show(measure_rebuild(url, events=events, environments=environments, longest=longest, jobs=jobs))


if __name__ == "__main__":
    main()
