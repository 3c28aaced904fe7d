"""The webhook of GitHub as a test sends it: signed."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from werkzeug.test import TestResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEBHOOK: Final = "/api/v1/github/webhook"
WEBHOOK_SECRET: Final = "It's a Secret to Everybody"


def signature_of(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    """What GitHub sends as `X-Hub-Signature-256`."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def tell(caller: Any, payload: object, *, event: str = "workflow_run", signature: str | None = None) -> TestResponse:
    """Send a webhook as GitHub does; `payload` of bytes goes as it is."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": signature or signature_of(body)}
    answer: TestResponse = caller.post(WEBHOOK, body, headers=headers)
    return answer


class Signing:
    """Puts the right signature where a well-formed one is sent to the webhook: nobody guesses it."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_X_HUB_SIGNATURE_256", "")
        if environ["PATH_INFO"].rstrip("/") == WEBHOOK and given.startswith("sha256=") and len(given) == 71:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            environ["HTTP_X_HUB_SIGNATURE_256"] = signature_of(body)
        return self._application(environ, start_response)
