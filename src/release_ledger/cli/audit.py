"""`release-ledger audit …`: what auditors need. Each command is a module of its own, and a line here."""

from __future__ import annotations

import click

from .refusals import Group

MODULES = {
    "verify": "audit_verify",
    "checkpoint": "audit_checkpoint",
    "export": "audit_export",
    "report": "audit_report",
    "forget": "audit_people",
}


@click.group(cls=Group, modules=MODULES)
def audit() -> None:
    """Prove that the history is as it was recorded, and take it home."""
