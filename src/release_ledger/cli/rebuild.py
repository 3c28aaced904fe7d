"""`release-ledger projections rebuild`: every read model from the history, while the ledger runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from ..errors import EnvironmentNotFound
from ..ledger import Ledger
from ..projection import environment_stream, installed
from ..projection.alone import RebuildRunning, Seat, alone
from ..projection.crew import Advanced, rebuild_streams, streams_of
from ..projection.rebuild import Rebuilt
from ..store.database import Database
from ..store.upgrade import upgrade_schema
from .opening import open_ledger
from .output import as_json, counted, print_json, shown

LINE_EVERY_S: Final = 5.0
SQLITE_JOBS: Final = 2  # one folds while the other writes: there is one writer at a time
EVENTS_A_PROCESS: Final = 20_000  # for fewer, starting a process takes longer than folding


@dataclass
class Summary:
    """What came of a rebuild; `waited_s` is the longest that writers of a stream waited for it."""

    streams: int = 0
    events: int = 0
    rows: int = 0
    waited_s: float = 0.0
    seconds: float = 0.0
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)

    def add(self, rebuilt: Rebuilt) -> None:
        if rebuilt.left:
            self.left.append({"stream": rebuilt.stream, "error": rebuilt.left})
            return
        self.streams += 1
        self.events += rebuilt.events
        self.rows += rebuilt.rows
        self.waited_s = max(self.waited_s, rebuilt.waited_s)
        self.set_aside += [asdict(fault) for fault in rebuilt.faults]

    @property
    def events_a_second(self) -> int:
        return round(self.events / self.seconds) if self.seconds else 0


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--environment", metavar="PROJECT/ENVIRONMENT", help="Only the history of this environment.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Fold in so many processes. Without it: one for each processor, and at most 2 on SQLite.",
)
@as_json
@click.pass_context
def rebuild(
    ctx: click.Context, names: tuple[str, ...], environment: str | None, jobs: int | None, as_json: bool
) -> None:
    """Fold the history again, from the first event on, and make the new rows live.

    All of it, or the histories that the projections named fold; all read models of a history are rebuilt together.
    Requests are answered meanwhile: readers see complete rows, the old ones or the new ones, and whoever writes to an
    environment waits for the last moment of its rebuild only. Interrupted, what is not rebuilt yet is as it was.
    Exit status 1 when something was set aside or could not be rebuilt.
    """
    with open_ledger() as ledger, _alone(ledger) as seat:
        upgrade_schema(ledger.store.database, list(installed().values()))  # tables that are gone are made again
        streams = _chosen(ledger, names, environment)
        jobs = jobs or usual_jobs(ledger.store.database, sum(streams.values()))
        summary = fold_again(seat, streams, jobs)
    if as_json:
        print_json(asdict(summary) | {"events_a_second": summary.events_a_second})
    else:
        _print(summary)
    ctx.exit(1 if summary.set_aside or summary.left else 0)


@contextmanager
def _alone(ledger: Ledger) -> Iterator[Seat]:
    try:
        with alone(ledger.store.database, wait=False) as seat:
            yield seat
    except RebuildRunning:
        raise click.ClickException("Another rebuild of this ledger is under way.") from None


def _chosen(ledger: Ledger, names: tuple[str, ...], environment: str | None) -> dict[str, int]:
    """The streams to rebuild, with their versions."""
    unknown = [name for name in names if name not in installed()]
    if unknown:
        raise click.BadParameter(
            f"there is no projection {', '.join(unknown)}; there are {', '.join(installed())}.", param_hint="NAME"
        )
    streams = streams_of(ledger.store, names)
    if environment is None:
        return streams
    project_name, slash, environment_name = environment.partition("/")
    if not (project_name and slash and environment_name):
        raise click.BadParameter("an environment is given as PROJECT/ENVIRONMENT.", param_hint="--environment")
    stream = environment_stream(project_name, environment_name)
    if stream not in streams_of(ledger.store, ()):
        raise EnvironmentNotFound()
    if stream not in streams:
        raise click.BadParameter("none of these folds an environment's history.", param_hint="NAME")
    return {stream: streams[stream]}


def usual_jobs(database: Database, events: int) -> int:
    """How many processes fold so many events best."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not database.is_postgresql:
        processors = min(processors, SQLITE_JOBS)
    return max(1, min(processors, events // EVENTS_A_PROCESS))


def fold_again(seat: Seat, streams: dict[str, int], jobs: int) -> Summary:
    """Rebuild these streams (with their versions), and show how far it is; on Ctrl-C the rest stays as it was."""
    summary, began = Summary(), time.perf_counter()
    try:
        with _progress(sum(streams.values())) as advanced:
            for rebuilt in rebuild_streams(seat, list(streams), jobs, advanced):
                summary.add(rebuilt)
    except KeyboardInterrupt:
        done = f"{summary.streams} of {counted(len(streams), 'stream')}"
        raise click.ClickException(f"Interrupted: {done} rebuilt, the rest is as it was.") from None
    summary.seconds = time.perf_counter() - began
    return summary


class _Speed(ProgressColumn):
    """Events a second, once there are any."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} events/s")


@contextmanager
def _progress(total: int) -> Iterator[Advanced]:
    """What is told of events folded: a bar on a terminal, else a line now and then, both on standard error."""
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    columns = (
        TextColumn("Rebuilding"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task("events", total=total)
        yield lambda events: bar.advance(task, events)


def _lines(total: int) -> Advanced:
    began = said = time.monotonic()
    done = 0

    def advanced(events: int) -> None:
        nonlocal done, said
        done += events
        now = time.monotonic()
        if now - said > LINE_EVERY_S:
            said, speed = now, done / (now - began)
            left = max(0, total - done) / speed if speed else 0
            click.echo(f"{done:,} of {total:,} events, {speed:,.0f} events/s, {left:.0f} s left", err=True)

    return advanced


def print_left(summary: Summary) -> None:
    """What is not live after all, and why."""
    for fault in summary.set_aside:
        where = f"{shown(fault['stream'])} at version {fault['version']}"
        click.echo(f"{fault['projection']} is set aside for {where}: {shown(fault['error'])}")
    for left in summary.left:
        click.echo(f"{shown(left['stream'])} is left as it was: {shown(left['error'])}")


def _print(summary: Summary) -> None:
    print_left(summary)
    click.echo(
        f"Rebuilt {counted(summary.streams, 'stream')}: {summary.events:,} events, {summary.rows:,} rows in"
        f" {summary.seconds:.1f} s ({summary.events_a_second:,} events/s). Writers waited at most"
        f" {summary.waited_s * 1000:.0f} ms."
    )
