"""The application as its callers see it: a service over one database, and clients bound to a token.

Versions are cut when they are first named, so that a test can say `deploy("A-rc1")` at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from release_ledger.access import Role
from release_ledger.api import create_app
from release_ledger.ledger import Caller, Ledger
from release_ledger.settings import Settings

Json = Mapping[str, Any]
REPO: Final = "acme/web"
BOTH_DATABASES: Final = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])
# For tests that can share one database: making one on PostgreSQL takes longer than most tests.
ON_BOTH_DATABASES: Final = pytest.mark.parametrize("lasting_service", ["sqlite", "postgresql"], indirect=True)
HTTP_SECRET: Final = "whsec_c2lnbnMgd2hhdCBpcyBzZW50IHRvIHdvcmtmbG93cw=="
OPERATOR: Final = Caller(recorded_by="command line")


def commit_of(version: str) -> str:
    """A commit of its own for each version."""
    return hashlib.sha1(version.encode()).hexdigest()


class Service:
    """The real application over one database."""

    def __init__(self, url: str, **settings: Any) -> None:
        """`settings` are more of `Settings`; requests to workflows can be signed unless they say otherwise."""
        self.app = create_app(Settings(database_url=url, **({"http_secret": HTTP_SECRET} | settings)))
        self._clients = 0

    @property
    def ledger(self) -> Ledger:
        ledger: Ledger = self.app.extensions["ledger"]
        return ledger

    def token(self, role: Role = "admin", *, name: str | None = None, **given: Any) -> str:
        """A new token; `given` are the `email`, `projects` and `expires_at` of `Ledger.create_token`."""
        self._clients += 1
        return self.ledger.create_token(name or f"{role}-{self._clients}", role=role, by=OPERATOR, **given)

    def client(self, role: Role = "admin", **given: Any) -> Client:
        """A client with a new token of its own."""
        return Client(self.app.test_client(), self.token(role, **given))

    def stranger(self) -> Client:
        """A client without a token."""
        return Client(self.app.test_client(), None)

    def environment(self, **settings: Any) -> EnvironmentClient:
        """A new environment, of a project and with an administrator of its own."""
        return self.client("admin").environment(project=f"project-{self._clients}", **settings)

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """What the database itself says."""
        with self.ledger.store.database.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), params).mappings()]

    def run(self, sql: str, **params: Any) -> None:
        """Change the database behind the ledger's back."""
        with self.ledger.store.database.engine.begin() as connection:
            connection.execute(text(sql), params)

    def event_count(self) -> int:
        return int(self.rows("select count(*) as n from events where stream <> 'access'")[0]["n"])

    def faults(self) -> set[str]:
        """The projections that were set aside for some stream."""
        return {row["projection"] for row in self.rows("select projection from projection_faults")}

    def close(self) -> None:
        self.ledger.close()


@dataclass(frozen=True)
class Client:
    """One caller. `send` takes any path, `environment` gives the short ways."""

    http: FlaskClient
    token: str | None

    def send(self, method: str, path: str, body: object = None, **given: Any) -> TestResponse:
        """A request with this caller's token; a body of bytes goes as it is, anything else as JSON."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        headers.update(given.pop("headers", {}))
        if isinstance(body, bytes):
            given = {"data": body, "content_type": "application/json"} | given
        elif body is not None:
            given = {"data": json.dumps(body), "content_type": "application/json"} | given
        url = urlsplit(path)
        # As a server passes it on; Flask's client would mend bytes that are no UTF-8.
        as_sent = {"PATH_INFO": unquote_to_bytes(url.path).decode("latin-1")}
        if url.query:
            given["query_string"] = url.query
        return self.http.open(
            url.path, method=method, headers=headers, environ_overrides=as_sent, buffered=True, **given
        )

    def get(self, path: str, **given: Any) -> TestResponse:
        return self.send("GET", path, **given)

    def put(self, path: str, body: object = None, **given: Any) -> TestResponse:
        return self.send("PUT", path, body, **given)

    def post(self, path: str, body: object = None, **given: Any) -> TestResponse:
        return self.send("POST", path, body, **given)

    def patch(self, path: str, body: object = None, **given: Any) -> TestResponse:
        return self.send("PATCH", path, body, **given)

    def delete(self, path: str, **given: Any) -> TestResponse:
        return self.send("DELETE", path, **given)

    def project(self, name: str = "web") -> str:
        """The path of a project that is there afterwards."""
        path = f"/api/releases/{name}"
        fine(self.put(path, {"repo": REPO}))
        return path

    def environment(self, name: str = "production", *, project: str = "web", **settings: Any) -> EnvironmentClient:
        """An environment that is there afterwards."""
        project_path = self.project(project)
        fine(self.put(f"{project_path}/environments/{name}", settings))
        return EnvironmentClient(self, project_path, name)


@dataclass(frozen=True)
class EnvironmentClient:
    """One environment, as one caller sees it."""

    client: Client
    project_path: str
    name: str
    known_versions: set[str] = field(default_factory=set, repr=False)

    @property
    def path(self) -> str:
        return f"{self.project_path}/environments/{self.name}"

    @property
    def deployments_path(self) -> str:
        return f"{self.path}/deployments"

    def cut(self, version: str) -> str:
        """The version, as a candidate that is there afterwards."""
        if version not in self.known_versions:
            body = {"repo": REPO, "commit": commit_of(version)}
            fine(self.client.post(f"{self.project_path}/releases/{version}", body))
            self.known_versions.add(version)
        return version

    def deploy(self, version: str, **body: Any) -> dict[str, Any]:
        """A deployment that was asked for and is pending."""
        body["release_candidate_version"] = self.cut(version)
        answer: dict[str, Any] = fine(self.client.post(self.deployments_path, body))
        return answer

    def report(self, version: str, status: str, **body: Any) -> dict[str, Any]:
        """The deployment after CI said how it stands."""
        body |= {"release_candidate_version": self.cut(version), "status": status}
        answer: dict[str, Any] = fine(self.client.patch(self.deployments_path, body))
        return answer

    def ran(self, *versions: str) -> None:
        """Each version was deployed with success, in this order."""
        for version in versions:
            self.deploy(version)
            self.report(version, "success")

    def press(self, **body: Any) -> TestResponse:
        """A press of rollback, whatever comes of it."""
        return self.client.post(f"{self.path}/rollback", body)

    def preview(self, query: str = "") -> dict[str, Any]:
        answer: dict[str, Any] = fine(self.client.get(f"{self.path}/rollback{query}"))
        return answer

    def shown(self) -> dict[str, Any]:
        """The environment as it stands."""
        answer: dict[str, Any] = fine(self.client.get(self.path))
        return answer

    def deployments(self, query: str = "") -> Any:
        return fine(self.client.get(f"{self.deployments_path}{query}"))


def fine(answer: TestResponse) -> Any:
    """The body of an answer that must be a success."""
    assert answer.status_code in (200, 201), f"{answer.status} {answer.text}"
    return answer.get_json()


def alone(answer: TestResponse) -> dict[str, Any]:
    """A deployment as it is shown alone, without the events that only this shows."""
    return {name: value for name, value in fine(answer).items() if name not in ("events", "events_total")}


def refused(answer: TestResponse, status: int, code: str, sentence: str | None = None) -> dict[str, Any]:
    """The body of an error, which must have this status and code, and the contract's shape."""
    assert (answer.status_code, answer.get_json(silent=True) and answer.get_json().get("code")) == (
        status,
        code,
    ), f"{answer.status} {answer.text}"
    body: dict[str, Any] = answer.get_json()
    assert is_error(answer), answer.text
    assert sentence in (None, body["error"])
    return body


def is_error(answer: TestResponse) -> bool:
    """Whether an answer has the shape that the contract gives to every error."""
    body = answer.get_json(silent=True)
    return (
        answer.content_type == "application/json"
        and isinstance(body, dict)
        and {"error", "code"} <= set(body) <= {"error", "code", "details"}
        and isinstance(body["error"], str)
        and isinstance(body["code"], str)
        and isinstance(body.get("details", {}), dict)
        and "X-Request-Id" in answer.headers
    )
