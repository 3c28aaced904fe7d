"""Projects: their list, their settings."""

from __future__ import annotations

from typing import Any

from flask import Response

from .access import ledger, requires, visible_projects
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import conditional
from .schemas import ProjectSettingsSchema
from .shapes import ProjectSchema

blueprint = LedgerBlueprint("projects", __name__, url_prefix="/api/releases", description="Projects")


@blueprint.on("GET", "", "listProjects")
@requires("read")
@blueprint.answers(200, ProjectSchema(many=True))
def list_projects() -> Response:
    """The projects, in the order of their names."""
    return json_response(ledger().projects(visible_projects()))


@blueprint.on("GET", "/<project_name>", "getProject")
@requires("read")
@blueprint.answers(200, ProjectSchema)
def get_project(project_name: str) -> Response:
    """A project's settings."""
    answer, version = ledger().project(project_name)
    return json_response(answer, version=version)


@blueprint.on("PUT", "/<project_name>", "putProject")
@requires("admin")
@blueprint.takes(ProjectSettingsSchema)
@blueprint.answers(200, ProjectSchema)
@blueprint.also_answers(201, ProjectSchema)
def put_project(body: dict[str, Any], project_name: str) -> Response:
    """Create a project, or replace its settings."""
    answer, version, is_new = ledger().configure_project(project_name, by=conditional(), **body)
    location = here() if is_new else None
    return json_response(answer, status=201 if is_new else 200, version=version, location=location)
