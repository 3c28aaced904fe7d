"""Release candidates: created once, of one commit for ever; listed newest first."""

from urllib.parse import quote

import pytest

from .client import REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

VERSION = "1.4.0-rc2"


def test_a_new_candidate(production: EnvironmentClient) -> None:
    """201 with the candidate, ready at once, by the e-mail of the token's owner."""
    answer = production.client.post(
        f"{production.project_path}/releases/{VERSION}", {"repo": REPO, "commit": commit_of(VERSION)}
    )

    body = fine(answer)
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"{production.project_path}/releases/{VERSION}")
    assert body | {"created_at": ""} == {
        "release_candidate_version": VERSION,
        "release_version": "1.4.0",
        "commit": commit_of(VERSION),
        "repo": REPO,
        "status": "ready",
        "created_at": "",
        "actor": "dev@example.com",
        "build_id": None,
        "build_url": None,
        "error_message": None,
        "commit_check": None,
    }


@pytest.mark.parametrize(
    "version", ["50%-rc1", "a%41-rc1", "a%2Fb-rc1", "a?b=c-rc1", "a#b-rc1", "é:🚀-rc1", "a;b@c+d-rc1"]
)
def test_the_location_of_a_candidate_is_its_own(production: EnvironmentClient, version: str) -> None:
    """Whatever a version holds, its Location leads to it and not to another."""
    answer = production.client.post(
        f"{production.project_path}/releases/{quote(version, safe='')}", {"repo": REPO, "commit": commit_of(version)}
    )

    there = fine(production.client.get(answer.headers["Location"]))

    assert there["release_candidate_version"] == version
    assert there == answer.get_json()


def test_the_same_candidate_again_records_nothing(production: EnvironmentClient, service: Service) -> None:
    """A retry is answered 201 with the same candidate, the commit's case does not matter."""
    path = f"{production.project_path}/releases/{VERSION}"
    first = production.client.post(path, {"repo": REPO, "commit": commit_of(VERSION)})
    known = service.event_count()

    again = production.client.post(path, {"repo": REPO, "commit": commit_of(VERSION).upper()})

    assert (again.status_code, again.get_json()) == (201, first.get_json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["ETag"] == first.headers["ETag"]
    assert service.event_count() == known


def test_the_same_version_of_another_commit(production: EnvironmentClient, service: Service) -> None:
    """A candidate is tied to one commit for ever: another one is a 409 and records nothing."""
    production.cut(VERSION)
    known = service.event_count()

    answer = production.client.post(
        f"{production.project_path}/releases/{VERSION}", {"repo": REPO, "commit": commit_of("other")}
    )

    refused(answer, 409, "release_candidate_exists", "Release candidate already exists")
    assert service.event_count() == known


@pytest.mark.parametrize("commit", ["A" * 40, "0123456789abcdefABCDEF" + "0" * 42])
def test_a_commit_is_folded_to_lower_case(production: EnvironmentClient, commit: str) -> None:
    """40 or 64 hex digits are a commit, kept in lower case."""
    answer = production.client.post(f"{production.project_path}/releases/{VERSION}", {"repo": REPO, "commit": commit})

    assert fine(answer)["commit"] == commit.lower()


@pytest.mark.parametrize(
    ("version", "release_version"),
    [
        ("2026.08.05-2-rc1", "2026.08.05-2"),
        ("1-rc1-rc0", "1-rc1"),
        ("x-rc999999999", "x"),
        ("v%C3%A9-rc1", "vé"),
        ("a" * 200 + "-rc1", "a" * 200),
        ("1.0+build%3F%23-rc1", "1.0+build?#"),
    ],
)
def test_a_version_is_never_normalised(production: EnvironmentClient, version: str, release_version: str) -> None:
    """The last `-rc` counts; everything before it is the release version, as it was sent."""
    path = f"{production.project_path}/releases/{version}"

    made = production.client.post(path, {"repo": REPO, "commit": commit_of(version)})

    assert fine(made)["release_version"] == release_version
    assert fine(production.client.get(path)) == made.get_json()
    assert fine(production.client.get(made.headers["Location"])) == made.get_json()


def test_case_makes_another_version(production: EnvironmentClient) -> None:
    """`v1-rc1` and `V1-rc1` are two candidates."""
    production.cut("v1-rc1")
    production.cut("V1-rc1")

    versions = [
        each["release_candidate_version"] for each in fine(production.client.get(f"{production.project_path}/releases"))
    ]
    assert versions == ["V1-rc1", "v1-rc1"]


def test_with_a_build_the_candidate_is_not_ready_at_once(production: EnvironmentClient) -> None:
    """With `trigger_build_workflow` a candidate is pending, and a deployment of it is a 409."""
    body = {"repo": REPO, "commit": commit_of(VERSION), "trigger_build_workflow": True}

    made = fine(production.client.post(f"{production.project_path}/releases/{VERSION}", body))
    answer = production.client.post(production.deployments_path, {"release_candidate_version": VERSION})

    assert made["status"] == "pending"
    refused(answer, 409, "release_candidate_not_ready", "Release candidate is not ready")


def test_another_repository_is_not_found(production: EnvironmentClient) -> None:
    """`repo` must be the project's; another one is the repository sentence."""
    answer = production.client.post(
        f"{production.project_path}/releases/{VERSION}", {"repo": "acme/other", "commit": commit_of(VERSION)}
    )

    refused(answer, 404, "repository_not_found", "GitHub repository not found")


def test_a_machine_is_no_actor(production: EnvironmentClient, service: Service) -> None:
    """The candidate of a token without an owner has no actor."""
    machine = service.client("deploy", name="ci")

    answer = machine.post(f"{production.project_path}/releases/{VERSION}", {"repo": REPO, "commit": commit_of(VERSION)})

    assert fine(answer)["actor"] is None


def test_when_it_was_cut_may_be_given(production: EnvironmentClient) -> None:
    """`occurred_at` is when it happened, with any offset; later than its arrival counts as its arrival."""
    path = f"{production.project_path}/releases"
    body = {"repo": REPO, "commit": commit_of(VERSION)}

    past = fine(production.client.post(f"{path}/1-rc1", {**body, "occurred_at": "2020-02-03T04:05:06+05:30"}))
    future = fine(production.client.post(f"{path}/1-rc2", {**body, "occurred_at": "2999-01-01T00:00:00Z"}))

    assert past["created_at"] == "2020-02-02T22:35:06.000000+00:00"
    assert future["created_at"] < "2999"


def test_an_unknown_candidate(admin: Client) -> None:
    """A candidate that was never cut is a 404 about the release."""
    project = admin.project("web")

    answer = admin.get(f"{project}/releases/{VERSION}")

    refused(answer, 404, "release_not_found", "Release not found")


@pytest.mark.parametrize("repo", ["", "web", "acme/", "acme/other", "https://github.com/acme/web", "acme/web/x"])
def test_any_other_text_as_repository_is_another_repository(production: EnvironmentClient, repo: str) -> None:
    """It is not the project's, however it is written."""
    body = {"repo": repo, "commit": commit_of("A-rc1")}

    answer = production.client.post(f"{production.project_path}/releases/A-rc1", body)

    refused(answer, 404, "repository_not_found", "GitHub repository not found")
