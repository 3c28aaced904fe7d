"""`release-ledger audit …`: what auditors need. Each command is a module of its own, and a line here."""

from __future__ import annotations

import click

from .audit_checkpoint import checkpoint
from .audit_export import export
from .audit_people import forget
from .audit_report import report
from .audit_verify import verify


@click.group()
def audit() -> None:
    """Prove that the history is as it was recorded, and take it home."""


audit.add_command(verify)
audit.add_command(checkpoint)
audit.add_command(export)
audit.add_command(report)
audit.add_command(forget)
