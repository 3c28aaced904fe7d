"""The history of an environment and of a project: a page of events as JSON, or all of them as JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import msgspec
from flask import Response, request

from .access import ledger, requires
from .answer import json_response
from .blueprint import LedgerBlueprint
from .past_shapes import HistoryEventSchema, HistorySchema

JSON_LINES: Final = "application/x-ndjson"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
blueprint = LedgerBlueprint("history", __name__, url_prefix="/api/releases/<project_name>", description="History")


@blueprint.on("GET", "/environments/<env_name>/history", "getHistory")
@requires("read")
@blueprint.takes(HistorySchema, location="query")
@blueprint.answers(200, HistoryEventSchema(many=True))
def get_history(query: dict[str, Any], project_name: str, env_name: str) -> Response:
    """An environment's events, oldest first.

    With `Accept: application/x-ndjson` all of them (after `after`), one a line, up to the version that the stream is at
    now. The last line is `{"end": true, "version": N}`: a stream without it broke off, and can be taken up again after
    the version of its last event. `data` is what an event says, by its type.
    """
    return _history(query, project_name, env_name)


@blueprint.on("GET", "/history", "getProjectHistory")
@requires("read")
@blueprint.takes(HistorySchema, location="query")
@blueprint.answers(200, HistoryEventSchema(many=True))
def get_project_history(query: dict[str, Any], project_name: str) -> Response:
    """The events of a project's own stream, oldest first: its settings, candidates and builds.

    As JSON Lines as the history of an environment.
    """
    return _history(query, project_name, None)


def _history(query: dict[str, Any], project_name: str, env_name: str | None) -> Response:
    if request.accept_mimetypes.best_match(["application/json", JSON_LINES]) == JSON_LINES:
        pages, version = ledger().whole_history(project_name, env_name, after=query["after"])
        # The first page is read before anything is said: what cannot be read at all is an error, not a short stream.
        first = next(pages, [])
        response = Response(_lines(chain([first], pages), version), content_type=JSON_LINES)
        response.headers["ETag"] = f'"{version}"'
        return response
    events, version = ledger().history(project_name, env_name, **query)
    return json_response(events, version=version)


def _lines(pages: Iterable[list[dict[str, Any]]], version: int) -> Iterator[bytes]:
    """A page of events at a time, and a last line that says that these were all."""
    for page in pages:
        if page:
            yield b"".join(_ENCODER.encode(event) + b"\n" for event in page)
    yield _ENCODER.encode({"end": True, "version": version}) + b"\n"
