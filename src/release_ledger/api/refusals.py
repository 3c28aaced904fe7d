"""What each operation can refuse, for the description: statuses, codes, sentences and headers of errors."""

from __future__ import annotations

from typing import Any, Final

from .. import errors
from ..errors import Refusal
from .headers import header_references

Refusals = tuple[type[Refusal], ...]


class _BodyTooLarge(Refusal):
    """Request Entity Too Large"""

    status, code = 413, "body_too_large"


class _UnsupportedMediaType(Refusal):
    """Unsupported Media Type"""

    status, code = 415, "unsupported_media_type"


class _NotFound(Refusal):
    """Not Found"""

    status, code = 404, "not_found"


_REQUEST: Final = (errors.InvalidRequest,)
_IN_PROJECT: Final = (*_REQUEST, errors.ProjectNotFound)
_IN_ENVIRONMENT: Final = (*_IN_PROJECT, errors.EnvironmentNotFound)
_VERSION: Final = errors.InvalidReleaseCandidateVersion
_DEPLOYMENT: Final = (_VERSION, errors.ReleaseNotFound)
_BODY: Final = (_BodyTooLarge, _UnsupportedMediaType)
_CONDITION: Final = (errors.PreconditionFailed,)
_KEYED: Final = (*_BODY, *_CONDITION, errors.IdempotencyKeyReused)
_READY: Final = (errors.ReleaseCandidateNotReady, errors.TooManyUnfinished)
# What the token decides, and what can happen to everybody.
_ALWAYS: Final = (errors.Unauthorized, errors.TooManyRequests, errors.LedgerUnavailable)
_USUAL: Final = (*_ALWAYS, errors.Forbidden)

REFUSALS: Final[dict[str, Refusals]] = {
    "health": (),
    "readiness": (errors.LedgerUnavailable,),
    "metrics": _ALWAYS,
    "getCheckpoint": (*_ALWAYS, *_REQUEST, _NotFound),
    "listProjects": (*_ALWAYS, *_REQUEST),
    "getProject": (*_USUAL, *_IN_PROJECT),
    "putProject": (*_USUAL, *_REQUEST, *_BODY, *_CONDITION),
    "listEnvironments": (*_USUAL, *_IN_PROJECT),
    "getEnvironment": (*_USUAL, *_IN_ENVIRONMENT),
    "putEnvironment": (*_USUAL, *_IN_PROJECT, *_BODY, *_CONDITION),
    "freezeEnvironment": (*_USUAL, *_IN_ENVIRONMENT, *_BODY, *_CONDITION),
    "unfreezeEnvironment": (*_USUAL, *_IN_ENVIRONMENT, *_CONDITION),
    "listReleases": (*_USUAL, *_IN_PROJECT),
    "getRelease": (*_USUAL, *_IN_PROJECT, *_DEPLOYMENT),
    "cutRelease": (
        *(*_USUAL, *_IN_PROJECT, *_KEYED, _VERSION),
        *(errors.InvalidCommit, errors.RepositoryNotFound, errors.ReleaseCandidateExists, errors.GithubUnavailable),
    ),
    "listDeployments": (*_USUAL, *_IN_ENVIRONMENT, _VERSION, errors.InvalidStatus),
    "getDeployment": (*_USUAL, *_IN_ENVIRONMENT, errors.DeploymentNotFound),
    "reportBuild": (*_USUAL, *_IN_PROJECT, *_KEYED, *_DEPLOYMENT),
    "cancelDeployment": (*_USUAL, *_IN_ENVIRONMENT, *_KEYED, errors.DeploymentNotFound),
    "syncDeploy": (*_USUAL, *_REQUEST, *_KEYED, errors.DeploymentNotFound),
    "syncBuild": (*_USUAL, *_REQUEST, *_KEYED, errors.ReleaseNotFound),
    "githubWebhook": (errors.Unauthorized, errors.LedgerUnavailable, *_REQUEST, *_BODY, _NotFound),
    "createDeployment": (*_USUAL, *_IN_ENVIRONMENT, *_KEYED, *_DEPLOYMENT, *_READY, errors.EnvironmentFrozen),
    "reportStatus": (
        *(*_USUAL, *_IN_ENVIRONMENT, *_KEYED, *_DEPLOYMENT),
        *(errors.InvalidStatus, errors.DeploymentNotFound),
    ),
    "listRunningPeriods": (*_USUAL, *_IN_ENVIRONMENT),
    "compareMoments": (*_USUAL, *_IN_ENVIRONMENT),
    "getHistory": (*_USUAL, *_IN_ENVIRONMENT),
    "getProjectHistory": (*_USUAL, *_IN_PROJECT),
    "getExposure": (*_USUAL, *_IN_PROJECT, errors.InvalidCommit),
    "readFeed": (*_ALWAYS, *_REQUEST),
    "previewRollback": (*_USUAL, *_IN_ENVIRONMENT, *_DEPLOYMENT),
    "rollBack": (
        *(*_USUAL, *_IN_ENVIRONMENT, *_KEYED, *_DEPLOYMENT),
        *(errors.NoRollbackTarget, errors.EnvironmentFrozen),
    ),
}


def refused_responses(operation_id: str) -> dict[str, Any]:
    """References to the responses of an operation that are errors, by status."""
    return {str(status): {"$ref": f"#/components/responses/{name}"} for status, name, _ in _named(operation_id)}


def all_responses() -> dict[str, Any]:
    """Every response that is an error, by the name that the references use."""
    named = {name: (status, refusals) for each in REFUSALS for status, name, refusals in _named(each)}
    return {name: _response(*named[name]) for name in sorted(named)}


def _named(operation_id: str) -> list[tuple[int, str, list[type[Refusal]]]]:
    """An operation's refusals by status, named after what they are: operations that refuse the same, share it."""
    found: dict[int, list[type[Refusal]]] = {}
    for refusal in sorted(REFUSALS[operation_id], key=lambda each: each.__name__):
        found.setdefault(refusal.status, []).append(refusal)
    return [(each, f"{each}-" + "-".join(r.code for r in found[each]), found[each]) for each in sorted(found)]


def _response(status: int, refusals: list[type[Refusal]]) -> dict[str, Any]:
    codes = {"type": "object", "properties": {"code": {"type": "string", "enum": [each.code for each in refusals]}}}
    said = {each.code: {"value": {"error": each.__doc__, "code": each.code}} for each in refusals}
    return {
        "description": "; ".join(f"{each.__doc__} (`{each.code}`)" for each in refusals) + ".",
        "headers": header_references(*_headers(status)),
        "content": {
            "application/json": {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Error"}, codes]},
                "examples": said,
            }
        },
    }


def _headers(status: int) -> list[str]:
    special = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 502: ["Retry-After"], 503: ["Retry-After"]}
    return ["X-Request-Id", *special.get(status, [])]
