"""Deployment events: at which versions of an environment's stream something happened to which deployment.

So one deployment as it was at any version costs its own events, and so does a list of those that had a status then.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Text

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
    """What happened to one deployment, in order? The events themselves are read from the history.

    `status` is what the event says that the deployment's status is from then on; null where it says nothing of it.
    """

    name = "deployment_events"
    definition = "2"
    key = ("number", "version")
    table = read_model(
        "deployment_events",
        Column("number", BigInteger),
        Column("version", BigInteger),
        Column("status", Text),
        key=key,
        indexes=[Index("deployment_events_by_status", "stream", "generation", "status", "number", "version")],
    )

    @on(DeploymentTriggered, DeploymentTriggerFailed, DeploymentTriggerDropped, DeploymentCancelAnswered)
    def happened(self, event: DeploymentEvent, rows: Rows) -> None:
        _note(rows, event, None)

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        _note(rows, event, "pending")

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        _note(rows, event, event.outcome)

    @on(DeploymentCancelRequested)
    def cancel_requested(self, event: DeploymentCancelRequested, rows: Rows) -> None:
        _note(rows, event, "canceling")

    @on(DeploymentCanceled)
    def canceled(self, event: DeploymentCanceled, rows: Rows) -> None:
        _note(rows, event, "canceled")

    @on(DeploymentGivenUp)
    def given_up(self, event: DeploymentGivenUp, rows: Rows) -> None:
        _note(rows, event, "error")


def _note(rows: Rows, event: DeploymentEvent, status: str | None) -> None:
    rows[event.number, event.originator_version] = {
        "number": event.number,
        "version": event.originator_version,
        "status": status,
    }
