"""What can happen: every event of the ledger, in the past tense, recorded once and never changed.

An event holds plain values only (strings, integers, booleans, null, lists and objects of these), so that its stored
bytes can be read alone in ten years: who (the token's name, an opaque person id, never an e-mail), when it was
recorded, when it is said to have happened, the request's id, and the names of its project and environment.

A topic is for ever, and so are the fields. A new need is a new event, or a new field with a plain default: the
library restores events without calling `__init__`, and reads a missing field from the class.
"""

from __future__ import annotations

from .event import TOPICS, Event, How, Json, changed, stamp
from .of_access import AccessEvent, PersonForgotten, TokenCreated, TokenRevoked
from .of_environment import (
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
    EnvironmentConfigured,
    EnvironmentEvent,
    EnvironmentWasFrozen,
    EnvironmentWasUnfrozen,
    Kind,
)
from .of_project import (
    BuildEvent,
    BuildReported,
    BuildRequested,
    BuildTriggered,
    BuildTriggerFailed,
    CandidateEvent,
    DeployedAfterBuild,
    ProjectConfigured,
    ProjectEvent,
    ReleaseCandidateChecked,
    ReleaseCandidateCut,
)

__all__ = [
    "TOPICS",
    "AccessEvent",
    "BuildEvent",
    "BuildReported",
    "BuildRequested",
    "BuildTriggerFailed",
    "BuildTriggered",
    "CandidateEvent",
    "DeployedAfterBuild",
    "DeploymentCancelAnswered",
    "DeploymentCancelRequested",
    "DeploymentCanceled",
    "DeploymentEvent",
    "DeploymentGivenUp",
    "DeploymentReported",
    "DeploymentRequested",
    "DeploymentTriggerDropped",
    "DeploymentTriggerFailed",
    "DeploymentTriggered",
    "EnvironmentConfigured",
    "EnvironmentEvent",
    "EnvironmentWasFrozen",
    "EnvironmentWasUnfrozen",
    "Event",
    "How",
    "Json",
    "Kind",
    "PersonForgotten",
    "ProjectConfigured",
    "ProjectEvent",
    "ReleaseCandidateChecked",
    "ReleaseCandidateCut",
    "TokenCreated",
    "TokenRevoked",
    "changed",
    "stamp",
]
