"""The decisions on an environment: from state, rows, a command and the time to the events to record, or a refusal.

Pure: no clock, no store, no Flask. `now` is the moment at which the events will be recorded; `history` is the
environment's deployments, newest first, read only as far as a rule needs. Guards first, the events last.
Sources: sections 2 and 3 of the HTTP contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .deployment import Deployment
from .environment import UNFINISHED_LIMIT, DeploymentRef, Environment, Settings
from .errors import EnvironmentFrozen, InvalidRequest, NoRollbackTarget, ReleaseCandidateNotReady, TooManyUnfinished
from .events import (
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentRequested,
    EnvironmentConfigured,
    EnvironmentEvent,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
    Kind,
    changed,
)
from .project import Deployable, Project
from .rollback import Choice, choose, choose_version

Events = tuple[EnvironmentEvent, ...]


@dataclass(frozen=True, kw_only=True)
class RequestDeployment:
    """Deploy a candidate. The id is made before the first try, so that a retried append is the same append."""

    deployment_id: str
    force: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Go back: by a strategy (None: the environment's own), or `to` a version."""

    deployment_id: str
    force: bool = False
    reason: str | None = None
    strategy: str | None = None
    to: str | None = None


def configure(state: Environment | None, settings: Settings) -> Events:
    """The environment gets these settings; the same again records nothing."""
    if state is not None and state.settings == settings:
        return ()
    return (EnvironmentConfigured(**asdict(settings)),)


def freeze(state: Environment, reason: str, until: str | None, now: str) -> Events:
    """From now on commands are refused; the same freeze again records nothing."""
    if until is not None and until <= now:
        raise InvalidRequest(until="must be in the future")
    known = state.freeze_at(now)
    if known is not None and (known.reason, known.until) == (reason, until):
        return ()
    return (EnvironmentWasFrozen(reason=reason, until=until),)


def unfreeze(state: Environment) -> Events:
    """The freeze is lifted; without one nothing is recorded."""
    return (EnvironmentWasUnfrozen(),) if state.freeze is not None else ()


def request_deployment(
    state: Environment, project: Project, candidate: Deployable, command: RequestDeployment, now: str
) -> Events:
    """A candidate is to run here."""
    _refuse_if_frozen(state, command.force, now)
    if candidate["status"] != "ready":
        raise ReleaseCandidateNotReady(
            release_candidate_version=candidate["release_candidate_version"], status=candidate["status"]
        )
    if len(state.unfinished) >= UNFINISHED_LIMIT:
        raise TooManyUnfinished(limit=UNFINISHED_LIMIT)
    broke = state.freeze_at(now) is not None
    deployment = requested(state, candidate, command.deployment_id, "deploy", command.force, broke, command.reason)
    return (with_workflow(state, project, deployment),)


def choice(state: Environment, history: Iterable[Deployment], success: Deployment | None, command: RollBack) -> Choice:
    """What a rollback would choose; `success` is the newest success of the version asked for with `to`."""
    running = state.running.release_candidate_version if state.running else None
    if command.to is not None:
        return choose_version(success, history, running)
    return choose(history, command.strategy or state.settings.rollback_strategy, running)


def roll_back(
    state: Environment,
    project: Project,
    history: Iterable[Deployment],
    success: Deployment | None,
    command: RollBack,
    now: str,
) -> Events:
    """Cancel what is unfinished, then deploy the target. A refusal cancels and records nothing."""
    _refuse_if_frozen(state, command.force, now)
    chosen = choice(state, history, success, command)
    if chosen.target is None:
        raise NoRollbackTarget()
    unfinished = (ref for ref in state.unfinished if not ref.canceling)
    canceled = tuple(cancel(ref, project, command.deployment_id) for ref in unfinished)
    target = chosen.target
    candidate = Deployable(
        release_candidate_version=target["release_candidate_version"],
        release_version=target["release_version"],
        commit=target["commit"],
        status="ready",
        created_at=target["candidate_cut_at"],
    )
    broke = state.freeze_at(now) is not None
    deployment = requested(
        state, candidate, command.deployment_id, "rollback", command.force, broke, command.reason, chosen
    )
    return (*canceled, with_workflow(state, project, deployment))


def cancel(
    ref: DeploymentRef, project: Project, by_deployment_id: str | None = None, reason: str | None = None
) -> DeploymentCanceled | DeploymentCancelRequested:
    """End an unfinished deployment: at once where no run is known, else when the run says that it has ended."""
    common: dict[str, Any] = {
        "number": ref.number,
        "deployment_id": ref.id,
        "release_candidate_version": ref.release_candidate_version,
        "reason": reason,
    }
    if ref.run_id is None:
        return DeploymentCanceled(**common, by_deployment_id=by_deployment_id or "")
    return DeploymentCancelRequested(**common, run_id=ref.run_id, repo=project.repo, by_deployment_id=by_deployment_id)


def with_workflow(state: Environment, project: Project, deployment: DeploymentRequested) -> DeploymentRequested:
    """The deployment with the workflow that is to be started for it, where the environment has one."""
    workflow = state.settings.deploy_workflow
    return changed(deployment, workflow=workflow, repo=project.repo) if workflow is not None else deployment


def _refuse_if_frozen(state: Environment, force: bool, now: str) -> None:
    frozen = state.freeze_at(now)
    if frozen is not None and not force:
        raise EnvironmentFrozen(
            reason=frozen.reason,
            until=frozen.until,
            frozen_by=frozen.frozen_by,
            frozen_at=frozen.frozen_at,
            person_id=frozen.person_id,
        )


def requested(
    state: Environment,
    candidate: Deployable,
    deployment_id: str,
    kind: Kind,
    force: bool = False,
    broke_freeze: bool = False,
    reason: str | None = None,
    chosen: Choice | None = None,
) -> DeploymentRequested:
    return DeploymentRequested(
        number=state.deployments + 1,
        deployment_id=deployment_id,
        release_candidate_version=candidate["release_candidate_version"],
        release_version=candidate["release_version"],
        commit=candidate["commit"],
        candidate_cut_at=candidate["created_at"],
        kind=kind,
        from_release_candidate_version=state.running.release_candidate_version if state.running else None,
        from_commit=state.running.commit if state.running else None,
        force=force,
        broke_freeze=broke_freeze,
        reason=reason,
        strategy=chosen.strategy if chosen else None,
        explanation=chosen.explanation if chosen else None,
        leaves=list(chosen.leaves) if chosen else None,
    )
