"""Whether the service is well: health, readiness, metrics."""

from __future__ import annotations

import uuid

from flask import Response

from ..errors import LedgerUnavailable, SchemaMismatch
from ..store.codec import UNKNOWN_TOPICS_SEEN
from ..store.upgrade import check_schema
from . import read_models
from .access import ledger, requires
from .answer import json_response
from .blueprint import LedgerBlueprint
from .measures import exposition

blueprint = LedgerBlueprint("service", __name__, description="Health, readiness, metrics")


def new_request_id() -> str:
    return str(uuid.uuid4())


@blueprint.on("GET", "/healthz", "health")
@blueprint.answers(200)
def health() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@blueprint.on("GET", "/readyz", "readiness")
@blueprint.answers(200)
def readiness() -> Response:
    """The database can be asked, and its schema is the one that this release knows.

    Also ready are servers whose read models are not live: they answer by folding the history.
    """
    try:
        check_schema(ledger().store.database)
    except SchemaMismatch as error:
        raise LedgerUnavailable(reason=str(error)) from error
    states = {each.name: read_models.described(each) for each in read_models.known()}
    return json_response({"status": "ok", "unknown_topics": sorted(UNKNOWN_TOPICS_SEEN), "projections": states})


@blueprint.on("GET", "/metrics", "metrics")
@requires("read")
@blueprint.answers(200, content_type="text/plain")
def metrics() -> Response:
    """Measures of this server, for Prometheus."""
    return exposition()
