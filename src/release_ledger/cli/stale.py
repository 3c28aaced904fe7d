"""Saying which projections are not live, or left out, where somebody starts to rely on them."""

from __future__ import annotations

import click

from ..projection.condition import conditions, not_live
from ..projection.installed import left_out
from ..store import Store
from .output import counted, say, shown


def say_what_is_left_out() -> bool:
    """Name, on standard error, what is installed and cannot be used; whether there is such a thing."""
    for entry, reason in left_out():
        say(f"The projection {shown(entry)} is left out: {shown(reason)}.")
    return bool(left_out())


def say_what_is_stale(store: Store) -> None:
    """Name the projections whose questions are answered by folding, and what makes them live; nothing where all are."""
    stale = not_live(conditions(store))
    if not stale:
        return
    for each in stale:
        where = f" for {counted(each.stale, 'stream')}" if each.stale else ""
        click.echo(f"Read model {each.name} is {each.state}{where}.")
    click.echo("Questions about these are answered by folding the history: slower, never wrong.")
    click.echo("`release-ledger upgrade` folds what is stale while servers go on.")
