"""Who may call. Checks run in the contract's order: authenticate, authorise, syntax (here, of the path; then of the
query and the body), idempotency key, project, environment, `If-Match`, release, rules.

The key is looked up with the stream's head, before anything is decided; `If-Match` is compared once the project and
the environment are found (`ledger.views`).
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, cast

from flask import Response, current_app, g, request

from ..access import Role, Token, allows, digest
from ..errors import Forbidden, InvalidRequest, Unauthorized
from ..ledger import Caller, Ledger
from ..versions import is_environment_name, is_project_name, parse_candidate_version, write_moment

Handler = Callable[..., Response]
_BEARER: Final = re.compile(r"Bearer +([\x21-\x7e]{1,512}) *", re.IGNORECASE)


def ledger() -> Ledger:
    """The ledger of this application."""
    return cast(Ledger, current_app.extensions["ledger"])


def caller() -> Caller:
    """Who makes this request."""
    token: Token = g.token
    return Caller(
        recorded_by=token["token_name"],
        person_id=token["owner_person_id"],
        email=g.email,
        request_id=g.request_id,
    )


def requires(role: Role) -> Callable[[Handler], Handler]:
    """A token of this role, for the project in the path; then names in the path that a ledger can have."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def checked(*args: Any, **kwargs: Any) -> Response:
            authenticate()
            _authorise(role, kwargs.get("project_name"))
            return handler(*args, **_names_in_path(kwargs))

        doc: dict[str, Any] = getattr(checked, "_apidoc", {})
        doc.setdefault("manual_doc", {})["x-role"] = role
        checked._apidoc = doc  # type: ignore[attr-defined]
        return checked

    return decorate


def visible_projects() -> list[str] | None:
    """The projects that the caller's token is limited to; None: all."""
    projects = g.token["projects"]
    return None if projects is None else json.loads(projects)


def authenticate() -> None:
    """Find the token of this request; raises `Unauthorized` for none, an unknown, a revoked or an expired one."""
    found = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if found is None:
        raise Unauthorized()
    token_sha256 = digest(found[1])
    known = ledger().token(token_sha256)
    if known is None or not hmac.compare_digest(known[0]["token_sha256"], token_sha256):
        raise Unauthorized()
    token, g.email = known
    expired = token["expires_at"] is not None and token["expires_at"] <= write_moment(datetime.now(UTC))
    if token["revoked_at"] is not None or expired:
        raise Unauthorized()
    g.token = token


def _authorise(role: Role, project_name: str | None) -> None:
    if not allows(g.token["role"], role):
        raise Forbidden(needed=role)
    visible = visible_projects()
    if visible is not None and project_name is not None and project_name not in visible:
        raise Forbidden(project=project_name)


def _names_in_path(names: dict[str, str]) -> dict[str, str]:
    """The names in the path. One that no ledger could have becomes one that none has, and is not found in its turn."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        raise InvalidRequest(path="is not UTF-8") from None
    if "release_candidate_version" in names:
        parse_candidate_version(names["release_candidate_version"])
    legal = {"project_name": is_project_name, "env_name": is_environment_name}
    wrong = [name for name, is_legal in legal.items() if name in names and not is_legal(names[name])]
    if wrong and request.method == "PUT" and not request.path.rstrip("/").endswith("/freeze"):
        raise InvalidRequest(**dict.fromkeys(wrong, "no such name is possible"))
    return names | dict.fromkeys(wrong, "")
