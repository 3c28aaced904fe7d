"""What can happen: every event of the ledger, in the past tense, recorded once and never changed.

An event holds plain values only (strings, integers, booleans, null, lists and objects of these), so that its stored
bytes can be read alone in ten years: who (the token's name, an opaque person id, never an e-mail), when it was
recorded, when it is said to have happened, the request's id, and the names of its project and environment.

A topic is for ever, and so are the fields. A new need is a new event, or a new field with a plain default: the
library restores events without calling `__init__`, and reads a missing field from the class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from eventsourcing.utils import register_topic

Kind = Literal["deploy", "rollback", "observed"]
Json = dict[str, Any]
TOPICS: dict[str, type[Event]] = {}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What all events carry; the ledger stamps these fields when it records."""

    TOPIC: ClassVar[str]

    originator_id: str = ""
    originator_version: int = 0
    recorded_at: str = ""
    occurred_at: str | None = None
    recorded_by: str = ""
    person_id: str | None = None
    request_id: str = ""

    def __init_subclass__(cls, topic: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.TOPIC = topic
            TOPICS[topic] = cls
            register_topic(topic, cls)

    @property
    def happened_at(self) -> str:
        """When it is said to have happened; never later than its arrival (contract, section 3)."""
        return min(self.occurred_at or self.recorded_at, self.recorded_at)


E = TypeVar("E", bound=Event)
T = TypeVar("T")


def stamp(events: Iterable[E], stream: str, version: int, **common: Any) -> list[E]:
    """The events with what the ledger knows of them: stream, consecutive versions after `version`, who and when."""
    return [
        changed(event, originator_id=stream, originator_version=number, **common)
        for number, event in enumerate(events, version + 1)
    ]


def changed(known: T, **fields: Any) -> T:
    """As `dataclasses.replace`, which sets each of two dozen fields of a frozen class anew; for one without slots."""
    made = object.__new__(type(known))
    vars(made).update(vars(known), **fields)
    return made


@dataclass(frozen=True, kw_only=True)
class ProjectEvent(Event):
    """Something happened to a project's settings or candidates."""

    project_name: str = ""


@dataclass(frozen=True, kw_only=True)
class ProjectConfigured(ProjectEvent, topic="project-configured"):
    """The project has these settings now, and no others."""

    repo: str
    build_workflow: Json | None


@dataclass(frozen=True, kw_only=True)
class ReleaseCandidateCut(ProjectEvent, topic="release-candidate-cut"):
    """A candidate exists and is tied to one commit for ever. `number` counts the project's candidates from 1."""

    number: int
    release_candidate_version: str
    release_version: str
    commit: str
    repo: str
    status: Literal["pending", "ready"]
    trigger_build_workflow: bool


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


@dataclass(frozen=True, kw_only=True)
class DeploymentReported(DeploymentEvent, topic="deployment-reported"):
    """CI told how a deployment stands. `outcome` is the deployment's status after this report.

    `late`: it is kept, but the deployment had finished. `falls_back_to`: the deployment that the environment runs
    when this report took the success from the one that was running (number, id, version, commit, kind), or null.
    """

    commit: str
    kind: Kind
    status: str
    outcome: str
    late: bool = False
    error_message: str | None = None
    external_url: str | None = None
    falls_back_to: Json | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentCanceled(DeploymentEvent, topic="deployment-canceled"):
    """A rollback (`by_deployment_id`) ended this unfinished deployment; no run of it was known."""

    by_deployment_id: str


@dataclass(frozen=True, kw_only=True)
class DeploymentGivenUp(DeploymentEvent, topic="deployment-given-up"):
    """The ledger itself ended this deployment as `error`; a later report resumes it."""

    error_message: str


@dataclass(frozen=True, kw_only=True)
class AccessEvent(Event):
    """Something happened to who may call."""


@dataclass(frozen=True, kw_only=True)
class TokenCreated(AccessEvent, topic="token-created"):
    """A token exists. Only its SHA-256 is known; `projects` null means all of them."""

    token_name: str
    token_sha256: str
    role: Literal["read", "deploy", "admin"]
    owner_person_id: str | None
    projects: list[str] | None
    expires_at: str | None


@dataclass(frozen=True, kw_only=True)
class TokenRevoked(AccessEvent, topic="token-revoked"):
    """The token opens nothing any more."""

    token_name: str
