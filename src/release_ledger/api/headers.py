"""Headers and parameters that many operations have in common, for the description."""

from __future__ import annotations

from typing import Any, Final

from .parsing import COMMIT_PATTERN, VERSION_PATTERN

Described = dict[str, Any]
_TEXT: Final = {"type": "string"}
_TAG: Final = {"anyOf": [{"type": "string", "enum": ["*"]}, {"type": "string", "pattern": r'^"[!#-~]*"$'}]}
_NAME: Final = r"^[A-Za-z0-9_-]([A-Za-z0-9_ -]{0,98}[A-Za-z0-9_-])?$"


def _answered(description: str, schema: Described, *, always: bool = True) -> Described:
    return {"description": description, "required": always, "schema": schema}


HEADERS: Final[Described] = {
    "X-Request-Id": _answered("The request's own, or a new one. It is kept with what the request records.", _TEXT),
    "ETag": _answered("The version of the stream that the answer is about.", _TEXT | {"pattern": '^"[0-9]+"$'}),
    "Location": _answered("Where what was created can be read.", _TEXT | {"format": "uri", "pattern": "^https?://"}),
    "Link": _answered("The `first`, `prev` and `next` page.", _TEXT | {"pattern": '^<http.*>; rel="first"'}),
    "Retry-After": _answered("After how many seconds to try again.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": _answered("How to authenticate.", _TEXT | {"enum": ["Bearer"]}),
    "Idempotent-Replayed": _answered(
        "There where the answer is that of the first try with this key.", _TEXT | {"enum": ["true"]}, always=False
    ),
}


def header_references(*names: str) -> Described:
    """References to these headers of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _given(name: str, description: str, schema: Described, example: str) -> Described:
    said = {"name": name, "in": "header", "description": description}
    return said | {"required": False, "schema": schema, "example": example}


def _in_path(name: str, description: str, schema: Described, example: str) -> Described:
    said = {"name": name, "in": "path", "description": description}
    return said | {"required": True, "schema": _TEXT | schema, "example": example}


PARAMETERS: Final[Described] = {
    "RequestId": _given(
        "X-Request-Id",
        "Names this request in the events that it records. More than 128 characters, or others than printable ASCII:"
        " another is made.",
        _TEXT,
        "deploy-4711",
    ),
    "IdempotencyKey": _given(
        "Idempotency-Key",
        "A retry with the same key is answered as the first try was, and counts once.",
        _TEXT | {"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "0f0b6f9e-deploy",
    ),
    "IfMatch": _given("If-Match", "One strong ETag, or *: 412 when the stream has moved.", _TAG, "*"),
    "GitHubEvent": _given("X-GitHub-Event", "`workflow_run`; other events are ignored.", _TEXT, "workflow_run"),
    "Signature": _given(
        "X-Hub-Signature-256",
        "`sha256=` and the HMAC-SHA256 of the body with the webhook's secret, in hexadecimal digits.",
        _TEXT | {"pattern": "^sha256=[0-9a-f]{64}$"},
        "sha256=" + "0" * 64,
    )
    | {"required": True},
    "project_name": _in_path("project_name", "A project. Case counts.", {"pattern": _NAME}, "web"),
    "env_name": _in_path(
        "env_name", "An environment. Case counts.", {"pattern": "^[A-Za-z0-9_-]{1,100}$"}, "production"
    ),
    "release_candidate_version": _in_path(
        "release_candidate_version",
        "`<release_version>-rc<n>`. Case counts.",
        {"pattern": VERSION_PATTERN},
        "1.4.0-rc1",
    ),
    "commit": _in_path(
        "commit", "A commit's hash.", {"pattern": COMMIT_PATTERN}, "0b30c4663ccf9da0c664ccf41f8c72acc5e855ea"
    ),
    "deployment_id": _in_path(
        "deployment_id", "A deployment's `id`.", {"minLength": 1}, "019ab1f0-0000-7000-8000-000000000000"
    ),
}


def asked_headers(operation_id: str, method: str) -> list[Described]:
    """References to the headers that a request of this operation may have."""
    names = ["RequestId"]
    if operation_id == "githubWebhook":
        return [{"$ref": f"#/components/parameters/{name}"} for name in (*names, "GitHubEvent", "Signature")]
    if method in ("post", "patch"):
        names.append("IdempotencyKey")
    if method not in ("get", "head"):
        names.append("IfMatch")
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


_WITHOUT_VERSION: Final = (
    *(
        "health",
        "readiness",
        "metrics",
        "readFeed",
        "getCheckpoint",
        "listProjects",
        "listEnvironments",
        "getExposure",
        "githubWebhook",
    ),
)


def answered_headers(operation_id: str, method: str, status: str) -> Described:
    """References to the headers of a success."""
    names = ["X-Request-Id"]
    if operation_id not in _WITHOUT_VERSION:
        names.append("ETag")
    if status == "201":
        names.append("Location")
    if operation_id in ("listReleases", "listDeployments", "listRunningPeriods"):
        names.append("Link")
    if method in ("post", "patch") and operation_id != "githubWebhook":
        names.append("Idempotent-Replayed")
    return header_references(*names)
