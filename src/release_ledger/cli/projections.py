"""`release-ledger projections …`: whether the read models say what the history says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import track

from ..projection import Difference, installed, verify
from ..projection.status import Status, statuses
from ..store import Store
from ..store.store import stream_names
from .opening import open_ledger
from .output import as_json, counted, moment, print_json, print_table, shown

SHOWN: Final = 20


@click.group()
def projections() -> None:
    """See and verify the read models."""


@projections.command()
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say of each projection whether its live rows can be trusted, and what to do where they cannot.

    Exit status 1 when one is not live. Questions are answered by folding the history then: slower, never wrong.
    """
    with open_ledger() as ledger:
        found = statuses(ledger.store)
    if as_json:
        print_json([asdict(each) | {"state": each.state, "advice": each.advice} for each in found])
    else:
        _print_statuses(found)
    ctx.exit(0 if all(each.state == "live" for each in found) else 1)


@projections.command("verify")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@as_json
@click.pass_context
def verify_projections(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Fold the history again and compare it with the live rows, of all projections or of those named.

    Names the first 20 differences: project, environment, projection, key, column, the live value and the folded one.
    Exit status 1 when there is one. Writes may go on meanwhile.
    """
    unknown = [name for name in names if name not in installed()]
    if unknown:
        raise click.BadParameter(
            f"there is no projection {', '.join(unknown)}; there are {', '.join(installed())}.", param_hint="NAME"
        )
    with open_ledger() as ledger:
        streams, count, first = _verified(ledger.store, names)
    if as_json:
        print_json({"streams": streams, "differences": count, "first": [_described(each) for each in first]})
    else:
        _print_differences(streams, count, first, len(names or installed()))
    ctx.exit(1 if count else 0)


def _verified(store: Store, names: Sequence[str]) -> tuple[int, int, list[Difference]]:
    """How many streams were compared, how many differences there are, and the first of them."""
    first: list[Difference] = []
    streams = count = 0
    for _, differences in _with_progress(store, verify(store, names or None)):
        streams += 1
        count += len(differences)
        first.extend(islice(differences, SHOWN - len(first)))
    return streams, count, first


def _with_progress(
    store: Store, verified: Iterator[tuple[str, list[Difference]]]
) -> Iterator[tuple[str, list[Difference]]]:
    """The same, with a bar on standard error while that is a terminal."""
    if not sys.stderr.isatty():
        yield from verified
        return
    total = len(stream_names(store, ""))
    yield from track(verified, "Verifying", total=total, console=Console(stderr=True), transient=True)


def _described(difference: Difference) -> dict[str, Any]:
    project, environment = _place(difference.stream)
    return {"project": project, "environment": environment, **asdict(difference)}


def _place(stream: str) -> tuple[str | None, str | None]:
    """Project and environment of a stream, where it is of one."""
    _, *names = stream.split("/", 2)
    project, environment = (*names, None, None)[:2]
    return project, environment


def _print_statuses(found: list[Status]) -> None:
    print_table(
        ("NAME", "STATE", "INSTALLED", "REGISTERED", "ROWS", "STREAMS", "STALE"),
        [(s.name, s.state, s.installed, s.registered, s.rows, s.streams, s.stale) for s in found],
    )
    for each in found:
        if each.advice:
            click.echo(f"\n{each.name} is {each.state}: {each.advice}.")
        for aside in each.set_aside[:SHOWN]:
            when = moment(aside.set_aside_at)
            click.echo(f"  {shown(aside.stream)} at version {aside.version}, {when}: {shown(aside.error)}")
        if len(each.set_aside) > SHOWN:
            click.echo(f"  and {counted(len(each.set_aside) - SHOWN, 'more stream')}")


def _print_differences(streams: int, count: int, first: list[Difference], projections: int) -> None:
    if first:
        rows = []
        for each in first:
            project, environment = _place(each.stream)
            rows.append((project, environment, each.projection, each.key, each.column, each.live, each.folded))
        print_table(("PROJECT", "ENVIRONMENT", "PROJECTION", "KEY", "COLUMN", "LIVE", "FOLDED"), rows)
        if count > len(first):
            click.echo(f"and {count - len(first)} more")
        click.echo()
    where = f"{counted(streams, 'stream')}, {counted(projections, 'projection')}"
    click.echo(f"{counted(count, 'difference') if count else 'No differences'} in {where}")
