"""Releases: candidates cut, listed and shown; their builds reported."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from . import commit_check
from .access import ledger, requires
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import once
from .left_out import without_bad_url
from .paging import paged
from .schemas import BuildReportSchema, CutSchema, PageSchema
from .shapes import CandidateSchema

blueprint = LedgerBlueprint(
    "releases", __name__, url_prefix="/api/releases/<project_name>/releases", description="Release candidates"
)


@blueprint.on("GET", "", "listReleases")
@requires("read")
@blueprint.takes(PageSchema, location="query")
@blueprint.answers(200, CandidateSchema(many=True))
def list_releases(query: dict[str, int], project_name: str) -> Response:
    """A project's release candidates, newest first."""
    return paged(query, partial(ledger().candidates, project_name))


@blueprint.on("GET", "/<release_candidate_version>", "getRelease")
@requires("read")
@blueprint.answers(200, CandidateSchema)
def get_release(project_name: str, release_candidate_version: str) -> Response:
    """One release candidate."""
    answer, version = ledger().candidate(project_name, release_candidate_version)
    return json_response(answer, version=version)


@blueprint.on("POST", "/<release_candidate_version>", "cutRelease")
@requires("deploy")
@blueprint.takes(CutSchema)
@blueprint.answers(201, CandidateSchema)
def cut_release(body: dict[str, Any], project_name: str, release_candidate_version: str) -> Response:
    """Create the release (if new) and this candidate of it, tied to one commit for ever."""
    location = here()
    return once(
        lambda by: commit_check.cut(project_name, release_candidate_version, body, by),
        lambda answer, version: json_response(answer, status=201, version=version, location=location),
    )


@blueprint.on("PATCH", "/<release_candidate_version>", "reportBuild")
@requires("deploy")
@blueprint.takes(BuildReportSchema)
@blueprint.answers(200, CandidateSchema)
def report_build(body: dict[str, Any], project_name: str, release_candidate_version: str) -> Response:
    """Report how a candidate's build stands: it may be deployed once it is `ready`."""
    left_out = without_bad_url(body, "build_url")
    return once(
        lambda by: ledger().report_build(project_name, release_candidate_version, by=by, **body),
        lambda answer, version: json_response(answer | left_out, version=version),
    )
