"""What ran where: the periods of an environment, and the exposure of a commit."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from .access import ledger, requires
from .answer import json_response
from .blueprint import LedgerBlueprint
from .paging import paged
from .past import moment_of
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
    """What ran in an environment, from when to when, newest first.

    The times are those that CI reported, but which deployments have a period depends on the order in which their
    successes were recorded: one whose success was reported only after a newer deployment had succeeded never ran, by
    what the ledger knew at any time, whatever its report says of when it happened.
    """
    asked: dict[str, Any] = {"begins": query.get("from_"), "ends": query.get("to"), "moment": moment_of(query)}
    return paged(query, partial(ledger().running, project_name, env_name, **asked))


@blueprint.on("GET", "/commits/<commit>/exposure", "getExposure")
@requires("read")
@blueprint.answers(200, ExposureSchema)
def get_exposure(project_name: str, commit: str) -> Response:
    """Where and for how long a commit has been running.

    Seconds of the periods that `running` lists, by the times that CI reported. They depend on the order in which
    successes were recorded: a deployment whose success was reported only after a newer one had succeeded never ran,
    and counts for nothing.
    """
    return json_response(ledger().exposure(project_name, commit))
