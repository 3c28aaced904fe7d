"""`release-ledger upgrade`."""

from __future__ import annotations

import click

from ..projection.alone import alone, is_running
from ..projection.upgrade import incomplete, upgrade_tables
from ..settings import Settings
from ..store import Store, open_store
from .output import counted
from .rebuild import fold_again, print_left, usual_jobs
from .stale import say_what_is_stale


@click.command()
@click.option("--no-rebuild", is_flag=True, help="Only the tables; what is stale then is folded by a later upgrade.")
def upgrade(no_rebuild: bool) -> None:
    """Create or migrate the tables.

    Safe to run twice, and from many hosts at the same moment: they take turns. Where a read model has changed, its
    histories are folded again while servers go on: until then they answer by folding, slower and never wrong. Run it
    before a new release serves, and once more when the last server of the old one is gone.
    """
    store = open_store(Settings.from_environment().database_url)
    try:
        upgrade_tables(store)
        click.echo("The tables are up to date.")
        if no_rebuild:
            say_what_is_stale(store)
        else:
            _fold_what_is_stale(store)
    finally:
        store.close()


def _fold_what_is_stale(store: Store) -> None:
    if not incomplete(store):
        return
    if is_running(store):
        click.echo("Waiting for the rebuild that is under way…", err=True)
    with alone(store.database, wait=True) as seat:
        streams = incomplete(seat)
        summary = fold_again(seat, streams, usual_jobs(store.database, sum(streams.values())))
    print_left(summary)
    whole = summary.streams - len({fault["stream"] for fault in summary.set_aside})
    if whole:
        click.echo(f"Folded again: {counted(whole, 'stream')}.")
