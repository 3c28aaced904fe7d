"""The application: its parts put together, and the one door that every error leaves by."""

from __future__ import annotations

from typing import Any, Final

import structlog
from flask import Flask, Response, g, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from .. import __version__
from ..errors import LedgerUnavailable, Refusal, TooManyRequests
from ..ledger import Ledger
from ..log import log_as_json
from ..projection import StillFolding
from ..settings import Settings
from . import (
    candidates,
    checkpoints,
    comparison,
    deployments,
    documentation,
    environments,
    feed,
    history,
    measures,
    projects,
    running,
    runs,
    service,
)
from .answer import json_response
from .commit_check import github_of
from .rates import Rates
from .shapes import ErrorSchema
from .waiting import wait

BODY_LIMIT_BYTES: Final = 1024 * 1024
RETRY_AFTER_S: Final = 1
FOLDED_WITHIN_S: Final = 50.0  # below what clients wait (60 s)
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}
_LOG = structlog.get_logger("release_ledger.api")


class LedgerApi(Api):
    """flask-smorest's API with errors in the contract's shape."""

    ERROR_SCHEMA = ErrorSchema

    def handle_http_exception(self, error: HTTPException) -> Response:
        status = error.code or 500
        code = _CODES.get(status, "invalid_request" if status < 500 else "internal_error")
        response = json_response({"error": error.name, "code": code}, status=status)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response


def create_app(settings: Settings | None = None, ledger: Ledger | None = None) -> Flask:
    """The WSGI application over the ledger that the settings name, or over the one given."""
    log_as_json()
    settings = settings or Settings.from_environment()
    app = Flask("release_ledger", static_folder=None)
    app.config.update(
        API_TITLE="Release Ledger",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.0.3",
        MAX_CONTENT_LENGTH=BODY_LIMIT_BYTES,
        PROVIDE_AUTOMATIC_OPTIONS=False,  # nothing answers without a token, not even which methods there are
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings
    app.extensions["github"] = github_of(settings)
    app.extensions["ledger"] = ledger or Ledger.open(settings.database_url)
    app.extensions["rates"] = Rates(settings.rate_limit)
    api = LedgerApi(app, spec_kwargs=documentation.SPEC)
    for part in (
        candidates,
        checkpoints,
        comparison,
        deployments,
        environments,
        feed,
        history,
        projects,
        running,
        runs,
        service,
    ):
        api.register_blueprint(part.blueprint)
    documentation.register(app, api)
    measures.register(app)
    app.before_request(_name_the_request)
    app.after_request(_return_the_name)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(Exception, _failed)
    return app


def _name_the_request() -> None:
    given = request.headers.get("X-Request-Id", "")
    usable = 0 < len(given) <= 128 and given.isascii() and given.isprintable()
    g.request_id = given if usable else service.new_request_id()


def _return_the_name(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id") or service.new_request_id()
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _refused(error: Refusal) -> Response:
    body: dict[str, Any] = {"error": error.sentence, "code": error.code}
    if error.details:
        body["details"] = error.details
    response = json_response(body, status=error.status)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, LedgerUnavailable):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, StillFolding):
        wait(FOLDED_WITHIN_S, error.is_over)
    elif isinstance(error, LedgerUnavailable):
        _LOG.warning("unavailable", request_id=g.get("request_id"), path=request.path, cause=repr(error.__cause__))
    return response


def _failed(error: Exception) -> Response:
    if isinstance(error, HTTPException):
        raise error
    _LOG.exception("failed", request_id=g.get("request_id"), method=request.method, path=request.path)
    return json_response({"error": "Internal error", "code": "internal_error"}, status=500)
