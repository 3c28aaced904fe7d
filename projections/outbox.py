"""The outbox: what the ledger wishes to be done in the world, and what came of it.

Wishes and recorded results only: folding it again wishes nothing anew. Who carries a wish out, and how often it was
tried, is in `outbox_leases`. A wish is keyed by what it is for, so the same wish is never there twice.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Text, text

from release_ledger.events import (
    BuildEvent,
    BuildReported,
    BuildRequested,
    BuildTriggered,
    BuildTriggerFailed,
    DeployedAfterBuild,
    DeploymentCancelAnswered,
    DeploymentCancelRequested,
    DeploymentRequested,
    DeploymentTriggerDropped,
    DeploymentTriggered,
    DeploymentTriggerFailed,
    Event,
    ReleaseCandidateChecked,
    ReleaseCandidateCut,
)
from release_ledger.projection import Projection, Rows, canonical, on, read_model

WANTED: Final = "wanted"
_IS_WANTED: Final = text("status = 'wanted'")


class Outbox(Projection):
    """What is still to be triggered, canceled, checked or deployed, and which run is whose?

    `kind`: `trigger` and `cancel` (of deployment `number`), `build`, `check` and `deploy` (of candidate `number`).
    `status`: `wanted`, `done`, `failed` (for good) or `dropped`. `subject` is the deployment's or the build's id.
    """

    name = "outbox"
    definition = "2"
    key = ("kind", "number")
    table = read_model(
        "outbox",
        Column("kind", Text),
        Column("number", BigInteger),
        Column("status", Text, nullable=False),
        Column("wanted_version", BigInteger, nullable=False),
        Column("wanted_at", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("release_candidate_version", Text, nullable=False),
        Column("release_version", Text),
        Column("commit", Text),
        Column("repo", Text),
        Column("workflow", Text),
        Column("target", Text),
        Column("attempts", BigInteger, nullable=False),
        Column("run_id", Text),
        Column("run_url", Text),
        Column("settled_at", Text),
        key=key,
        indexes=[
            Index("outbox_wanted", "stream", "wanted_version", postgresql_where=_IS_WANTED, sqlite_where=_IS_WANTED),
            Index("outbox_by_subject", "subject", "stream"),
            Index("outbox_by_run", "run_id", "stream"),
        ],
    )

    @on(DeploymentRequested)
    def deployment_requested(self, event: DeploymentRequested, rows: Rows) -> None:
        if event.workflow is not None:
            rows["trigger", event.number] = _wish("trigger", event.number, event.deployment_id, event) | {
                "release_version": event.release_version,
                "commit": event.commit,
                "repo": event.repo,
                "workflow": canonical(event.workflow).decode(),
                "target": event.kind,
            }

    @on(DeploymentTriggered)
    def deployment_triggered(self, event: DeploymentTriggered, rows: Rows) -> None:
        _started(rows, ("trigger", event.number), event, event.run_id, event.run_url)

    @on(DeploymentTriggerFailed)
    def deployment_trigger_failed(self, event: DeploymentTriggerFailed, rows: Rows) -> None:
        _settle(rows, ("trigger", event.number), event, "failed" if event.final else WANTED, attempts=event.attempt)

    @on(DeploymentTriggerDropped)
    def deployment_trigger_dropped(self, event: DeploymentTriggerDropped, rows: Rows) -> None:
        _settle(rows, ("trigger", event.number), event, "dropped")

    @on(DeploymentCancelRequested)
    def cancel_requested(self, event: DeploymentCancelRequested, rows: Rows) -> None:
        started = rows.get(("trigger", event.number))  # its run is where it was started, whatever the project says now
        its = {name: started[name] for name in ("repo", "workflow")} if started is not None else {"repo": event.repo}
        wish = _wish("cancel", event.number, event.deployment_id, event)
        rows["cancel", event.number] = wish | its | {"run_id": event.run_id}

    @on(DeploymentCancelAnswered)
    def cancel_answered(self, event: DeploymentCancelAnswered, rows: Rows) -> None:
        status = "done" if event.answer != "failed" else "failed" if event.final else WANTED
        _settle(rows, ("cancel", event.number), event, status, attempts=event.attempt)

    @on(ReleaseCandidateCut)
    def cut(self, event: ReleaseCandidateCut, rows: Rows) -> None:
        if not event.checked:
            wish = _wish("check", event.number, event.release_candidate_version, event)
            rows["check", event.number] = wish | {"commit": event.commit, "repo": event.repo}

    @on(ReleaseCandidateChecked)
    def checked(self, event: ReleaseCandidateChecked, rows: Rows) -> None:
        _settle(rows, ("check", event.number), event, "done")

    @on(BuildRequested)
    def build_requested(self, event: BuildRequested, rows: Rows) -> None:
        wish = _wish("build", event.number, event.build_id, event)
        rows["build", event.number] = wish | {
            "status": WANTED if event.workflow is not None else "done",
            "release_version": event.release_version,
            "commit": event.commit,
            "repo": event.repo,
            "workflow": canonical(event.workflow).decode() if event.workflow is not None else None,
        }

    @on(BuildTriggered)
    def build_triggered(self, event: BuildTriggered, rows: Rows) -> None:
        if _is_of(rows, event):
            _started(rows, ("build", event.number), event, event.run_id, event.run_url)

    @on(BuildTriggerFailed)
    def build_trigger_failed(self, event: BuildTriggerFailed, rows: Rows) -> None:
        if _is_of(rows, event):
            _settle(rows, ("build", event.number), event, "failed" if event.final else WANTED, attempts=event.attempt)

    @on(BuildReported)
    def build_reported(self, event: BuildReported, rows: Rows) -> None:
        built = rows.get(("build", event.number))
        if built is not None and built["status"] == WANTED and event.outcome != "pending":
            _settle(rows, ("build", event.number), event, "dropped")
        if event.deploy_to is not None:
            wish = _wish("deploy", event.number, event.build_id, event)
            rows["deploy", event.number] = wish | {"target": event.deploy_to}

    @on(DeployedAfterBuild)
    def deployed(self, event: DeployedAfterBuild, rows: Rows) -> None:
        status = "done" if event.deployment_id is not None else "failed"
        _settle(rows, ("deploy", event.number), event, status)


def _wish(kind: str, number: int, subject: str, event: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("release_version", "commit", "repo", "workflow", "target", "run_id", "run_url"))
    return nothing | {
        "kind": kind,
        "number": number,
        "status": WANTED,
        "wanted_version": event.originator_version,
        "wanted_at": event.recorded_at,
        "subject": subject,
        "release_candidate_version": event.release_candidate_version,
        "attempts": 0,
        "settled_at": None,
    }


def _started(rows: Rows, key: tuple[str, int], event: Event, run_id: str | None, run_url: str | None) -> None:
    known = rows.get(key)
    if known is not None:
        run = {"run_id": run_id or known["run_id"], "run_url": run_url or known["run_url"]}
        _settle(rows, key, event, "done", **run)


def _settle(rows: Rows, key: tuple[str, int], event: Event, status: str, **more: Any) -> None:
    known = rows.get(key)
    if known is not None:
        settled = event.recorded_at if status != WANTED else None
        rows[key] = {**known, **more, "status": status, "settled_at": settled}


def _is_of(rows: Rows, event: BuildEvent) -> bool:
    """Whether the event is of the candidate's newest build, and not of one that another was asked for after."""
    known = rows.get(("build", event.number))
    return known is not None and known["subject"] == event.build_id
