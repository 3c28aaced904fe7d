"""The order of checks: a request that is wrong in two ways is told of the one that is checked first."""

from itertools import combinations
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

ERRORS: Final = {
    "authenticate": (401, "unauthorized"),
    "authorise": (403, "forbidden"),
    "syntax": (400, "invalid_request"),
    "project": (404, "project_not_found"),
    "environment": (404, "environment_not_found"),
    "release": (404, "release_not_found"),
    "rules": (400, "environment_frozen"),
}


class Callers:
    """A frozen environment, and one caller of each sort; nothing of it is ever changed."""

    def __init__(self, service: Service) -> None:
        self.production: EnvironmentClient = service.environment()
        self.production.ran("A-rc1", "B-rc1")
        fine(self.production.client.put(f"{self.production.path}/freeze", {"reason": "holidays"}))
        self.stranger, self.reader = service.stranger(), service.client("read")

    def path(self, wrong: set[str], *, impossible: bool) -> str:
        """The environment's path; what is wrong in it is a name that none has, or none could have."""
        project = "no$where" if impossible else "nowhere"
        path = f"/api/releases/{project}" if "project" in wrong else self.production.project_path
        return f"{path}/environments/{project if 'environment' in wrong else 'production'}"

    def client(self, wrong: set[str]) -> Client:
        if "authenticate" in wrong:
            return self.stranger
        return self.reader if "authorise" in wrong else self.production.client


@pytest.fixture(scope="module")
def callers(lasting_service: Service) -> Callers:
    return Callers(lasting_service)


def deploy(callers: Callers, wrong: set[str], *, impossible: bool = False) -> TestResponse:
    """A POST of a deployment that is wrong in these ways."""
    body: dict[str, Any] = {
        "release_candidate_version": "uncut-rc1" if "release" in wrong else "A-rc1",
        "force": "perhaps" if "syntax" in wrong else False,
    }
    return callers.client(wrong).post(f"{callers.path(wrong, impossible=impossible)}/deployments", body)


def roll_back(callers: Callers, wrong: set[str], *, impossible: bool = False) -> TestResponse:
    """A POST of a rollback that is wrong in these ways."""
    body: dict[str, Any] = {
        "to": "uncut-rc1" if "release" in wrong else "A-rc1",
        "force": "perhaps" if "syntax" in wrong else False,
    }
    return callers.client(wrong).post(f"{callers.path(wrong, impossible=impossible)}/rollback", body)


@pytest.mark.parametrize("request_wrong", [deploy, roll_back])
@pytest.mark.parametrize("impossible", [False, True], ids=["unknown names", "impossible names"])
@pytest.mark.parametrize("wrong", list(combinations(ERRORS, 2)), ids=" and ".join)
def test_two_things_wrong(callers: Callers, wrong: tuple[str, str], impossible: bool, request_wrong: Any) -> None:
    """Of two things wrong, the first in the contract's order is answered."""
    answer = request_wrong(callers, set(wrong), impossible=impossible)

    refused(answer, *ERRORS[wrong[0]])


@pytest.mark.parametrize("wrong", ERRORS)
def test_one_thing_wrong(callers: Callers, wrong: str) -> None:
    """Each check is reached when all before it pass (the frozen environment is wrong by itself)."""
    refused(deploy(callers, {wrong}), *ERRORS[wrong])


REPORT_STEPS: Final = ["authenticate", "authorise", "syntax", "project", "environment", "release", "id"]


@pytest.mark.parametrize("wrong", list(combinations(REPORT_STEPS, 2)), ids=" and ".join)
def test_a_report_with_two_things_wrong(callers: Callers, wrong: tuple[str, str]) -> None:
    """A report is checked in the same order; the deployment that it names is looked for last."""
    body = {
        "release_candidate_version": "uncut-rc1" if "release" in wrong else "A-rc1",
        "status": "done" if "syntax" in wrong else "success",
        "id": "0" if "id" in wrong else callers.production.deployments()[1]["id"],
    }

    answer = callers.client(set(wrong)).patch(f"{callers.path(set(wrong), impossible=False)}/deployments", body)

    errors = ERRORS | {"syntax": (400, "invalid_status"), "id": (404, "deployment_not_found")}
    refused(answer, *errors[wrong[0]])


CUT_STEPS: Final = ["authenticate", "authorise", "version", "commit", "project", "repo", "commit of another"]
# One commit cannot be wrong in both ways.
CUT_PAIRS: Final = [pair for pair in combinations(CUT_STEPS, 2) if pair != ("commit", "commit of another")]


@pytest.mark.parametrize("wrong", CUT_PAIRS, ids=" and ".join)
def test_a_candidate_with_two_things_wrong(callers: Callers, wrong: tuple[str, str]) -> None:
    """The path is read before the body; then come the project, its repository and what is known of the version."""
    version = "A" if "version" in wrong else "A-rc1"
    commit = "abc" if "commit" in wrong else commit_of("other" if "commit of another" in wrong else "A-rc1")
    body = {"repo": "acme/other" if "repo" in wrong else REPO, "commit": commit}
    project = "/api/releases/nowhere" if "project" in wrong else callers.production.project_path

    answer = callers.client(set(wrong)).post(f"{project}/releases/{version}", body)

    errors = ERRORS | {
        "version": (400, "invalid_release_candidate_version"),
        "commit": (400, "invalid_commit"),
        "repo": (404, "repository_not_found"),
        "commit of another": (409, "release_candidate_exists"),
    }
    refused(answer, *errors[wrong[0]])


def test_a_stranger_learns_nothing_of_a_body(callers: Callers) -> None:
    """Neither the size nor the sort of a body is looked at before the token."""
    path = callers.production.deployments_path

    too_large = callers.stranger.post(path, b" " * (2 * 1024 * 1024))
    not_json = callers.stranger.post(path, b"a=1", content_type="application/x-www-form-urlencoded")

    refused(too_large, 401, "unauthorized")
    refused(not_json, 401, "unauthorized")


def test_a_limited_token_learns_nothing_of_other_projects(lasting_service: Service, callers: Callers) -> None:
    """Out of its projects, a token is 403 whether the project is there, is not, or could not be."""
    limited = lasting_service.client("admin", projects=["its-own"])

    for project in (callers.production.project_path, "/api/releases/nowhere", "/api/releases/no$where"):
        refused(limited.get(project), 403, "forbidden")
        refused(limited.put(project, {"repo": 7}), 403, "forbidden")


def test_the_query_is_syntax(callers: Callers) -> None:
    """A query is read before the project is looked for."""
    answer = callers.production.client.get("/api/releases/nowhere/releases?page=0")

    refused(answer, 400, "invalid_request")
