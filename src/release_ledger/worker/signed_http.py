"""Anything else: a POST, signed as Standard Webhooks says (https://www.standardwebhooks.com).

The status comes back by PATCH.

`webhook-id` is the deployment's or the build's id, the same at each try, so that a receiver can tell a repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Final, NoReturn

from ..github import Run, Started
from ..ledger.outbox_questions import Wish
from ..outgoing import Outgoing, Trouble, pause_s
from ..workflows import inputs
from .kinds import Found, known_values, own_inputs

UNSIGNED: Final = "The request cannot be signed: RELEASE_LEDGER_HTTP_SECRET is not set."
LOST: Final = (502, 504)  # of a proxy, which may have passed it on


class SignedHttp:
    """A receiver that answers 2xx has started the workflow."""

    def __init__(self, outgoing: Outgoing, secret: str | None) -> None:
        """`secret`: `whsec_` and base64."""
        self._outgoing, self._secret = outgoing, secret

    def start(self, wish: Wish, begin_by: float) -> Started:
        if self._secret is None:
            raise Trouble(UNSIGNED, final=True)
        body = json.dumps(self._said(wish), sort_keys=True).encode()
        headers = {"content-type": "application/json"} | signature(self._secret, wish.subject, int(time.time()), body)
        url = (wish.workflow or {})["url"]
        answer = self._outgoing.call("POST", url, headers=headers, body=body, begin_by=begin_by)
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

    def find(self, wish: Wish) -> Found:  # noqa: ARG002 - there is nobody to ask
        return Found(None, False)

    def run(self, wish: Wish) -> Run | None:  # noqa: ARG002 - there is nobody to ask
        return None

    def cancel(self, wish: Wish) -> NoReturn:  # noqa: ARG002 - there is nobody to ask
        raise Trouble("A workflow of kind http cannot be canceled from here.", final=True)

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
