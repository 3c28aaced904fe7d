"""`release-ledger upgrade`."""

from __future__ import annotations

import click

from ..projection.alone import Seat
from ..projection.upgrade import fold_incomplete, upgrade_tables
from ..settings import Settings
from ..store import Store, open_store
from .output import counted, say
from .rebuild import Summary, fold_again, print_left, usual_jobs
from .stale import say_what_is_left_out, say_what_is_stale


@click.command()
@click.option("--no-rebuild", is_flag=True, help="Only the tables; what is stale then is folded by a later upgrade.")
@click.pass_context
def upgrade(ctx: click.Context, no_rebuild: bool) -> None:
    """Create or migrate the tables.

    Safe to run twice, and from many hosts at the same moment: they take turns. Where a read model has changed, its
    histories are folded again while servers go on: until then they answer by folding, slower and never wrong. Run it
    before a new release serves, and once more when the last server of the old one is gone. Exit status 1 when something
    was set aside or could not be folded.
    """
    say_what_is_left_out()
    store = open_store(Settings.from_environment().database_url)
    try:
        upgrade_tables(store, say)
        click.echo("The tables are up to date.")
        if no_rebuild:
            say_what_is_stale(store)
        else:
            ctx.exit(_fold_what_is_stale(store))
    finally:
        store.close()


def _fold_what_is_stale(store: Store) -> int:
    """The exit status."""

    def refold(seat: Seat, streams: dict[str, int]) -> Summary:
        return fold_again(seat, streams, usual_jobs(store.database, sum(streams.values())))

    summary = fold_incomplete(store, refold, say)
    if summary is None:
        return 0
    print_left(summary)
    whole = summary.streams - len({fault["stream"] for fault in summary.set_aside})
    if whole:
        click.echo(f"Folded again: {counted(whole, 'stream')}.")
    return summary.exit_status
