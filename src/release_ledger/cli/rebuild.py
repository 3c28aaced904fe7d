"""`release-ledger projections rebuild`: every read model from the history, while the ledger runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import click

from ..errors import EnvironmentNotFound, LedgerUnavailable
from ..ledger import Ledger
from ..projection import environment_stream
from ..projection.alone import RebuildRunning, Seat, alone
from ..projection.crew import collecting_seldom, rebuild_streams, streams_of
from ..projection.rebuild import Rebuilt
from ..projection.strays import remove_strays
from ..projection.upgrade import forget_strange_faults, make_lost_tables
from ..store.database import Database
from .names import check_names
from .opening import open_ledger
from .output import as_json, counted, print_json, say, shown
from .progress import progress
from .refusals import DATABASE_ERRORS, sentence

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
    def exit_status(self) -> int:
        return 1 if self.set_aside or self.left else 0

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
    check_names(names)
    with open_ledger() as ledger, _alone(ledger) as seat:
        make_lost_tables(seat, say)
        remove_strays(seat)
        forget_strange_faults(ledger.store)
        streams = _chosen(ledger, names, environment)
        jobs = jobs or usual_jobs(ledger.store.database, sum(streams.values()))
        summary = fold_again(seat, streams, jobs)
    if as_json:
        print_json(asdict(summary) | {"events_a_second": summary.events_a_second})
    else:
        _print(summary)
    ctx.exit(summary.exit_status)


@contextmanager
def _alone(ledger: Ledger) -> Iterator[Seat]:
    try:
        with alone(ledger.store.database, wait=False) as seat:
            yield seat
    except RebuildRunning:
        raise click.ClickException("Another rebuild of this ledger is under way.") from None


def _chosen(ledger: Ledger, names: tuple[str, ...], environment: str | None) -> dict[str, int]:
    """The streams to rebuild, with their versions."""
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
    """Rebuild these streams (with their versions), and show how far it is; stopped, the rest is as it was."""
    summary, began = Summary(), time.perf_counter()
    try:
        with collecting_seldom(), progress("Rebuilding", sum(streams.values()), "events") as advanced:
            for rebuilt in rebuild_streams(seat, streams, jobs, advanced):
                summary.add(rebuilt)
    except (KeyboardInterrupt, LedgerUnavailable, *DATABASE_ERRORS) as error:
        why = "Interrupted" if isinstance(error, KeyboardInterrupt) else sentence(error).rstrip(".")
        done = f"{summary.streams} of {counted(len(streams), 'stream')}"
        raise click.ClickException(f"{why}: {done} rebuilt, the rest is as it was.") from None
    summary.seconds = time.perf_counter() - began
    return summary


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
