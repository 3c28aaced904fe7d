"""`release-ledger environment …`."""

from __future__ import annotations

from typing import Any

import click

from ..environment import TIERS, Settings
from ..errors import EnvironmentNotFound
from ..rollback import STRATEGIES
from .opening import caller, open_ledger
from .output import moment, shown
from .projects import became
from .refusals import Group
from .values import ENVIRONMENT, PROJECT, REASON, timestamp

ASKING = dict.fromkeys(("show", "deployments", "deployment", "rollback-preview", "running"), "past")


@click.group(cls=Group, modules=ASKING)
def environment() -> None:
    """Create environments, freeze and unfreeze them; ask how they stand, and stood."""


@environment.command()
@click.argument("project", type=PROJECT)
@click.argument("name", type=ENVIRONMENT)
@click.option("--tier", type=click.Choice(TIERS), help="What it is for; a new one is development.")
@click.option(
    "--rollback-strategy",
    type=click.Choice(STRATEGIES),
    help="Where a rollback goes: to the success before (previous, for a new one), or further back each time.",
)
def create(project: str, name: str, tier: str | None, rollback_strategy: str | None) -> None:
    """Create an environment of a project, or change the one of this name.

    The same again changes nothing; so does every setting whose option is not given.
    """
    asked: dict[str, Any] = {"tier": tier, "rollback_strategy": rollback_strategy}
    asked = {setting: value for setting, value in asked.items() if value is not None}
    with open_ledger() as ledger:
        known: dict[str, Any] = {}
        before = 0
        try:
            found, before = ledger.environment(project, name)
            known = {setting: found[setting] for setting in Settings.__dataclass_fields__}
        except EnvironmentNotFound:
            pass
        _, version, _ = ledger.configure_environment(project, name, Settings(**(known | asked)), by=caller())
    click.echo(f"Environment {name} of {project} {became(before, version)}.")


@environment.command()
@click.argument("project", type=PROJECT)
@click.argument("name", type=ENVIRONMENT)
@click.option("--reason", metavar="R", type=REASON, required=True, help="Why; whoever is refused reads it.")
@click.option(
    "--until", metavar="T", type=timestamp, help="When it ends by itself: an ISO 8601 timestamp with an offset."
)
def freeze(project: str, name: str, reason: str, until: str | None) -> None:
    """Freeze an environment: deployments and rollbacks are refused, unless forced.

    Reports of what happened are still recorded. Without --until it lasts until somebody lifts it.
    """
    with open_ledger() as ledger:
        ledger.freeze(project, name, reason=reason, until=until, by=caller())
    ends = f"until {moment(until)}" if until else "until it is unfrozen"
    click.echo(f"Environment {name} of {project} is frozen {ends}: {shown(reason)}")


@environment.command()
@click.argument("project", type=PROJECT)
@click.argument("name", type=ENVIRONMENT)
def unfreeze(project: str, name: str) -> None:
    """Lift the freeze of an environment; one that is not frozen stays as it is."""
    with open_ledger() as ledger:
        ledger.unfreeze(project, name, by=caller())
    click.echo(f"Environment {name} of {project} is not frozen.")
