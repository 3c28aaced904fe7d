"""What can happen to who may call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .event import Event


@dataclass(frozen=True, kw_only=True)
class AccessEvent(Event):
    """Something happened to who may call."""


@dataclass(frozen=True, kw_only=True)
class TokenCreated(AccessEvent, topic="token-created"):
    """A token exists. Only its SHA-256 is known; `projects` null means all of them."""

    token_name: str
    token_sha256: str
    role: Literal["read", "deploy", "admin"]
    owner_person_id: str | None
    projects: list[str] | None
    expires_at: str | None


@dataclass(frozen=True, kw_only=True)
class TokenRevoked(AccessEvent, topic="token-revoked"):
    """The token opens nothing any more."""

    token_name: str


@dataclass(frozen=True, kw_only=True)
class PersonForgotten(AccessEvent, topic="person-forgotten"):
    """Nobody can tell any more who this person is. Their tokens are like a machine's from then on."""

    forgotten_person_id: str
