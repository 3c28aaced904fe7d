"""GitHub's own description of its API (tests/contract/) judges what we send, and what our stand-in answers."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import requests
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockResponse

from tests.support.github_faults import Exchange

CONTRACT: Final = Path(__file__).parents[1] / "contract"
# Five real `workflow_run` payloads of webhooks. The last one has all that the description asks of a run.
WEBHOOKS: Final[list[dict[str, Any]]] = json.loads((CONTRACT / "github-workflow-run-webhooks.json").read_text())

RUN: Final[dict[str, Any]] = WEBHOOKS[-1]["workflow_run"]
# The payloads are older than these three.
NEWER: Final = {"has_discussions": False, "network_count": 0, "subscribers_count": 0}
REPOSITORY: Final[dict[str, Any]] = WEBHOOKS[-1]["repository"] | NEWER
_URL: Final = "https://api.github.com/repos/octo-org/octo-repo"
COMMIT: Final[dict[str, Any]] = {
    "url": f"{_URL}/commits/0",
    "sha": "0" * 40,
    "node_id": "C_1",
    "html_url": "https://github.com/octo-org/octo-repo/commit/0",
    "comments_url": f"{_URL}/commits/0/comments",
    "commit": {
        "url": f"{_URL}/git/commits/0",
        "author": {"name": "Mona", "email": "mona@example.com", "date": "2026-01-01T00:00:00Z"},
        "committer": None,
        "comment_count": 0,
        "message": "Sell shoes",
        "tree": {"sha": "1" * 40, "url": f"{_URL}/git/trees/1"},
    },
    "author": {},
    "committer": {},
    "parents": [],
}


@cache
def description() -> OpenAPI:
    """`created` is said to be one date-time, while GitHub's prose, and its search syntax, want `>=` before it."""
    slice_of_it = json.loads((CONTRACT / "github-api-slice.json").read_text())
    del slice_of_it["components"]["parameters"]["created"]["schema"]["format"]
    # Answers that every path can give are not listed at each.
    error = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/basic-error"}}}}
    usual = {status: {"description": ""} | error for status in ("301", "307", "401", "404", "422")}
    for operations in slice_of_it["paths"].values():
        for operation in operations.values():
            operation["responses"] = usual | operation["responses"]
    return OpenAPI.from_dict(slice_of_it)


def complaints(exchange: Exchange, token: str | None) -> list[str]:
    """What is wrong with the request, with its headers, and (but for a deliberate fault) with the answer."""
    asked, reply, fault = exchange
    expected = HEADERS | {"authorization": f"Bearer {token}" if token else None}
    found = [f"{name}: {asked.headers.get(name)}" for name in expected if asked.headers.get(name) != expected[name]]
    url = f"https://api.github.com{asked.url}"
    request = RequestsOpenAPIRequest(requests.Request(asked.method, url, dict(asked.headers), data=asked.body))
    try:
        description().validate_request(request)
        if fault is None:
            answer = MockResponse(reply.body, reply.status, dict(reply.headers), "application/json")
            description().validate_response(request, answer)
    except OpenAPIError as error:
        found.append(f"{asked.method} {asked.url}, {reply.status}: {error}")
    return found


HEADERS: Final[dict[str, str | None]] = {
    "accept": "application/vnd.github+json",
    "x-github-api-version": "2022-11-28",
    "user-agent": "release-ledger",
}
