"""`/openapi.json`, generated from the code, and `/docs`, a page to read and try it that works offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Flask, Response, send_from_directory
from flask_smorest import Api
from swagger_ui_bundle import swagger_ui_path
from werkzeug.exceptions import NotFound

from .answer import json_response

SPEC: Final[dict[str, Any]] = {
    "info": {
        "description": "What was released where, when, by whom and why. Every call becomes events in the stream of one"
        " environment; errors are `{error, code, details}`.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    },
    "servers": [{"url": "/"}],
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
_KEYED: Final = ("post", "patch")
_OPEN: Final = ("/healthz", "/readyz")
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
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            if path in _OPEN:
                operation["security"] = []
            operation.setdefault("parameters", []).extend(_headers_of(method))
            for status in _errors_of(method, path):
                operation["responses"].setdefault(status, _error(status))
    return description


def _errors_of(method: str, path: str) -> list[str]:
    if path in _OPEN:
        return ["503"]
    writes = method in ("post", "put", "patch")
    found = ["401", "403", "503", *(["404", "400"] if "{" in path else []), *(["413", "415"] if writes else [])]
    if writes or method == "delete":
        found.append("412")
    if method in _KEYED:
        found.append("422")
    return [*found, "409"] if method == "post" else found


def _headers_of(method: str) -> list[dict[str, Any]]:
    text = {"type": "string"}
    headers = []
    if method in _KEYED:
        said = "A retry with the same key is answered as the first try was, and counts once."
        schema = text | {"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        headers.append({"name": "Idempotency-Key", "in": "header", "description": said, "schema": schema})
    if method not in ("get", "head"):
        said = "The ETag of an answer, or *: 412 when the stream has moved."
        headers.append({"name": "If-Match", "in": "header", "description": said, "schema": text})
    return headers


def _error(status: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": f"Refused ({status}).", "content": {"application/json": {"schema": schema}}}
