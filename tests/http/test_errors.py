"""The table of errors, row by row, and the shape that every refusal has."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine, is_error, refused

Refused = Callable[[EnvironmentClient], TestResponse]


def cut(production: EnvironmentClient, version: str, **body: Any) -> TestResponse:
    body = {"repo": REPO, "commit": commit_of(version)} | body
    return production.client.post(f"{production.project_path}/releases/{version}", body)


def deploy(production: EnvironmentClient, version: str, path: str = "") -> TestResponse:
    return production.client.post(path or production.deployments_path, {"release_candidate_version": version})


def report(production: EnvironmentClient, **body: Any) -> TestResponse:
    return production.client.patch(
        production.deployments_path, {"release_candidate_version": "A-rc1", "status": "success"} | body
    )


def cut_twice(production: EnvironmentClient) -> TestResponse:
    production.cut("A-rc1")
    return cut(production, "A-rc1", commit=commit_of("other"))


def deploy_unready(production: EnvironmentClient) -> TestResponse:
    fine(cut(production, "B-rc1", trigger_build_workflow=True))
    return deploy(production, "B-rc1")


def deploy_frozen(production: EnvironmentClient) -> TestResponse:
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))
    return deploy(production, production.cut("A-rc1"))


def deploy_once_more(production: EnvironmentClient) -> TestResponse:
    for _ in range(100):
        production.deploy("A-rc1")
    return deploy(production, "A-rc1")


def with_token(production: EnvironmentClient, token: str | None) -> TestResponse:
    return Client(production.client.http, token).get(production.path)


TABLE: Final[list[tuple[int, str, str, Refused]]] = [
    (400, "invalid_release_candidate_version", "Invalid release candidate version", lambda p: cut(p, "1.0")),
    (400, "invalid_release_candidate_version", "Invalid release candidate version", lambda p: deploy(p, "1.0-rc01")),
    (400, "invalid_commit", "Invalid commit hash", lambda p: cut(p, "A-rc1", commit="abc")),
    (400, "invalid_commit", "Invalid commit hash", lambda p: cut(p, "A-rc1", commit=None)),
    (400, "invalid_commit", "Invalid commit hash", lambda p: cut(p, "A-rc1", commit=int("1" * 40))),
    (400, "invalid_status", "Invalid deployment status", lambda p: report(p, status="Success")),
    (400, "invalid_status", "Invalid deployment status", lambda p: report(p, status=None)),
    (400, "invalid_request", "Invalid request", lambda p: p.press(force="yes")),
    (400, "invalid_request", "Invalid request", lambda p: p.press(to="A-rc1", strategy="previous")),
    (400, "environment_frozen", "Environment is frozen", deploy_frozen),
    (401, "unauthorized", "unauthorized", lambda p: with_token(p, None)),
    (404, "project_not_found", "Release project not found", lambda p: p.client.get("/api/releases/nowhere")),
    (404, "environment_not_found", "Release environment not found", lambda p: p.client.get(f"{p.path}2")),
    (404, "release_not_found", "Release not found", lambda p: deploy(p, "uncut-rc1")),
    (404, "release_not_found", "Release not found", lambda p: report(p, release_candidate_version="uncut-rc1")),
    (404, "deployment_not_found", "Deployment not found", lambda p: p.client.get(f"{p.deployments_path}/0")),
    (404, "repository_not_found", "GitHub repository not found", lambda p: cut(p, "A-rc1", repo="acme/other")),
    (404, "no_rollback_target", "No previous deployment to roll back from", lambda p: p.press()),
    (409, "release_candidate_exists", "Release candidate already exists", cut_twice),
    (409, "release_candidate_not_ready", "Release candidate is not ready", deploy_unready),
    (409, "too_many_unfinished", "Too many unfinished deployments", deploy_once_more),
]


@pytest.mark.parametrize(("status", "code", "sentence", "request_refused"), TABLE)
def test_the_table(
    production: EnvironmentClient, status: int, code: str, sentence: str, request_refused: Refused
) -> None:
    """Every row answers with its status, its code and its sentence, to the letter, in the shape of all errors."""
    answer = request_refused(production)

    assert refused(answer, status, code)["error"] == sentence


def test_a_refusal_records_nothing(production: EnvironmentClient, service: Service) -> None:
    """What was refused has left no trace in any stream."""
    production.cut("A-rc1")
    known = service.event_count()

    for _, _, _, request_refused in TABLE:
        if request_refused not in (deploy_frozen, deploy_unready, deploy_once_more):
            assert request_refused(production).status_code >= 400

    assert service.event_count() == known


def test_forbidden(production: EnvironmentClient, service: Service) -> None:
    """A token of a lower role is 403, with the role that is needed."""
    answer = service.client("read").post(f"{production.path}/rollback")

    assert refused(answer, 403, "forbidden", "forbidden")["details"] == {"needed": "deploy"}


@pytest.mark.parametrize("path", ["/", "/api", "/api/releases//", "/api/releases/web/nothing", "/healthz/x", "/docs/x"])
def test_an_unknown_path(admin: Client, service: Service, path: str) -> None:
    """An unknown path is a 404 in the contract's shape, with a token and without."""
    for client in (admin, service.stranger()):
        answer = client.get(path)

        assert answer.status_code == 404
        assert is_error(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/releases/web", {"GET", "HEAD", "PUT"}),
        ("PUT", "/api/releases/web/environments/production/deployments", {"GET", "HEAD", "POST", "PATCH"}),
        ("GET", "/api/releases/web/environments/production/freeze", {"DELETE", "PUT"}),
        ("PUT", "/api/releases/web/releases/A-rc1", {"GET", "HEAD", "POST", "PATCH"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("POST", "/docs/docs.js", {"GET", "HEAD"}),
        ("BREW", "/api/releases", {"GET", "HEAD"}),
        ("OPTIONS", "/api/releases", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_a_path_does_not_know(admin: Client, method: str, path: str, allowed: set[str]) -> None:
    """405, in the contract's shape, with all methods that the path does know."""
    answer = admin.send(method, path)

    refused(answer, 405, "method_not_allowed")
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == allowed


def test_a_head_request_has_the_headers_of_a_get(production: EnvironmentClient) -> None:
    """HEAD answers as GET does, without the body."""
    answer = production.client.send("HEAD", production.path)

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["ETag"] == production.client.get(production.path).headers["ETag"]


REQUESTS_WITH_ANY_END: Final[list[tuple[str, str]]] = [
    ("GET", "/healthz"),
    ("GET", "/api/releases"),
    ("GET", "/api/releases/nowhere"),
    ("GET", "/nowhere"),
    ("DELETE", "/api/releases"),
    ("PUT", "/api/releases/web"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS_WITH_ANY_END)
def test_the_request_id_is_taken_and_returned(admin: Client, method: str, path: str) -> None:
    """Up to 128 characters are taken as they are, on successes and errors alike."""
    for given in ("ci-run-7", "x" * 128):
        answer = admin.send(method, path, headers={"X-Request-Id": given})

        assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize(("method", "path"), REQUESTS_WITH_ANY_END)
@pytest.mark.parametrize("given", [None, "", "x" * 129, "é", "tab\tbed"])
def test_a_request_id_is_made_where_none_can_be_taken(admin: Client, method: str, path: str, given: str | None) -> None:
    """Without one, or with one that is too long or not plain text, each request gets a new one."""
    headers = {} if given is None else {"X-Request-Id": given}

    made = [admin.send(method, path, headers=headers).headers["X-Request-Id"] for _ in range(2)]

    assert len({*made, given}) == 3
    assert all(0 < len(each) <= 128 for each in made)


def test_the_request_id_is_kept_in_the_event(admin: Client, service: Service) -> None:
    """An auditor finds the request by the id that its caller knows."""
    admin.put("/api/releases/web", {"repo": REPO}, headers={"X-Request-Id": "ci-run-7"})

    states = [bytes(row["state"]) for row in service.rows("select state from events where stream = 'project/web'")]

    assert b'"request_id":"ci-run-7"' in states[0]
