"""The command line: `release-ledger`, and `python -m release_ledger` (contract, section 5)."""

from __future__ import annotations

import click

from .refusals import Commands

MODULES = {
    "serve": "serve",
    "upgrade": "upgrade",
    "worker": "worker",
    "token": "tokens",
    "project": "projects",
    "environment": "environments",
    "history": "history",
    "projections": "projections",
    "audit": "audit",
    "backup": "backup",
}


@click.group(
    cls=Commands,
    modules=MODULES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="release-ledger", message="release-ledger %(version)s")
def main() -> None:
    """Keep a ledger of releases: what ran where, when, who did it and why.

    The ledger is in the database that RELEASE_LEDGER_DATABASE_URL names, else in the file release-ledger.db of the
    working directory. Exit status: 0 fine, 1 refused or something found, 2 wrong usage.
    """


__all__ = ["main"]
