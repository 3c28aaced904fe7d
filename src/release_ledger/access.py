"""The rules of who may call: tokens made and revoked.

A token is 256 random bits, shown once and known afterwards only by its SHA-256. It belongs to a role, perhaps to a
person, perhaps to some projects, and may expire.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, Literal, TypedDict

from .errors import InvalidRequest, TokenExists, TokenNotFound
from .events import AccessEvent, PersonForgotten, TokenCreated, TokenRevoked

Role = Literal["read", "deploy", "admin"]
ROLES: Final[tuple[Role, ...]] = ("read", "deploy", "admin")
NO_EMAIL_HAS_LESS: Final = "@"
NAMES_ARE_FOR_EVER: Final = (
    "a token's name is in events for ever, where nobody could be forgotten: name the token after what it is for,"
    " and give the e-mail with --email"
)
Events = tuple[AccessEvent, ...]


class Token(TypedDict):
    """A row of the read model `tokens`; `projects` is a JSON array or null, `revoked_at` null while it opens."""

    token_name: str
    token_sha256: str
    role: str
    owner_person_id: str | None
    projects: str | None
    expires_at: str | None
    created_at: str
    created_by: str
    revoked_at: str | None


def new_secret() -> str:
    """A token as its owner keeps it; never stored."""
    return f"rl_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What is stored of a token: SHA-256, in hex. Random 256 bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def allows(role: str, needed: Role) -> bool:
    """Whether a token of this role may do what needs that one: `admin` > `deploy` > `read`."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def create_token(
    known: Token | None,
    *,
    token_name: str,
    token_sha256: str,
    role: Role,
    owner_person_id: str | None,
    projects: list[str] | None,
    expires_at: str | None,
) -> Events:
    """A token of a name that none has that still opens, and that no e-mail is in: events would keep it for ever."""
    if NO_EMAIL_HAS_LESS in token_name:
        raise InvalidRequest(token_name=f"May be an e-mail, and {NAMES_ARE_FOR_EVER}.")
    if known is not None and known["revoked_at"] is None:
        raise TokenExists(token_name=token_name)
    return (
        TokenCreated(
            token_name=token_name,
            token_sha256=token_sha256,
            role=role,
            owner_person_id=owner_person_id,
            projects=projects,
            expires_at=expires_at,
        ),
    )


def revoke_token(known: Token | None, token_name: str) -> Events:
    """The token opens nothing from now on; revoked again, nothing is recorded."""
    if known is None:
        raise TokenNotFound(token_name=token_name)
    return () if known["revoked_at"] is not None else (TokenRevoked(token_name=token_name),)


def forget_person(person_id: str) -> Events:
    """The person's e-mail goes; their tokens keep opening, as a machine's do."""
    return (PersonForgotten(forgotten_person_id=person_id),)
