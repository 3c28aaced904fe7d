"""`/openapi.json`, generated from the code, and `/docs`, a page to read and try it that works offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, send_from_directory
from flask_smorest import Api
from swagger_ui_bundle import swagger_ui_path
from werkzeug.exceptions import NotFound

from .answer import json_response
from .components import mend
from .examples import REQUESTS, answer_of
from .headers import HEADERS, PARAMETERS, answered_headers, asked_headers
from .links import all_links, links_of
from .past_examples import JSON_LINES, PAST_ANSWERS
from .refusals import all_responses, refused_responses

SPEC: Final[dict[str, Any]] = {
    "info": {
        "description": "What was released where, when, by whom and why. Every call becomes events in the stream of one"
        " environment. JSON in, JSON out, whatever `Accept` says (but histories come as JSON Lines, too);"
        " keys that are not described are ignored in a body,"
        " and null of an optional one is as good as its absence; a body without a key twice, NUL or a lone surrogate,"
        " up to 1 MiB. Errors are `{error, code, details}`; a path that is not"
        " described is 404 `not_found`, a method 405 `method_not_allowed` with `Allow`.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    },
    "servers": [{"url": "/"}],
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
METHODS: Final = frozenset(("get", "put", "post", "patch", "delete"))
_OPEN: Final = ("health", "readiness", "githubWebhook")
_MEANT: Final = {"200": "Done.", "201": "Created."}
_ASSETS: Final = {"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"}
_STATIC: Final = Path(__file__).parent / "static"
_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def register(app: Flask, api: Api) -> None:
    """Serve the description and the page."""
    described = describe(api)

    @app.get("/openapi.json")
    def openapi() -> Response:
        return json_response(described)

    @app.get("/docs")
    def docs() -> Response:
        page = send_from_directory(_STATIC, "docs.html")
        page.headers["Content-Security-Policy"] = _POLICY
        return page

    @app.get("/docs/<name>")
    def asset(name: str) -> Response:
        if name == "docs.js":
            return send_from_directory(_STATIC, name)
        if name not in _ASSETS:
            raise NotFound()
        return send_from_directory(Path(str(swagger_ui_path)), name)


def describe(api: Api) -> dict[str, Any]:
    """The OpenAPI description, with what holds of every operation."""
    description: dict[str, Any] = api.spec.to_dict()
    components = description["components"]
    components |= {"headers": HEADERS, "parameters": PARAMETERS, "links": all_links(), "responses": all_responses()}
    del components["schemas"]["PaginationMetadata"]
    of_bodies: set[str] = set()
    for item in description["paths"].values():
        for parameter in item.get("parameters", []):
            name = parameter["name"]
            parameter.clear()
            parameter["$ref"] = f"#/components/parameters/{name}"
        for method in METHODS & set(item):
            _complete(method, item[method])
            of_bodies |= set(_body_shapes(item[method]))
    mend(components["schemas"], of_bodies)
    return description


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add what an operation has in common with others: headers, links, errors."""
    name = operation["operationId"]
    if name in _OPEN:
        operation["security"] = []
    operation.setdefault("parameters", []).extend(asked_headers(name, method))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["example"] = REQUESTS[name]
    successes = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
    for status, answer in successes.items():
        answer["description"] = _MEANT[status]
        answer["headers"] = answered_headers(name, method, status)
        if links := links_of(name):
            answer["links"] = links
        example = PAST_ANSWERS.get(name) or answer_of(name, status)
        if example is not None:
            answer.setdefault("content", {"application/json": {"schema": {"type": "object"}}})
            answer["content"]["application/json"]["example"] = example
        if name in JSON_LINES:
            answer["content"]["application/x-ndjson"] = {"schema": {"type": "string"}, "example": JSON_LINES[name]}
    operation["responses"] = successes | refused_responses(name)


def _body_shapes(operation: dict[str, Any]) -> list[str]:
    contents = operation.get("requestBody", {}).get("content", {}).values()
    return [content["schema"]["$ref"].rpartition("/")[2] for content in contents]
