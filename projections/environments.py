"""Environments: the bounded state that the rules decide on, kept as a read model like any other.

So it is rebuilt, verified and versioned with the rest: a wrong `apply` does not survive a rebuild.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Text

from release_ledger.environment import Environment, apply
from release_ledger.events import (
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentGivenUp,
    DeploymentReported,
    DeploymentRequested,
    DeploymentTriggered,
    EnvironmentConfigured,
    EnvironmentEvent,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
)
from release_ledger.projection import Projection, Rows, RowValues, on, read_model


class Environments(Projection):
    """What is an environment now: its settings, its freeze, what runs there and what is under way?"""

    name = "environments"
    definition = "2"
    table = read_model(
        "environments",
        Column("project_name", Text, nullable=False),
        Column("environment_name", Text, nullable=False),
        Column("deployments", BigInteger, nullable=False),
        Column("latest_number", BigInteger),
        Column("running_number", BigInteger),
        Column("state", Text, nullable=False),
    )

    @on(
        EnvironmentConfigured,
        EnvironmentWasFrozen,
        EnvironmentWasUnfrozen,
        DeploymentRequested,
        DeploymentReported,
        DeploymentTriggered,
        DeploymentCancelRequested,
        DeploymentCanceled,
        DeploymentGivenUp,
    )
    def changed(self, event: EnvironmentEvent, rows: Rows) -> None:
        rows[()] = apply(rows.get(()), event)

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
