"""The command line: `release-ledger`, and `python -m release_ledger` (contract, section 5)."""

from __future__ import annotations

import click

from .audit import audit
from .backup import backup
from .environments import environment
from .history import history
from .projections import projections
from .projects import project
from .refusals import Commands
from .serve import serve
from .tokens import token
from .upgrade import upgrade
from .worker import worker


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="release-ledger", message="release-ledger %(version)s")
def main() -> None:
    """Keep a ledger of releases: what ran where, when, who did it and why.

    The ledger is in the database that RELEASE_LEDGER_DATABASE_URL names, else in the file release-ledger.db of the
    working directory. Exit status: 0 fine, 1 refused or something found, 2 wrong usage.
    """


for command in (serve, upgrade, worker, token, project, environment, history, projections, audit, backup):
    main.add_command(command)

__all__ = ["main"]
