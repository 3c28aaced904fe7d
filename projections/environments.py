"""Environments: the bounded state that the rules decide on, kept as a read model like any other.

So it is rebuilt, verified and versioned with the rest: a wrong `apply` does not survive a rebuild. Every so many
versions the state is kept as it was then, so that folding can go on from there: what was at any version costs the
same in the longest history (`docs/decisions/0013-as-of.md`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Column, Text

from release_ledger.environment import Environment, apply
from release_ledger.events import (
    DeploymentCancelAnswered,
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentGivenUp,
    DeploymentReported,
    DeploymentRequested,
    DeploymentTriggerDropped,
    DeploymentTriggered,
    DeploymentTriggerFailed,
    EnvironmentConfigured,
    EnvironmentEvent,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
)
from release_ledger.projection import Projection, Rows, RowValues, on, read_model

NOW: Final = 0
SNAPSHOT_EVERY = 200  # versions; another number is another definition


class Environments(Projection):
    """What is an environment now: its settings, its freeze, what runs there and what is under way?

    `slot` is `NOW` for the state as it is, and else the version that it was the state at.
    """

    name = "environments"
    definition = "3"
    key = ("slot",)
    table = read_model(
        "environments",
        Column("slot", BigInteger),
        Column("project_name", Text, nullable=False),
        Column("environment_name", Text, nullable=False),
        Column("deployments", BigInteger, nullable=False),
        Column("latest_number", BigInteger),
        Column("running_number", BigInteger),
        Column("state", Text, nullable=False),
        key=key,
    )

    @on(
        EnvironmentConfigured,
        EnvironmentWasFrozen,
        EnvironmentWasUnfrozen,
        DeploymentRequested,
        DeploymentReported,
        DeploymentTriggered,
        DeploymentTriggerFailed,
        DeploymentTriggerDropped,
        DeploymentCancelRequested,
        DeploymentCancelAnswered,
        DeploymentCanceled,
        DeploymentGivenUp,
    )
    def changed(self, event: EnvironmentEvent, rows: Rows) -> None:
        known: Environment | None = rows.get(NOW)
        state = apply(known, event)
        if state is not known:
            rows[NOW] = state
        if event.originator_version % SNAPSHOT_EVERY == 0:
            rows[event.originator_version] = state

    def load(self, row: RowValues) -> Environment:
        return msgspec.json.decode(row["state"], type=Environment)

    def dump(self, row: Environment) -> dict[str, Any]:
        return {
            "project_name": row.project_name,
            "environment_name": row.environment_name,
            "deployments": row.deployments,
            "latest_number": row.latest.number if row.latest else None,
            "running_number": row.running.number if row.running else None,
            "state": msgspec.json.encode(row, order="deterministic").decode(),
        }
