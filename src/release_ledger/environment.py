"""What an environment is at a version of its stream: frozen, bounded, and folded by `apply`.

The state never grows with the history: settings, freeze, a counter, the newest and the running deployment, and the
unfinished ones (at most `UNFINISHED_LIMIT`). Questions about older deployments are answered by read-model rows.
Applying never fails: what was recorded has happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .deployment import TERMINAL, Deployment
from .events import (
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
    Json,
    changed,
)

TIERS: Final = ("production", "staging", "development")
UNFINISHED_LIMIT: Final = 100
STUCK_AFTER_S: Final = 3600


@dataclass(frozen=True, kw_only=True)
class DeploymentRef:
    """As much of a deployment as the rules need at hand; `run_id` while it is unfinished and its run is known."""

    number: int
    id: str
    release_candidate_version: str
    commit: str
    kind: str
    run_id: str | None = None
    canceling: bool = False

    @property
    def plain(self) -> Json:
        """What an event says of it, which names what runs."""
        return {
            "number": self.number,
            "id": self.id,
            "release_candidate_version": self.release_candidate_version,
            "commit": self.commit,
            "kind": self.kind,
        }


_NO_DEPLOYMENT: Final = DeploymentRef(number=0, id="", release_candidate_version="", commit="", kind="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """Who froze the environment, when, why, and until when (None: until somebody lifts it)."""

    reason: str
    until: str | None
    frozen_at: str
    frozen_by: str
    person_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """An environment's settings; the defaults are the contract's (section 4)."""

    tier: str = "development"
    deploy_workflow: Json | None = None
    rollback_strategy: str = "previous"
    stuck_after_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The state of one environment."""

    project_name: str = ""
    environment_name: str = ""
    settings: Settings = Settings()
    created_at: str = ""
    freeze: Freeze | None = None
    deployments: int = 0
    latest: DeploymentRef | None = None
    running: DeploymentRef | None = None
    unfinished: tuple[DeploymentRef, ...] = ()

    def freeze_at(self, now: str) -> Freeze | None:
        """The freeze in force at that moment; one past its `until` freezes nothing."""
        if self.freeze is None or (self.freeze.until is not None and self.freeze.until <= now):
            return None
        return self.freeze


def apply(state: Environment | None, event: EnvironmentEvent) -> Environment:
    """The state after this event."""
    state = state or Environment(
        project_name=event.project_name, environment_name=event.environment_name, created_at=event.recorded_at
    )
    match event:
        case DeploymentReported():
            return _reported(state, event)
        case DeploymentRequested():
            return _requested(state, event)
        case DeploymentCanceled() | DeploymentGivenUp():
            return changed(state, unfinished=_without(state, event.number))
        case DeploymentTriggered():
            return _with_unfinished(state, event.number, run_id=event.run_id)
        case DeploymentCancelRequested():
            return _with_unfinished(state, event.number, canceling=True)
        case EnvironmentConfigured():
            return changed(state, settings=_settings(event))
        case EnvironmentWasFrozen():
            return changed(state, freeze=_freeze(event))
        case EnvironmentWasUnfrozen():
            return changed(state, freeze=None)
    return state


def _settings(event: EnvironmentConfigured) -> Settings:
    return Settings(
        tier=event.tier,
        deploy_workflow=event.deploy_workflow,
        rollback_strategy=event.rollback_strategy,
        stuck_after_s=event.stuck_after_s,
    )


def _freeze(event: EnvironmentWasFrozen) -> Freeze:
    return Freeze(
        reason=event.reason,
        until=event.until,
        frozen_at=event.recorded_at,
        frozen_by=event.recorded_by,
        person_id=event.person_id,
    )


def _requested(state: Environment, event: DeploymentRequested) -> Environment:
    ref = _ref(event)
    return changed(state, deployments=event.number, latest=ref, unfinished=(*state.unfinished, ref))


def _reported(state: Environment, event: DeploymentReported) -> Environment:
    number, running, unfinished = event.number, state.running, state.unfinished
    is_known = number in [ref.number for ref in unfinished]
    if event.outcome in TERMINAL:
        if is_known:
            unfinished = _without(state, number)
    elif not is_known:
        resumed = changed(_ref(event), run_id=event.run_id)
        unfinished = tuple(sorted((*unfinished, resumed), key=lambda ref: ref.number))
    if event.outcome == "success":
        running = _ref(event) if running is None or number >= running.number else running
    elif running is not None and running.number == number:
        running = DeploymentRef(**event.falls_back_to) if event.falls_back_to else None
    if running is state.running and unfinished is state.unfinished:
        return state
    return changed(state, unfinished=unfinished, running=running)


def _ref(event: DeploymentRequested | DeploymentReported) -> DeploymentRef:
    return changed(
        _NO_DEPLOYMENT,
        number=event.number,
        id=event.deployment_id,
        release_candidate_version=event.release_candidate_version,
        commit=event.commit,
        kind=event.kind,
    )


def _with_unfinished(state: Environment, number: int, **fields: Any) -> Environment:
    """The state with these fields of one unfinished deployment."""
    unfinished = tuple(changed(ref, **fields) if ref.number == number else ref for ref in state.unfinished)
    return changed(state, unfinished=unfinished)


def _without(state: Environment, number: int) -> tuple[DeploymentRef, ...]:
    return tuple([ref for ref in state.unfinished if ref.number != number])


def ref_of(row: Deployment) -> DeploymentRef:
    """The reference to a row of the read model `deployments`."""
    return DeploymentRef(
        number=row["number"],
        id=row["id"],
        release_candidate_version=row["release_candidate_version"],
        commit=row["commit"],
        kind=row["kind"],
    )
