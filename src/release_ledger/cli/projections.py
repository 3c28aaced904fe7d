"""`release-ledger projections …`: whether the read models say what the history says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..projection.condition import not_live
from ..projection.status import Status, statuses
from .opening import open_ledger
from .output import SHOWN, as_json, counted, moment, print_json, print_table, shown
from .rebuild import rebuild
from .stale import say_what_is_left_out
from .verify import verify


@click.group()
def projections() -> None:
    """See, verify and rebuild the read models."""


projections.add_command(rebuild)


@projections.command()
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say of each projection whether its live rows can be trusted, and what to do where they cannot.

    Exit status 1 when an installed one is not live, or cannot be used. Questions are answered by folding the history
    then: slower, never wrong.
    """
    is_any_left_out = say_what_is_left_out()
    with open_ledger() as ledger:
        found = statuses(ledger.store)
    if as_json:
        print_json([_as_json(each) for each in found])
    else:
        _print_statuses(found)
    ctx.exit(1 if is_any_left_out or not_live(each.condition for each in found) else 0)


projections.add_command(verify)


def _as_json(status: Status) -> dict[str, Any]:
    condition = status.condition
    return {
        "name": condition.name,
        "state": condition.state,
        "installed": condition.installed,
        "registered": condition.registered,
        "rows": status.rows,
        "streams": condition.streams,
        "stale": condition.stale,
        "set_aside": [asdict(each) for each in status.set_aside],
        "advice": condition.advice,
    }


def _print_statuses(found: list[Status]) -> None:
    of_each = [(each.condition, each.rows) for each in found]
    print_table(
        ("NAME", "STATE", "INSTALLED", "REGISTERED", "ROWS", "STREAMS", "STALE"),
        [(c.name, c.state, c.installed, c.registered, rows, c.streams, c.stale) for c, rows in of_each],
    )
    for each in found:
        if each.condition.advice:
            click.echo(f"\n{each.condition.name} is {each.condition.state}: {each.condition.advice}.")
        for aside in each.set_aside[:SHOWN]:
            when = moment(aside.set_aside_at)
            click.echo(f"  {shown(aside.stream)} at version {aside.version}, {when}: {shown(aside.error)}")
        if len(each.set_aside) > SHOWN:
            click.echo(f"  and {counted(len(each.set_aside) - SHOWN, 'more stream')}")
