"""Deployment events: at which versions of an environment's stream something happened to which deployment."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column

from release_ledger.events import (
    DeploymentCancelAnswered,
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentEvent,
    DeploymentGivenUp,
    DeploymentReported,
    DeploymentRequested,
    DeploymentTriggerDropped,
    DeploymentTriggered,
    DeploymentTriggerFailed,
)
from release_ledger.projection import Projection, Rows, on, read_model


class DeploymentEvents(Projection):
    """What happened to one deployment, in order? The events themselves are read from the history."""

    name = "deployment_events"
    key = ("number", "version")
    table = read_model("deployment_events", Column("number", BigInteger), Column("version", BigInteger), key=key)

    @on(
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
    def happened(self, event: DeploymentEvent, rows: Rows) -> None:
        rows[event.number, event.originator_version] = {
            "number": event.number,
            "version": event.originator_version,
        }
