"""`release-ledger backup`."""

from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.engine import make_url

from ..settings import Settings
from ..store.backup import backup_sqlite
from .opening import open_ledger


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the ledger to FILE, as of one moment, while writes go on.

    To restore, stop the servers and put FILE in the place of the database. On PostgreSQL nothing is copied: the line
    to do it with is printed.
    """
    settings = Settings.from_environment()
    with open_ledger(settings):
        source = settings.sqlite_file
    if source is None:
        click.echo(f"pg_dump --format=custom --file={shlex.quote(str(file))} {shlex.quote(_plain_url(settings))}")
        return
    columns = (
        TextColumn("Copying"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} pages"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, transient=True, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("copy", total=None)
        try:
            backup_sqlite(source, file, lambda done, total: bar.update(task, completed=done, total=total))
        except FileExistsError:
            raise click.ClickException(f"{file} is there already; a backup overwrites nothing.") from None
        except (OSError, sqlite3.Error) as error:
            raise click.ClickException(f"Cannot copy to {file}: {error}") from None
    click.echo(f"Copied to {file}.")


def _plain_url(settings: Settings) -> str:
    """The database's URL as PostgreSQL's programs take it, without the password: they ask, or read ~/.pgpass."""
    return make_url(settings.database_url).set(drivername="postgresql", password=None).render_as_string()
