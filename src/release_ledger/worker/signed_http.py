"""Anything else: a POST, signed as Standard Webhooks says (https://www.standardwebhooks.com).

The setting is `{"kind": "http", "url": "https://…", "parameters": {…}}`. The status comes back by PATCH.

`webhook-id` is the deployment's or the build's id, the same at each try, so that a receiver can tell a repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ..events import Json
from ..ledger.outbox_questions import Wish
from ..outgoing import Trouble, pause_s
from ..outgoing.addresses import Permitted, address_in, origin_of, says_loopback
from ..settings import ALLOW_PRIVATE_ADDRESSES, HTTP_SECRET, Settings
from ..workflows import SECRET_ADDRESS, SECRET_NAME, SECRET_VALUE, inputs, looks_secret
from .kinds import Kind, SettingKey, Started, known_values, own_inputs

UNSIGNED: Final = "The request cannot be signed: RELEASE_LEDGER_HTTP_SECRET is not set."
LOST: Final = (502, 504)  # of a proxy, which may have passed it on
_SHOWN_TO_ALL: Final = (
    "Looks like it has a secret in it, and settings are shown. Requests are signed: check their signature instead."
)
_SECRET_NAME_IN_URL: Final = re.compile(r"(?:^|[^a-z])(?:key|sig|sas|hmac|jwt)(?:$|[^a-z])|signature", re.IGNORECASE)
_LONG_IN_URL: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/=_]{24,}")


class SignedHttp(Kind):
    """A receiver that answers 2xx has started the workflow. Whatever comes of it, the receiver reports."""

    name = "http"
    title = "The receiver"
    keys = (SettingKey("url", 2000, "https, or http to this machine; no password or other secret."),)

    @classmethod
    def refusals(cls, workflow: Json, settings: Settings) -> dict[str, str]:
        said = _never_called(workflow["url"], settings.allow_private_addresses)
        if said is None and settings.http_secret is None:
            said = f"Requests are signed, and {HTTP_SECRET} is not set on the server."
        return {"url": said} if said is not None else {}

    def start(self, wish: Wish, begin_by: float) -> Started:
        secret = self.means.settings.http_secret
        if secret is None:
            raise Trouble(UNSIGNED, final=True)
        body = json.dumps(self._said(wish), sort_keys=True).encode()
        headers = {"content-type": "application/json"} | signature(secret, wish.subject, int(time.time()), body)
        url = (wish.workflow or {})["url"]
        answer = self.means.outgoing.call("POST", url, headers=headers, body=body, begin_by=begin_by)
        if 200 <= answer.status < 300:
            return Started(None, None)
        final = 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 409, 425, 429)
        raise Trouble(
            f"The receiver answered {answer.status}.",
            final=final or answer.status < 400,
            maybe_done=answer.status in LOST,
            retry_after_s=pause_s(answer.headers),
            refused=answer.status in (401, 403),
        )

    def _said(self, wish: Wish) -> dict[str, object]:
        workflow = wish.workflow or {}
        return {
            "type": "build" if wish.kind == "build" else "deployment",
            "id": wish.subject,
            "project_name": wish.project_name,
            "repo": wish.repo,
            **known_values(wish),
            "inputs": inputs(workflow, own_inputs(wish), known_values(wish)),
        }


def signature(secret: str, its_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a signed message (Standard Webhooks 1.0)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{its_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": its_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def _never_called(url: str, allows_private: bool) -> str | None:
    """Why an address is never called, if it is not."""
    try:
        origin_of(url)
        host = urlsplit(url).hostname or ""
        is_secure = url.lower().startswith("https:")
        is_fine = is_secure or says_loopback(host)
        shows_secret = _has_secret(url)
    except ValueError:
        is_fine = False
    if not is_fine or re.search(r"[\s\x00-\x1f\x7f]", url):
        return "Must be https, or http to this machine itself, without name and password."
    if shows_secret:
        return _SHOWN_TO_ALL
    address = address_in(host)
    if is_secure and address is not None and not Permitted(allows_private, False).allows(address):
        return f"Is not a public address; private ones are called with {ALLOW_PRIVATE_ADDRESSES} only."
    return None


def _has_secret(url: str) -> bool:
    """Whether an address has a secret in it: settings are shown to whoever may read. Raises `ValueError` for no URL."""
    parts = urlsplit(url)
    if SECRET_ADDRESS.search(f"{parts.hostname}{unquote(parts.path)}") or SECRET_VALUE.search(unquote(url)):
        return True
    given = (pair for text in (parts.query, parts.fragment) for pair in parse_qsl(text, max_num_fields=1000))
    return any(
        SECRET_NAME.search(name)
        or _SECRET_NAME_IN_URL.search(name)
        or _LONG_IN_URL.fullmatch(value)
        or looks_secret(name, value)
        for name, value in given
    )
