"""Deployments per day: a read model that comes in a distribution of its own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Text

from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, on, read_model


class DeploymentsPerDay(Projection):
    """How often was deployed here, day by day, and how often rolled back?

    A day is one of UTC, by the ledger's own clock: what CI says of the time may be wrong, and is no key.
    """

    name = "deployments_per_day"
    key = ("day",)
    table = read_model(
        "deployments_per_day",
        Column("day", Text),
        Column("deployments", BigInteger, nullable=False),
        Column("rollbacks", BigInteger, nullable=False),
        key=key,
    )

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        day = event.recorded_at[:10]
        row = rows.get(day) or {"day": day, "deployments": 0, "rollbacks": 0}
        count = "rollbacks" if event.kind == "rollback" else "deployments"
        rows[day] = {**row, count: row[count] + 1}
