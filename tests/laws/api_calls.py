"""Calls of the API, each of which is made of the plain model too: answer, refusal, version and events are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from flask.testing import FlaskClient

from release_ledger.store import Store
from release_ledger.store.store import events_after
from tests.laws.contract_model import Answer, Refused
from tests.laws.environment_model import EnvironmentModel, ProjectModel

EMAIL, TOKEN_NAME = "dev@example.com", "tester"
ASKER = {"actor": EMAIL, "recorded_by": TOKEN_NAME}
NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    body: Any
    etag: str | None
    link: str
    replayed: bool

    @property
    def refusal(self) -> tuple[int, Any]:
        return self.status, self.body["code"]


class Versioned(Protocol):
    """What has a stream."""

    version: int


class ApiCalls:
    """One project, by the API and by the model."""

    def __init__(self, client: FlaskClient, store: Store, token: str, project_name: str) -> None:
        self.client, self.store, self.project_name = client, store, project_name
        self.headers = {"Authorization": f"Bearer {token}"}
        self.project = ProjectModel(ASKER)
        self.environments: dict[str, EnvironmentModel] = {}
        self.extra: dict[str, str] = {}

    def call(self, method: str, path: str, body: Answer | None = None, query: Mapping[str, object] = NOTHING) -> Reply:
        """The reply; under a key the request is sent twice, and answered the same."""
        first = self._send(method, path, body, query)
        if "Idempotency-Key" in self.extra and method in ("POST", "PATCH"):
            again = self._send(method, path, body, query)
            assert again == replace(first, replayed=first.status < 300)
        return first

    def _send(self, method: str, path: str, body: Answer | None, query: Mapping[str, object]) -> Reply:
        response = self.client.open(
            f"/api/releases/{self.project_name}{path}",
            method=method,
            json=body,
            query_string=given(**query),
            headers={**self.headers, **self.extra},
        )
        assert response.status_code < 500, response.text
        headers = response.headers
        return Reply(
            response.status_code,
            response.get_json(),
            headers.get("ETag"),
            headers.get("Link", ""),
            headers.get("Idempotent-Replayed") == "true",
        )

    @contextmanager
    def with_header(self, name: str, value: str) -> Iterator[None]:
        """All requests of this block carry the header."""
        self.extra = {name: value}
        try:
            yield
        finally:
            self.extra = {}

    def recorded(self, name: str) -> list[dict[str, Any]]:
        """The events of an environment that the model does not know of yet."""
        stream = f"environment/{self.project_name}/{name}"
        return list(events_after(self.store, stream, self.environments[name].version))

    def compare_in(self, name: str, reply: Reply, ok: int, outcome: Callable[[str], Answer]) -> Answer | None:
        return self.compare(self.environments[name], f"environment/{self.project_name}/{name}", reply, ok, outcome)

    def compare(
        self, model: Versioned, stream: str, reply: Reply, ok: int, outcome: Callable[[str], Answer]
    ) -> Answer | None:
        """Compare with the model's outcome at the moment that the ledger recorded; the ETag with what it recorded."""
        before = model.version
        recorded = list(events_after(self.store, stream, before))
        expected = outcome_or_refusal(outcome, moment_of(recorded))
        assert [event["version"] for event in recorded] == list(range(before + 1, model.version + 1))
        if isinstance(expected, Refused):
            assert reply.refusal == (expected.status, expected.code), reply
            assert not recorded
            return None
        assert (reply.status, reply.body, reply.etag) == (ok, expected, f'"{model.version}"')
        return expected


def outcome_or_refusal(outcome: Callable[[str], Answer], now: str) -> Answer | Refused:
    try:
        return outcome(now)
    except Refused as refused:
        return refused


def given(**values: Any) -> dict[str, Any]:
    """A body without the keys that were not given."""
    return {name: value for name, value in values.items() if value is not None}


def commit_of(version: str) -> str:
    return version.encode().hex().ljust(40, "0")[:40]


def as_stored(moment: str | None) -> str | None:
    """A moment as the ledger writes it: UTC with microseconds."""
    if moment is None:
        return None
    return datetime.fromisoformat(moment).astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(recorded: list[dict[str, Any]]) -> str:
    """When the ledger recorded; now, where it recorded nothing."""
    return str(recorded[-1]["recorded_at"]) if recorded else moment_of_now()


def moment_of_now(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec="microseconds")
