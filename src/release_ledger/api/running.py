"""What ran where: the periods of an environment, and the exposure of a commit."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from .access import ledger, requires
from .answer import json_response
from .blueprint import LedgerBlueprint
from .paging import paged
from .schemas import PeriodPageSchema
from .shapes import ExposureSchema, PeriodSchema

blueprint = LedgerBlueprint(
    "running", __name__, url_prefix="/api/releases/<project_name>", description="What ran where, from when to when"
)


@blueprint.on("GET", "/environments/<env_name>/running", "listRunningPeriods")
@requires("read")
@blueprint.takes(PeriodPageSchema, location="query")
@blueprint.answers(200, PeriodSchema(many=True))
def list_running_periods(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """What ran in an environment, from when to when, newest first."""
    begins, ends = query.get("from_"), query.get("to")
    return paged(query, partial(ledger().running, project_name, env_name, begins=begins, ends=ends))


@blueprint.on("GET", "/commits/<commit>/exposure", "getExposure")
@requires("read")
@blueprint.answers(200, ExposureSchema)
def get_exposure(project_name: str, commit: str) -> Response:
    """Where and for how long a commit has been running."""
    return json_response(ledger().exposure(project_name, commit))
