"""What can happen to a project, its candidates and their builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .event import Event, How, Json


@dataclass(frozen=True, kw_only=True)
class ProjectEvent(Event):
    """Something happened to a project's settings or candidates."""

    project_name: str = ""


@dataclass(frozen=True, kw_only=True)
class ProjectConfigured(ProjectEvent, topic="project-configured"):
    """The project has these settings now, and no others.

    `deploy_after_build` names the environment that a candidate goes to once its build has succeeded.
    """

    repo: str
    build_workflow: Json | None
    deploy_after_build: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseCandidateCut(ProjectEvent, topic="release-candidate-cut"):
    """A candidate exists and is tied to one commit for ever. `number` counts the project's candidates from 1.

    `checked` is false where GitHub was to be asked for the commit and could not be.
    """

    number: int
    release_candidate_version: str
    release_version: str
    commit: str
    repo: str
    status: Literal["pending", "ready"]
    trigger_build_workflow: bool
    checked: bool = True


@dataclass(frozen=True, kw_only=True)
class CandidateEvent(ProjectEvent):
    """Something happened to one candidate."""

    number: int
    release_candidate_version: str


@dataclass(frozen=True, kw_only=True)
class ReleaseCandidateChecked(CandidateEvent, topic="release-candidate-checked"):
    """GitHub was asked after all, and does (`found`) or does not know the commit."""

    found: bool
    error_message: str | None = None


@dataclass(frozen=True, kw_only=True)
class BuildEvent(CandidateEvent):
    """Something happened to a build of a candidate."""

    build_id: str


@dataclass(frozen=True, kw_only=True)
class BuildRequested(BuildEvent, topic="build-requested"):
    """A candidate is to be built; `workflow` null: by a CI that reports by itself."""

    release_version: str
    commit: str
    repo: str
    workflow: Json | None


@dataclass(frozen=True, kw_only=True)
class BuildTriggered(BuildEvent, topic="build-triggered"):
    """The build's workflow was started; as `DeploymentTriggered`."""

    run_id: str | None
    run_url: str | None
    how: How


@dataclass(frozen=True, kw_only=True)
class BuildTriggerFailed(BuildEvent, topic="build-trigger-failed"):
    """A try to start the build's workflow came to nothing; as `DeploymentTriggerFailed`."""

    attempt: int
    error_message: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class BuildReported(BuildEvent, topic="build-reported"):
    """It was told how a build stands. `outcome` is the candidate's status after this report.

    `deploy_to` names the environment that the candidate goes to now that it is ready.
    """

    status: Literal["pending", "ready", "failed"]
    outcome: str
    build_url: str | None = None
    error_message: str | None = None
    run_attempt: int | None = None
    deploy_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeployedAfterBuild(BuildEvent, topic="deployed-after-build"):
    """What came of the deployment after a build: the deployment, or why there is none."""

    to_environment: str
    deployment_id: str | None
    error_message: str | None = None
