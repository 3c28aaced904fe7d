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
from ..errors import Forbidden, InvalidRequest, LedgerUnavailable, Unauthorized
from ..ledger import AccessMoved, Caller, Ledger
from ..versions import is_environment_name, is_project_name, parse_candidate_version, parse_commit, write_moment
from .past import check_moment
from .rates import rates

Handler = Callable[..., Response]
_BEARER: Final = re.compile(r"Bearer +([\x21-\x7e]{1,512}) *", re.IGNORECASE)


def ledger() -> Ledger:
    """The ledger, for this request."""
    return cast(Ledger, g.get("ledger") or current_app.extensions["ledger"])


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
            def answer() -> Response:
                _authorise(role, kwargs.get("project_name"))
                names = _names_in_path(kwargs)
                check_moment(handler.__dict__.get("taken", ()))
                return handler(*args, **names)

            authenticate()
            try:
                return _confirmed(answer)
            except AccessMoved:
                authenticate(anew=True)
                return answer()

        doc: dict[str, Any] = getattr(checked, "_apidoc", {})
        doc.setdefault("manual_doc", {})["x-role"] = role
        checked._apidoc = doc  # type: ignore[attr-defined] # where flask-smorest looks
        return checked

    return decorate


def _confirmed(answer: Callable[[], Response]) -> Response:
    """The answer, or the refusal, of a request whose token is what it is taken for."""
    try:
        response = answer()
    except AccessMoved:
        raise
    except Exception as error:
        # Of a database that cannot be asked there is nothing to say, and asking again would only take longer.
        if not isinstance(error, LedgerUnavailable) or error.details:
            ledger().confirm()
        raise
    ledger().confirm()
    return response


def visible_projects() -> list[str] | None:
    """The projects that the caller's token is limited to; None: all."""
    projects = g.token["projects"]
    return None if projects is None else json.loads(projects)


def authenticate(*, anew: bool = False) -> None:
    """Find the token of this request; raises `Unauthorized` for none, an unknown, a revoked or an expired one.

    Raises `TooManyRequests` for a token that is used too often, and where too many wrong ones were tried.
    """
    found = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if found is None:
        raise Unauthorized()
    token_sha256 = digest(found[1])
    address = request.environ.get("REMOTE_ADDR", "")
    rates().before_lookup(token_sha256, address)
    g.pop("ledger", None)
    known = None if anew else ledger().remembered.token(token_sha256)
    if known is not None and _opens(known.token, token_sha256):
        g.ledger = ledger().trusting(known)
    else:
        known = ledger().token(token_sha256)
        if known is None or not _opens(known.token, token_sha256):
            rates().wrong(token_sha256, address)
            raise Unauthorized()
    if not anew:
        rates().good(token_sha256)
    g.token, g.email = known.token, known.email


def _opens(token: Token, token_sha256: str) -> bool:
    """Whether the token is the one that was found, is not revoked and has not expired."""
    expired = token["expires_at"] is not None and token["expires_at"] <= write_moment(datetime.now(UTC))
    is_same = hmac.compare_digest(token["token_sha256"], token_sha256)
    return is_same and token["revoked_at"] is None and not expired


def _authorise(role: Role, project_name: str | None) -> None:
    if not allows(g.token["role"], role):
        raise Forbidden(needed=role)
    if project_name is not None:
        require_project(project_name)


def require_project(project_name: str) -> None:
    """Raise `Forbidden` where the caller's token is limited to other projects."""
    visible = visible_projects()
    if visible is not None and project_name not in visible:
        raise Forbidden(project=project_name)


def _names_in_path(names: dict[str, str]) -> dict[str, str]:
    """The names in the path. One that no ledger could have becomes one that none has, and is not found in its turn."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        raise InvalidRequest(path="is not UTF-8") from None
    if "release_candidate_version" in names:
        parse_candidate_version(names["release_candidate_version"])
    if "commit" in names:
        names = names | {"commit": parse_commit(names["commit"])}
    legal = {"project_name": is_project_name, "env_name": is_environment_name}
    wrong = [name for name, is_legal in legal.items() if name in names and not is_legal(names[name])]
    if wrong and request.method == "PUT" and not request.path.rstrip("/").endswith("/freeze"):
        raise InvalidRequest(**dict.fromkeys(wrong, "no such name is possible"))
    return names | dict.fromkeys(wrong, "")
