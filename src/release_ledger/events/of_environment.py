"""What can happen to an environment and its deployments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .event import Event, How, Json

Kind = Literal["deploy", "rollback", "observed"]


@dataclass(frozen=True, kw_only=True)
class EnvironmentEvent(Event):
    """Something happened in an environment."""

    project_name: str = ""
    environment_name: str = ""


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfigured(EnvironmentEvent, topic="environment-configured"):
    """The environment has these settings now, and no others."""

    tier: str
    deploy_workflow: Json | None
    rollback_strategy: str
    stuck_after_s: int | None


@dataclass(frozen=True, kw_only=True)
class EnvironmentWasFrozen(EnvironmentEvent, topic="environment-frozen"):
    """The environment refuses to be changed by command, until somebody lifts it or `until` passes."""

    reason: str
    until: str | None


@dataclass(frozen=True, kw_only=True)
class EnvironmentWasUnfrozen(EnvironmentEvent, topic="environment-unfrozen"):
    """The freeze is over."""


@dataclass(frozen=True, kw_only=True)
class DeploymentEvent(EnvironmentEvent):
    """Something happened to one deployment. `number` counts the environment's deployments from 1."""

    number: int
    deployment_id: str
    release_candidate_version: str


@dataclass(frozen=True, kw_only=True)
class DeploymentRequested(DeploymentEvent, topic="deployment-requested"):
    """A candidate is to run in this environment (or, `observed`, was seen to be deployed there).

    `from_*` is what the environment was running; `leaves` names the versions that a rollback turns its back on.
    `workflow` is to be started for it, in `repo`; null: the ledger only records.
    """

    release_version: str
    commit: str
    candidate_cut_at: str
    kind: Kind
    from_release_candidate_version: str | None
    from_commit: str | None
    force: bool = False
    broke_freeze: bool = False
    reason: str | None = None
    strategy: str | None = None
    explanation: str | None = None
    leaves: list[str] | None = None
    repo: str | None = None
    workflow: Json | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentReported(DeploymentEvent, topic="deployment-reported"):
    """CI told how a deployment stands. `outcome` is the deployment's status after this report.

    `late`: it is kept, but the deployment had finished. `falls_back_to`: the deployment that the environment runs
    when this report took the success from the one that was running (number, id, version, commit, kind), or null.
    `run_id`: the known run of a deployment that the ledger had given up and this report resumes.
    """

    commit: str
    kind: Kind
    status: str
    outcome: str
    late: bool = False
    error_message: str | None = None
    external_url: str | None = None
    falls_back_to: Json | None = None
    run_attempt: int | None = None
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentTriggered(DeploymentEvent, topic="deployment-triggered"):
    """The deployment's workflow was started; `run_id` null: its run is not known (yet).

    `how` the ledger knows: it was `answered` so, it `found` the run after an answer was lost, or the run `told` it.
    """

    run_id: str | None
    run_url: str | None
    how: How


@dataclass(frozen=True, kw_only=True)
class DeploymentTriggerFailed(DeploymentEvent, topic="deployment-trigger-failed"):
    """A try to start the workflow came to nothing (`attempt` counts from 1). `final`: it is not tried again."""

    attempt: int
    error_message: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class DeploymentTriggerDropped(DeploymentEvent, topic="deployment-trigger-dropped"):
    """The workflow is not started any more: the deployment had ended (as `status`) before it was."""

    status: str


@dataclass(frozen=True, kw_only=True)
class DeploymentCancelRequested(DeploymentEvent, topic="deployment-cancel-requested"):
    """The run of this deployment is to be canceled: by a rollback (`by_deployment_id`), or because somebody asked."""

    run_id: str
    repo: str | None
    by_deployment_id: str | None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentCancelAnswered(DeploymentEvent, topic="deployment-cancel-answered"):
    """What came of a try to cancel the run: it will be (`accepted`), it had `ended`, or the try `failed`."""

    attempt: int
    answer: Literal["accepted", "ended", "failed"]
    error_message: str | None
    final: bool


@dataclass(frozen=True, kw_only=True)
class DeploymentCanceled(DeploymentEvent, topic="deployment-canceled"):
    """The ledger ended this unfinished deployment: no run of it was known, or none said in time that it had ended.

    `by_deployment_id` is the rollback that wished it; empty where somebody asked.
    """

    by_deployment_id: str
    error_message: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentGivenUp(DeploymentEvent, topic="deployment-given-up"):
    """The ledger itself ended this deployment as `error`; a later report resumes it."""

    error_message: str
