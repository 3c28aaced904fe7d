"""Releases: candidates cut, listed and shown."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from .access import ledger, requires
from .answer import here, json_response
from .blueprint import LedgerBlueprint
from .conditions import once
from .paging import paged
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
        lambda by: ledger().cut_release_candidate(project_name, release_candidate_version, by=by, **body),
        lambda answer, version: json_response(answer, status=201, version=version, location=location),
    )
