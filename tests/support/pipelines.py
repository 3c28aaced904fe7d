"""Pipelines that never give up: each request is sent with one key until it is answered, whatever happens to the server.

For tests that kill the server, or the database, or fill its disk, and then look at what the database holds.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.support.server import wait_for

PROJECT: Final = "shop"
REPO: Final = "acme/shop"
ANSWERED_WITHIN_S: Final = 30.0
GIVES_UP_AFTER_S: Final = 60.0
AGAIN_AFTER_S: Final = 0.02
REQUESTS_PER_CONNECTION: Final = 15  # so that a worker process that is new gets some, too

# What a caller is to try again, by the contract.
AGAIN: Final = (503,)


@dataclass(frozen=True)
class Acknowledged:
    """A write that was answered with success. `key` is its `Idempotency-Key` and its request's id, in all `tries`."""

    key: str
    method: str
    path: str
    status: int
    body: Any
    etag: str | None
    tries: int
    was_replayed: bool


class Pipeline(threading.Thread):
    """One pipeline: cuts a candidate, deploys it to an environment of its own, reports its success; again and again."""

    def __init__(self, url: str, token: str, environment: str) -> None:
        super().__init__(name=environment, daemon=True)
        self.acknowledged: list[Acknowledged] = []
        self.failure: BaseException | None = None
        self.unavailable: list[tuple[Any, str | None]] = []
        """The bodies and `Retry-After` of the answers that said: not now."""
        self.stopping, self.abandoned = threading.Event(), threading.Event()
        self._address, self._token, self._environment = urlsplit(url).netloc, token, environment
        self._connection = HTTPConnection(self._address, timeout=ANSWERED_WITHIN_S)
        self._sent = 0

    def run(self) -> None:
        turn = 0
        try:
            while not self.stopping.is_set():
                self._release(f"{self._environment}-rc{turn}")
                turn += 1
        except BaseException as error:
            self.failure = error
        finally:
            self._connection.close()

    def send(self, method: str, path: str, body: dict[str, Any]) -> Acknowledged:
        """Send it until it is answered. AssertionError when it is refused, or not answered for too long."""
        key, give_up_at, tries = str(uuid.uuid4()), time.monotonic() + GIVES_UP_AFTER_S, 0
        while True:
            tries += 1
            answered = self._try(key, method, f"/api/releases/{PROJECT}{path}", body)
            if answered is not None:
                status, headers, content = answered
                if status not in AGAIN:
                    assert status in (200, 201), (method, path, status, content)
                    replayed = headers.get("Idempotent-Replayed") == "true"
                    etag = headers.get("ETag")
                    return Acknowledged(key, method, path, status, content, etag, tries, replayed)
                self.unavailable.append((content, headers.get("Retry-After")))
            assert not self.abandoned.is_set(), "the test has failed"
            assert time.monotonic() < give_up_at, f"{method} {path} was not answered in {GIVES_UP_AFTER_S} s"
            time.sleep(AGAIN_AFTER_S)

    def _release(self, version: str) -> None:
        place = f"/environments/{self._environment}/deployments"
        commit = version.encode().hex().ljust(40, "0")[:40]
        self._note(self.send("POST", f"/releases/{version}", {"repo": REPO, "commit": commit}))
        deployed = self._note(self.send("POST", place, {"release_candidate_version": version}))
        said = {"release_candidate_version": version, "status": "success", "id": deployed.body["id"]}
        self._note(self.send("PATCH", place, said))

    def _note(self, acknowledged: Acknowledged) -> Acknowledged:
        self.acknowledged.append(acknowledged)
        return acknowledged

    def _try(self, key: str, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any, Any] | None:
        """Status, headers and body of the answer; None where the connection was lost."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", "X-Request-Id": key}
        if method != "PUT":
            headers["Idempotency-Key"] = key
        self._sent += 1
        if self._sent % REQUESTS_PER_CONNECTION == 0:
            self._connection.close()
        try:
            self._connection.request(method, path, json.dumps(body), headers)
            answer = self._connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        except (OSError, HTTPException):
            self._connection.close()
            return None


class Load:
    """Several pipelines at once, from entering it until `finish`."""

    def __init__(self, url: str, token: str | None, *, pipelines: int = 4) -> None:
        assert token is not None
        self._pipelines = [Pipeline(url, token, f"e{number}") for number in range(pipelines)]

    @property
    def unavailable(self) -> list[tuple[Any, str | None]]:
        """Every answer 503 so far: its body, its `Retry-After`."""
        return [each for pipeline in self._pipelines for each in pipeline.unavailable]

    def fewest_unavailable(self) -> int:
        """How many answers 503 every pipeline has had, at least."""
        self._complain()
        return min(len(pipeline.unavailable) for pipeline in self._pipelines)

    def wait_for_more(self, writes: int = 3) -> None:
        """Return when every pipeline got so many more answers."""
        wanted = [len(pipeline.acknowledged) + writes for pipeline in self._pipelines]

        def all_did() -> bool:
            self._complain()
            return all(len(each.acknowledged) >= so_many for each, so_many in zip(self._pipelines, wanted, strict=True))

        wait_for(all_did, GIVES_UP_AFTER_S)

    def finish(self) -> list[Acknowledged]:
        """Let every pipeline get its last answer; all that was acknowledged."""
        for pipeline in self._pipelines:
            pipeline.stopping.set()
        for pipeline in self._pipelines:
            pipeline.join(2 * GIVES_UP_AFTER_S)
            assert not pipeline.is_alive()
        self._complain()
        return [each for pipeline in self._pipelines for each in pipeline.acknowledged]

    def _complain(self) -> None:
        for pipeline in self._pipelines:
            if pipeline.failure is not None:
                raise AssertionError(f"{pipeline.name} failed") from pipeline.failure

    def __enter__(self) -> Self:
        first = self._pipelines[0]
        first.send("PUT", "", {"repo": REPO})
        for pipeline in self._pipelines:
            first.send("PUT", f"/environments/{pipeline.name}", {})
        for pipeline in self._pipelines:
            pipeline.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipeline in self._pipelines:
            pipeline.stopping.set()
            pipeline.abandoned.set()
