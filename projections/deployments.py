"""Deployments: every attempt to run a candidate in an environment, and what came of it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Text, text

from release_ledger.deployment import Deployment, Report, canceling, ended, triggered, with_report
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
from release_ledger.projection import Projection, Rows, canonical, on, read_model

EVENTS_NAMED: Final = 1_000


class Deployments(Projection):
    """What was deployed here, newest first, and what came of it?

    Numbered densely per environment, so that a page is a range. The columns are those of `deployment.Deployment`. Each
    names its own events, so that a deployment as it was at any version costs its own events, not the stream's
    (`docs/decisions/0013-as-of.md`).
    """

    name = "deployments"
    definition = "2"
    key = ("number",)
    table = read_model(
        "deployments",
        Column("number", BigInteger),
        Column("id", Text, nullable=False),
        Column("release_candidate_version", Text, nullable=False),
        Column("release_version", Text, nullable=False),
        Column("commit", Text, nullable=False),
        Column("candidate_cut_at", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("finished", SmallInteger, nullable=False),
        Column("ended_by", Text),
        Column("from_release_candidate_version", Text),
        Column("deploy_start_at", Text),
        Column("deploy_end_at", Text),
        Column("reported_at", Text),
        Column("reported_status", Text),
        Column("last_report", Text),
        Column("error_message", Text),
        Column("error_key", Text),
        Column("external_url", Text),
        Column("external_url_key", Text),
        Column("reason", Text),
        Column("leaves", Text),
        Column("recorded_by", Text, nullable=False),
        Column("person_id", Text),
        Column("requested_at", Text, nullable=False),
        Column("run_id", Text),
        Column("heard_at", Text),
        Column("event_count", BigInteger, nullable=False),
        Column("event_versions", Text, nullable=False),
        Column("status_version", BigInteger, nullable=False),
        Column("corrected", SmallInteger, nullable=False),
        key=key,
        indexes=[
            Index("deployments_by_id", "stream", "generation", "id"),
            Index("deployments_by_status", "stream", "generation", "status", "number"),
            Index("deployments_by_version", "stream", "generation", "release_candidate_version", "number"),
            Index(
                "deployments_unfinished",
                "stream",
                "generation",
                "release_candidate_version",
                "number",
                postgresql_where=text("finished = 0"),
                sqlite_where=text("finished = 0"),
            ),
            Index(
                "deployments_corrected",
                "stream",
                "generation",
                "status_version",
                "number",
                postgresql_where=text("corrected = 1"),
                sqlite_where=text("corrected = 1"),
            ),
        ],
    )

    @on(DeploymentRequested)
    def requested(self, event: DeploymentRequested, rows: Rows) -> None:
        made: Deployment = {
            "number": event.number,
            "id": event.deployment_id,
            "release_candidate_version": event.release_candidate_version,
            "release_version": event.release_version,
            "commit": event.commit,
            "candidate_cut_at": event.candidate_cut_at,
            "kind": event.kind,
            "status": "pending",
            "finished": 0,
            "ended_by": None,
            "from_release_candidate_version": event.from_release_candidate_version,
            "deploy_start_at": None,
            "deploy_end_at": None,
            "reported_at": None,
            "reported_status": None,
            "last_report": None,
            "error_message": None,
            "error_key": None,
            "external_url": None,
            "external_url_key": None,
            "reason": event.reason,
            "leaves": canonical(event.leaves).decode() if event.leaves is not None else None,
            "recorded_by": event.recorded_by,
            "person_id": event.person_id,
            "requested_at": event.recorded_at,
            "run_id": None,
            "heard_at": None,
            "event_count": 1,
            "event_versions": str(event.originator_version),
            "status_version": event.originator_version,
            "corrected": 0,
        }
        rows[event.number] = made

    @on(DeploymentReported)
    def reported(self, event: DeploymentReported, rows: Rows) -> None:
        report: Report = {
            "status": event.status,
            "at": event.happened_at,
            "timed": event.occurred_at is not None,
            "error_message": event.error_message,
            "external_url": event.external_url,
        }
        before: Deployment = rows[event.number]
        after = with_report(before, report)
        after["heard_at"] = event.recorded_at
        _put(rows, event, before, after)

    @on(DeploymentCanceled)
    def canceled(self, event: DeploymentCanceled, rows: Rows) -> None:
        before: Deployment = rows[event.number]
        after = ended(before, "canceled", "rollback", event.recorded_at, event.error_message)
        _put(rows, event, before, after)

    @on(DeploymentCancelRequested)
    def cancel_requested(self, event: DeploymentCancelRequested, rows: Rows) -> None:
        before: Deployment = rows[event.number]
        _put(rows, event, before, canceling(before))

    @on(DeploymentTriggered)
    def triggered(self, event: DeploymentTriggered, rows: Rows) -> None:
        before: Deployment = rows[event.number]
        _put(rows, event, before, triggered(before, event.run_id, event.run_url))

    @on(DeploymentGivenUp)
    def given_up(self, event: DeploymentGivenUp, rows: Rows) -> None:
        before: Deployment = rows[event.number]
        _put(rows, event, before, ended(before, "error", "ledger", event.recorded_at, event.error_message))

    @on(DeploymentTriggerFailed, DeploymentTriggerDropped, DeploymentCancelAnswered)
    def happened(self, event: DeploymentEvent, rows: Rows) -> None:
        before: Deployment = rows[event.number]
        _put(rows, event, before, before.copy())


def _put(rows: Rows, event: DeploymentEvent, before: Deployment, after: Deployment) -> None:
    """Put a deployment as it is after the event, which is one of its own."""
    version = event.originator_version
    after["event_count"] += 1
    named = f"{before['event_versions']} {version}"
    after["event_versions"] = named if after["event_count"] <= EVENTS_NAMED else named.partition(" ")[2]
    if after["status"] != before["status"]:
        after["status_version"], after["corrected"] = version, before["corrected"] or before["finished"]
    rows[event.number] = after
