"""Idempotency keys and conditional writes: the headers of section 1 of the contract."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from flask import Response, g, request

from ..errors import InvalidRequest
from ..ledger import Caller
from ..ledger.answers import Answer
from ..ledger.keeping import Idempotency, Replayed, Reply
from .access import caller
from .parsing import read_object

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_ONE_TAG: Final = re.compile(r'\*|"([\x21\x23-\x7e]*)"')
_KEPT_HEADERS: Final = ("Content-Type", "ETag", "Location", "Link")


def conditional() -> Caller:
    """Who makes this request, and at which version of the stream it is meant."""
    given = request.headers.get("If-Match")
    if given is None:
        return caller()
    found = _ONE_TAG.fullmatch(given.strip())
    if found is None:
        raise InvalidRequest(**{"If-Match": "must be one strong entity tag, or *"})
    return replace(caller(), if_match=found[1] if found[1] is not None else "*")


def once(carry_out: Callable[[Caller], tuple[Answer, int]], answer: Callable[[Answer, int], Response]) -> Response:
    """Carry a command out, or answer as its first try with this `Idempotency-Key` was answered."""
    by = conditional()
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        by = replace(by, idempotency=_idempotency(key, answer))
    try:
        return answer(*carry_out(by))
    except Replayed as replayed:
        reply = replayed.reply
        response = Response(reply.body, status=reply.status, headers=reply.headers)
        response.headers["Idempotent-Replayed"] = "true"
        return response


def _idempotency(key: str, answer: Callable[[Answer, int], Response]) -> Idempotency:
    if not _KEY.fullmatch(key):
        raise InvalidRequest(**{"Idempotency-Key": "must be 1 to 255 visible ASCII characters"})

    def reply(body: Answer, version: int) -> Reply:
        response = answer(body, version)
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        return Reply(status=response.status_code, headers=headers, body=response.get_data())

    scope = f"{g.token['token_sha256']} {request.method} {request.path.rstrip('/')}"
    return Idempotency(scope=scope, key=key, request_digest=_digest(), reply=reply)


def _digest() -> bytes:
    """What was asked for, however it was written down."""
    raw = request.get_data(cache=True)
    body: dict[str, Any] = read_object(raw) if raw.strip() else {}
    asked = json.dumps([request.query_string.decode(errors="replace"), body], sort_keys=True)
    return hashlib.sha256(asked.encode()).digest()
