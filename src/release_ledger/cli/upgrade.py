"""`release-ledger upgrade`."""

from __future__ import annotations

import click
from rich.console import Console

from ..projection.upgrade import upgrade as upgrade_database
from ..settings import Settings
from .output import counted


@click.command()
def upgrade() -> None:
    """Create or migrate the tables.

    Safe to run twice, and from many hosts at the same moment: they take turns. Where a read model has changed, its
    streams are folded again. Run it before a new release serves.
    """
    url = Settings.from_environment().database_url
    with Console(stderr=True).status("Upgrading…") as status:
        folded = upgrade_database(url, progress=lambda stream: status.update(f"Folding {stream} again…"))
    click.echo("The tables are up to date.")
    if folded:
        click.echo(f"Folded again: {counted(folded, 'stream')}.")
