"""Deployments: requested, reported, listed, canceled, rolled back."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from flask import Response

from .access import ledger, requires
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import once
from .left_out import without_bad_url
from .paging import paged
from .past import moment_of
from .schemas import (
    AsOfSchema,
    CancelSchema,
    DeploymentPageSchema,
    DeploySchema,
    PreviewSchema,
    ReportSchema,
    RollbackSchema,
)
from .shapes import DeploymentSchema, DeploymentWithEventsSchema, RollbackPreviewSchema

blueprint = LedgerBlueprint(
    "deployments",
    __name__,
    url_prefix="/api/releases/<project_name>/environments/<env_name>",
    description="Deployments and rollback",
)
_ID: Final = re.compile(r"[0-9a-fA-F-]{1,64}")


@blueprint.on("GET", "/deployments", "listDeployments")
@requires("read")
@blueprint.takes(DeploymentPageSchema, location="query")
@blueprint.answers(200, DeploymentSchema(many=True))
def list_deployments(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """An environment's deployments, newest first."""
    status, version = query.get("status"), query.get("release_candidate_version")
    asked: dict[str, Any] = {"status": status, "version": version, "moment": moment_of(query)}
    return paged(query, partial(ledger().deployments, project_name, env_name, **asked))


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
    left_out = without_bad_url(body, "external_url")
    if "id" in body:
        body["id"] = possible(body["id"])
    return once(
        lambda by: ledger().report(project_name, env_name, by=by, **body),
        lambda answer, version: json_response(answer | left_out, version=version),
    )


@blueprint.on("GET", "/deployments/<deployment_id>", "getDeployment")
@requires("read")
@blueprint.takes(AsOfSchema, location="query")
@blueprint.answers(200, DeploymentWithEventsSchema)
def get_deployment(query: dict[str, Any], project_name: str, env_name: str, deployment_id: str) -> Response:
    """One deployment, with every attempt, answer and decision that led to how it stands."""
    asked = partial(ledger().deployment_with_events, project_name, env_name, possible(deployment_id))
    answer, version = asked(moment=moment_of(query))
    return json_response(answer, version=version)


@blueprint.on("POST", "/deployments/<deployment_id>/cancel", "cancelDeployment")
@requires("deploy")
@blueprint.takes(CancelSchema, required=False)
@blueprint.answers(200, DeploymentSchema)
def cancel_deployment(body: dict[str, Any], project_name: str, env_name: str, deployment_id: str) -> Response:
    """End a deployment: at once where no run of it is known, else it is `canceling` until its run has ended.

    Also while the environment is frozen: it stops a change. One that has ended is answered as it is.
    """
    return once(
        lambda by: ledger().cancel(project_name, env_name, possible(deployment_id), by=by, **body),
        lambda answer, version: json_response(answer, version=version),
    )


@blueprint.on("GET", "/rollback", "previewRollback")
@requires("read")
@blueprint.takes(PreviewSchema, location="query")
@blueprint.answers(200, RollbackPreviewSchema)
def preview_rollback(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """What a rollback would do now, and why; records nothing."""
    asked: dict[str, Any] = {"strategy": query.get("strategy"), "to": query.get("to"), "moment": moment_of(query)}
    answer, version = ledger().rollback_preview(project_name, env_name, **asked)
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


def possible(deployment_id: str) -> str:
    """The id, or one that no deployment has, for a text that could be none."""
    return deployment_id if _ID.fullmatch(deployment_id) else ""
