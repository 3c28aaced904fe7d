"""What callers are answered: the contract's keys, from states and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..deployment import TERMINAL
from ..environment import Environment, Freeze
from ..events import (
    BuildReported,
    BuildRequested,
    DeploymentReported,
    DeploymentRequested,
    Event,
    ReleaseCandidateCut,
)
from ..project import Project, candidate_of
from ..rollback import Choice

Answer = dict[str, Any]
_DEPLOYMENT = (
    "id",
    "number",
    "kind",
    "status",
    "release_candidate_version",
    "release_version",
    "commit",
    "from_release_candidate_version",
    "deploy_start_at",
    "deploy_end_at",
    "error_message",
    "external_url",
    "reason",
    "recorded_by",
)
_CANDIDATE = (
    "release_candidate_version",
    "release_version",
    "commit",
    "repo",
    "status",
    "created_at",
    "build_id",
    "build_url",
    "error_message",
    "commit_check",
)


def deployment(row: Mapping[str, Any], environment_name: str, email: str | None) -> Answer:
    """A deployment (contract, section 2)."""
    answer = {name: row[name] for name in _DEPLOYMENT}
    answer["requested_at"] = row["requested_at"]
    answer["environment_name"] = environment_name
    came_from = row["from_release_candidate_version"]
    answer["from_release_version"] = came_from.rpartition("-rc")[0] if came_from else None
    answer["actor"] = email
    return answer


def deployment_in(events: Iterable[Event], known: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What the answer says of a deployment, from its events alone: its projection failed on them, and is set aside.

    What has been recorded must not be answered like a failure: it would be sent again, and counted twice.
    """
    row: dict[str, Any] = dict(known or {})
    for event in events:
        if isinstance(event, DeploymentRequested):
            row = {name: getattr(event, name, None) for name in _DEPLOYMENT}
            row |= {"id": event.deployment_id, "status": "pending", "requested_at": event.recorded_at}
        elif isinstance(event, DeploymentReported):
            row["status"] = event.outcome
            row["deploy_start_at"] = row["deploy_start_at"] or event.happened_at
            row["deploy_end_at"] = event.happened_at if event.outcome in TERMINAL else row["deploy_end_at"]
            row["error_message"] = event.error_message or row["error_message"]
            row["external_url"] = event.external_url or row["external_url"]
    return row


def candidate_in(events: Iterable[Event], known: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The same of a candidate."""
    row: dict[str, Any] = dict(known or {})
    for event in events:
        if isinstance(event, ReleaseCandidateCut):
            row = dict(candidate_of(event))
        elif isinstance(event, BuildRequested):
            row |= {"status": "pending", "build_id": event.build_id, "build_url": None, "error_message": None}
        elif isinstance(event, BuildReported):
            row |= {"status": event.outcome, "build_url": event.build_url or row["build_url"]}
    return row


def candidate(row: Mapping[str, Any], email: str | None) -> Answer:
    """A release candidate (contract, section 2)."""
    return {name: row[name] for name in _CANDIDATE} | {"actor": email}


def project(state: Project) -> Answer:
    """A project's settings (contract, section 4)."""
    return {
        "name": state.project_name,
        "repo": state.repo,
        "build_workflow": state.build_workflow,
        "deploy_after_build": state.deploy_after_build,
        "created_at": state.created_at,
    }


def environment(
    state: Environment,
    *,
    version: int,
    now: str,
    running: Answer | None,
    latest: Answer | None,
    frozen_by: str | None,
) -> Answer:
    """An environment's settings, and how it stands at `now`. `frozen_by`: the e-mail of who froze it, if known."""
    frozen = state.freeze_at(now)
    return asdict(state.settings) | {
        "name": state.environment_name,
        "project_name": state.project_name,
        "created_at": state.created_at,
        "running": running,
        "latest": latest,
        "frozen": frozen is not None,
        "freeze": freeze(frozen, frozen_by) if frozen else None,
        "unfinished": len(state.unfinished),
        "version": version,
    }


def period(row: Mapping[str, Any], release_version: str, email: str | None, *, corrected: bool) -> Answer:
    """A running period, by reported and by recorded time; `to` null: it lasts. `corrected`: it was no success."""
    return {
        "release_candidate_version": row["release_candidate_version"],
        "release_version": release_version,
        "commit": row["commit"],
        "deployment_id": row["deployment_id"],
        "from": row["reported_from"],
        "to": row["reported_to"],
        "recorded_from": row["recorded_from"],
        "recorded_to": row["recorded_to"],
        "corrected": corrected,
        "actor": email,
    }


def exposed(state: Environment, periods: list[Answer], *, running: bool, seconds: float) -> Answer:
    """An environment in which a commit has run, and for how many seconds."""
    return {
        "name": state.environment_name,
        "tier": state.settings.tier,
        "running": running,
        "total_seconds": round(seconds, 6),
        "periods": periods,
    }


def exposure(commit: str, environments: list[Answer]) -> Answer:
    """Where a commit has run, and for how many seconds in all."""
    return {
        "commit": commit,
        "running": any(each["running"] for each in environments),
        "total_seconds": round(sum((each["total_seconds"] for each in environments), 0.0), 6),
        "environments": environments,
    }


def freeze(state: Freeze, email: str | None) -> Answer:
    """A freeze; by the person's e-mail, or the token's name where there is none."""
    return {
        "reason": state.reason,
        "until": state.until,
        "frozen_by": email or state.frozen_by,
        "frozen_at": state.frozen_at,
    }


def rollback_preview(choice: Choice, state: Environment, now: str) -> Answer:
    """What a rollback would do now, and why (contract, section 3)."""
    target = choice.target
    return {
        "target": target["release_candidate_version"] if target else None,
        "strategy": choice.strategy,
        "explanation": choice.explanation,
        "would_cancel": [ref.id for ref in state.unfinished if not ref.canceling] if target else [],
        "frozen": state.freeze_at(now) is not None,
        "considered": [asdict(considered) for considered in choice.considered],
    }
