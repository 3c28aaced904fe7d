"""`release-ledger audit export`: a history to take home, and to verify there."""

from __future__ import annotations

import sys

import click

from ..proof.export import exported
from .audit_verify import part_of
from .opening import open_ledger


@click.command()
@click.argument("project", required=False)
@click.argument("environment", required=False)
def export(project: str | None, environment: str | None) -> None:
    """Write the history as JSON Lines: all of it, a project's, or an environment's.

    With the exact bytes of every event, their digests and the newest checkpoint. `docs/verify.py`, one file that needs
    only Python, verifies it anywhere. Writes may go on meanwhile.
    """
    with open_ledger() as ledger:
        out = sys.stdout.buffer
        for line in exported(ledger.store.database, part_of(project, environment)):
            out.write(line)
        out.flush()
