"""Environments: their list, their settings, their freeze."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..environment import STUCK_AFTER_S, Settings
from .access import ledger, requires
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import conditional
from .past import moment_of
from .schemas import AsOfSchema, EnvironmentSettingsSchema, FreezeSchema
from .shapes import EnvironmentSchema

blueprint = LedgerBlueprint(
    "environments", __name__, url_prefix="/api/releases/<project_name>/environments", description="Environments"
)


@blueprint.on("GET", "", "listEnvironments")
@requires("read")
@blueprint.answers(200, EnvironmentSchema(many=True))
def list_environments(project_name: str) -> Response:
    """The environments of a project, in the order of their names."""
    return json_response(ledger().environments(project_name))


@blueprint.on("GET", "/<env_name>", "getEnvironment")
@requires("read")
@blueprint.takes(AsOfSchema, location="query")
@blueprint.answers(200, EnvironmentSchema)
def get_environment(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """An environment: its settings, what it runs, whether it is frozen."""
    answer, version = ledger().environment(project_name, env_name, moment=moment_of(query))
    return json_response(answer, version=version)


@blueprint.on("PUT", "/<env_name>", "putEnvironment")
@requires("admin")
@blueprint.takes(EnvironmentSettingsSchema, required=False)
@blueprint.answers(200, EnvironmentSchema)
@blueprint.also_answers(201, EnvironmentSchema)
def put_environment(body: dict[str, Any], project_name: str, env_name: str) -> Response:
    """Create an environment, or replace its settings."""
    answer, version, is_new = ledger().configure_environment(
        project_name, env_name, settings_of(body), by=conditional()
    )
    location = here() if is_new else None
    return json_response(answer, status=201 if is_new else 200, version=version, location=location)


@blueprint.on("PUT", "/<env_name>/freeze", "freezeEnvironment")
@requires("admin")
@blueprint.takes(FreezeSchema)
@blueprint.answers(200, EnvironmentSchema)
def freeze_environment(body: dict[str, Any], project_name: str, env_name: str) -> Response:
    """Refuse to be changed by command; reports are still recorded."""
    answer, version = ledger().freeze(project_name, env_name, by=conditional(), **body)
    return json_response(answer, version=version)


@blueprint.on("DELETE", "/<env_name>/freeze", "unfreezeEnvironment")
@requires("admin")
@blueprint.answers(200, EnvironmentSchema)
def unfreeze_environment(project_name: str, env_name: str) -> Response:
    """Lift the freeze, if there is one."""
    answer, version = ledger().unfreeze(project_name, env_name, by=conditional())
    return json_response(answer, version=version)


def settings_of(body: dict[str, Any]) -> Settings:
    """The settings in a body; a deployment counts as stuck after an hour where a workflow runs it."""
    default = STUCK_AFTER_S if body["deploy_workflow"] is not None else None
    return Settings(**({"stuck_after_s": default} | body))
