"""What every answer must keep to besides the description: schemathesis runs these with checks of its own."""

from __future__ import annotations

from typing import Any, Final

from schemathesis.checks import CheckContext
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

from release_ledger.errors import Refusal

# What Flask itself refuses, before any part of the ledger is asked.
OF_THE_DOOR: Final = {
    (404, "not_found"): "Not Found",
    (405, "method_not_allowed"): "Method Not Allowed",
    (413, "body_too_large"): "Request Entity Too Large",
    (415, "unsupported_media_type"): "Unsupported Media Type",
}
SENTENCES: Final = OF_THE_DOOR | {(each.status, each.code): each.__doc__ for each in Refusal.__subclasses__()}
# What is no JSON when all is well.
PLAIN: Final = ("/metrics", "/api/checkpoint")
# Nothing is limited here, and the database is there.
NEVER: Final = (429, 500, 502, 503)
# Well formed, and refused for what a schema cannot say: a moment that is past, a deployment of another version, a
# parameter beside another, a range that ends before it begins, the form of a URL, names of workflow parameters, what
# GitHub says of a run, a run of another or for what has no workflow.
BEYOND_A_SCHEMA: Final = (
    *({"until"}, {"id"}, {"to"}, {"from"}, {"build_workflow"}, {"deploy_workflow"}),
    *({"workflow_run"}, {"workflow_run_id"}, {"deployment_id"}),
    {"after"},  # a cursor of the feed is one that it has answered
    *({"as_of"}, {"as_of_version"}),  # what has not come yet, or both at once
)


def keeps_to_the_contract(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Every answer is JSON with a request id; an error has the contract's keys, code, sentence and headers."""
    status, body = response.status_code, _body_of(response, case)
    given = case.headers.get("X-Request-Id") if case.headers else None
    returned = _header(response, "X-Request-Id")
    usable = isinstance(given, str) and 0 < len(given) <= 128 and given.isascii() and given.isprintable()
    require(returned == given if usable else bool(returned), f"X-Request-Id {given!r} became {returned!r}", case)
    require(status not in NEVER, f"{status} {body}", case)
    if status >= 400:
        _check_error(status, body, response, case)


def well_formed_is_taken(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """What the description allows is not called malformed."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    refusal: Any = response.json()
    details = refusal.get("details", {})
    known = refusal["code"] == "environment_frozen" or set(details) in BEYOND_A_SCHEMA
    require(known, f"as described, and refused: {refusal}, of {case.path_parameters} {case.query} {case.body!r}", case)


def _check_error(status: int, body: Any, response: Response, case: Case[Any]) -> None:
    require(isinstance(body, dict) and {"error", "code"} <= set(body) <= {"error", "code", "details"}, body, case)
    require(SENTENCES.get((status, body["code"])) == body["error"], f"{status} {body}", case)
    require("details" not in body or (isinstance(body["details"], dict) and body["details"] != {}), body, case)
    require(status != 401 or _header(response, "WWW-Authenticate") == "Bearer", "401 without WWW-Authenticate", case)
    require(status != 405 or bool(_header(response, "Allow")), "405 without Allow", case)


def _body_of(response: Response, case: Case[Any]) -> Any:
    if response.request.method == "HEAD" or (case.operation.path in PLAIN and response.status_code == 200):
        return None
    said = _header(response, "Content-Type")
    require(said == "application/json", f"{response.status_code} of {said}", case)
    return response.json()


def _header(response: Response, name: str) -> str | None:
    values = response.headers.get(name.lower())
    return values[0] if values else None


def require(fine: bool, message: object, case: Case[Any]) -> None:
    if not fine:
        raise Failure(operation=case.operation.label, title="The contract is broken", message=str(message))
