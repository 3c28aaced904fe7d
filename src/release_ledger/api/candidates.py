"""Releases: candidates cut, listed and shown."""

from __future__ import annotations

from typing import Any

from flask import Response

from .access import ledger, requires
from .answer import here, json_response, page_response
from .blueprint import LedgerBlueprint
from .conditions import once
from .paging import number_of, per_page_of
from .schemas import CutSchema, PageSchema
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
    number, per_page = number_of(query), per_page_of(query)
    page = ledger().candidates(project_name, page=number, per_page=per_page)
    return page_response(page, number=number, per_page=per_page)


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
        lambda by: ledger().cut_release_candidate(project_name, release_candidate_version, by=by, **body),
        lambda answer, version: json_response(answer, status=201, version=version, location=location),
    )
