"""Deployments: requested, reported, listed, rolled back."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from flask import Response

from .access import ledger, requires
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import once
from .paging import paged
from .schemas import EXTERNAL_URL_LIMIT, DeploymentPageSchema, DeploySchema, PreviewSchema, ReportSchema, RollbackSchema
from .shapes import DeploymentSchema, RollbackPreviewSchema

blueprint = LedgerBlueprint(
    "deployments",
    __name__,
    url_prefix="/api/releases/<project_name>/environments/<env_name>",
    description="Deployments and rollback",
)
_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)
_ID: Final = re.compile(r"[0-9a-fA-F-]{1,64}")


@blueprint.on("GET", "/deployments", "listDeployments")
@requires("read")
@blueprint.takes(DeploymentPageSchema, location="query")
@blueprint.answers(200, DeploymentSchema(many=True))
def list_deployments(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """An environment's deployments, newest first."""
    status, version = query.get("status"), query.get("release_candidate_version")
    return paged(query, partial(ledger().deployments, project_name, env_name, status=status, version=version))


@blueprint.on("POST", "/deployments", "createDeployment")
@requires("deploy")
@blueprint.takes(DeploySchema)
@blueprint.answers(201, DeploymentSchema)
def create_deployment(body: dict[str, Any], project_name: str, env_name: str) -> Response:
    """Deploy a release candidate."""
    return once(lambda by: ledger().deploy(project_name, env_name, by=by, **body), created)


@blueprint.on("PATCH", "/deployments", "reportStatus")
@requires("deploy")
@blueprint.takes(ReportSchema)
@blueprint.answers(200, DeploymentSchema)
def report_status(body: dict[str, Any], project_name: str, env_name: str) -> Response:
    """Report how a deployment stands; creates one where none is known. Never triggers a workflow."""
    left_out = without_bad_url(body)
    if not _ID.fullmatch(body.get("id", "0")):
        body["id"] = ""
    return once(
        lambda by: ledger().report(project_name, env_name, by=by, **body),
        lambda answer, version: json_response(answer | left_out, version=version),
    )


@blueprint.on("GET", "/deployments/<deployment_id>", "getDeployment")
@requires("read")
@blueprint.answers(200, DeploymentSchema)
def get_deployment(project_name: str, env_name: str, deployment_id: str) -> Response:
    """One deployment."""
    known = deployment_id if _ID.fullmatch(deployment_id) else ""
    answer, version = ledger().deployment(project_name, env_name, known)
    return json_response(answer, version=version)


@blueprint.on("GET", "/rollback", "previewRollback")
@requires("read")
@blueprint.takes(PreviewSchema, location="query")
@blueprint.answers(200, RollbackPreviewSchema)
def preview_rollback(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """What a rollback would do now, and why; records nothing."""
    answer, version = ledger().rollback_preview(project_name, env_name, **query)
    return json_response(answer, version=version)


@blueprint.on("POST", "/rollback", "rollBack")
@requires("deploy")
@blueprint.takes(RollbackSchema, required=False)
@blueprint.answers(201, DeploymentSchema)
def roll_back(body: dict[str, Any], project_name: str, env_name: str) -> Response:
    """Roll an environment back to a version that succeeded there before."""
    return once(lambda by: ledger().roll_back(project_name, env_name, by=by, **body), created)


def created(answer: dict[str, Any], version: int) -> Response:
    """A new deployment, and where it is."""
    environment = here().rpartition("/")[0]
    return json_response(answer, status=201, version=version, location=f"{environment}/deployments/{answer['id']}")


def without_bad_url(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out an `external_url` that cannot be shown as a link; what to say of it in the answer."""
    url = body.get("external_url")
    if url is None or (len(url) <= EXTERNAL_URL_LIMIT and _URL.fullmatch(url)):
        return {}
    del body["external_url"]
    return {"details": {"external_url": f"left out: not an http(s) URL of at most {EXTERNAL_URL_LIMIT} characters"}}
