"""Many writers at once: what each asked a real server for, and what was answered."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

PROJECT, REPO = "shop", "acme/shop"
TIMEOUT_S = 60


@dataclass(frozen=True)
class Asked:
    """A request that was answered."""

    request_id: str
    method: str
    path: str
    status: int
    body: Any
    etag: str | None


@dataclass
class Client:
    """One caller with one connection; remembers every request."""

    url: str
    token: str
    asked: list[Asked] = field(default_factory=list)
    session: requests.Session = field(default_factory=requests.Session)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Asked:
        request_id = str(uuid.uuid4())
        headers = {"Authorization": f"Bearer {self.token}", "X-Request-Id": request_id}
        reply = self.session.request(
            method, f"{self.url}/api/releases/{PROJECT}{path}", json=body, headers=headers, timeout=TIMEOUT_S
        )
        asked = Asked(request_id, method, path, reply.status_code, reply.json(), reply.headers.get("ETag"))
        self.asked.append(asked)
        return asked

    def deploy_and_report(self, environment: str, version: str) -> None:
        """Cut a candidate, deploy it, and report its success by its id."""
        place = f"/environments/{environment}/deployments"
        commit = version.encode().hex().ljust(40, "0")[:40]
        self.call("POST", f"/releases/{version}", {"repo": REPO, "commit": commit})
        deployed = self.call("POST", place, {"release_candidate_version": version})
        said = {"release_candidate_version": version, "status": "success", "id": deployed.body.get("id", "")}
        self.call("PATCH", place, said)


def at_once(url: str, token: str, writers: int, work: Callable[[Client, int], None]) -> list[Asked]:
    """Every request of as many writers, all started together; a writer that fails, fails this."""
    together = threading.Barrier(writers)

    def write(number: int) -> list[Asked]:
        client = Client(url, token)
        with client.session:
            together.wait(TIMEOUT_S)
            work(client, number)
        return client.asked

    with ThreadPoolExecutor(writers) as pool:
        return [asked for each in pool.map(write, range(writers)) for asked in each]
