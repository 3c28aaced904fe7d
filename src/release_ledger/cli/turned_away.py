"""Requests that never come to the application, and what their callers are told: in the contract's shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from ..api.measures import METHODS, REQUESTS
from ..api.service import new_request_id
from ..errors import LedgerUnavailable

RETRY_AFTER_S: Final = 1


@dataclass(frozen=True)
class Why:
    """Why a request is not put to the application. `hang_up`: its connection is of no more use."""

    status: int
    code: str
    sentence: str
    detail: str = ""
    hang_up: bool = False


class TurnedAway(Exception):
    """A request is not put to the application."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.sentence)
        self.why = why


BODY_TOO_LARGE: Final = Why(413, "body_too_large", "Request Entity Too Large", hang_up=True)
BODY_TOO_SLOW: Final = Why(408, "request_timeout", "Request Timeout", hang_up=True)
FAILED: Final = Why(500, "internal_error", "Internal error")
_BUSY: Final = Why(LedgerUnavailable.status, LedgerUnavailable.code, LedgerUnavailable().sentence)
NO_TURN: Final = replace(_BUSY, detail="too many requests at once")
NO_ROOM: Final = replace(_BUSY, detail="too many bodies at once", hang_up=True)


def refusal(why: Why, scope: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The status, headers and body for a request, as its ASGI scope has it; it is counted, too."""
    method = scope["method"]
    REQUESTS.labels(method if method in METHODS else "other", "none", str(why.status)).inc()
    body: dict[str, Any] = {"error": why.sentence, "code": why.code}
    if why.detail:
        body["details"] = {"reason": why.detail}
    text = msgspec.json.encode(body) + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text)).encode()),
        (b"x-request-id", _request_id(dict(scope["headers"]).get(b"x-request-id", b""))),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if why.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if why.hang_up:
        headers.append((b"connection", b"close"))
    return why.status, headers, text


def _request_id(given: bytes) -> bytes:
    usable = 0 < len(given) <= 128 and given.isascii() and given.decode().isprintable()
    return given if usable else new_request_id().encode()
