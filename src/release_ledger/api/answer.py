"""How an answer is written: JSON, with the stream's version as its ETag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from flask import Response, request

from ..ledger.project_questions import Page

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import Headers

_ENCODER = msgspec.json.Encoder(order="deterministic")


class JsonResponse(Response):
    """A complete answer, whose headers go out as they are: its length is known, and its addresses are ASCII."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002 - werkzeug's own
        return self.headers


def json_response(body: Any, *, status: int = 200, version: int | None = None, location: str | None = None) -> Response:
    """A JSON answer; `version` is that of the stream that it is about."""
    response = JsonResponse(_ENCODER.encode(body) + b"\n", status=status, content_type="application/json")
    if version is not None:
        response.headers["ETag"] = f'"{version}"'
    if location is not None:
        response.headers["Location"] = location
    return response


def page_response(page: Page, *, number: int, per_page: int) -> Response:
    """A page as a bare array, with a `Link` header to the first, the previous and the next."""
    response = json_response(page.items, version=page.version)
    links = {"first": 1}
    if number > 1:
        links["prev"] = number - 1
    if page.more:
        links["next"] = number + 1
    address = here()
    asked = {name: value for name, value in request.args.items() if name not in ("page", "per_page")}

    def link(rel: str, number: int) -> str:
        return f'<{address}?{urlencode(asked | {"page": number, "per_page": per_page})}>; rel="{rel}"'

    response.headers["Link"] = ", ".join(link(rel, n) for rel, n in links.items())
    return response


def here() -> str:
    """The address of this request, as its caller knows it: behind a proxy that speaks TLS, https."""
    told = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip()
    # Not `base_url`: it leaves the `%` of a version as it is, and is the address of another one.
    path = quote(request.script_root + request.path.rstrip("/"), safe="/:@!$&'()*+,;=")
    return f"{'https' if told == 'https' else request.scheme}://{request.host}{path}"
