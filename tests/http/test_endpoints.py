"""What holds of every endpoint: the keys of an answer, its headers, its timestamps, and how lenient requests may be."""

from datetime import datetime
from typing import Any, Final

import pytest

from .client import REPO, Client, EnvironmentClient, Json, Service, alone, commit_of, fine

CANDIDATE_KEYS: Final = {
    "release_candidate_version", "release_version", "commit", "repo", "status", "created_at", "actor", "build_url",
}  # fmt: skip
DEPLOYMENT_KEYS: Final = {
    "actor", "deploy_end_at", "deploy_start_at", "environment_name", "error_message", "from_release_candidate_version",
    "from_release_version", "id", "release_candidate_version", "release_version", "status",
    "kind", "commit", "external_url", "recorded_by",
}  # fmt: skip
ENVIRONMENT_KEYS: Final = {
    "tier", "deploy_workflow", "rollback_strategy", "stuck_after_s",
    "name", "project_name", "running", "latest", "frozen", "freeze", "version",
}  # fmt: skip
PREVIEW_KEYS: Final = {"target", "strategy", "explanation", "would_cancel", "frozen", "considered"}


def moments(body: object) -> list[str]:
    """Every value of an answer that reads like a moment."""
    if isinstance(body, dict):
        own = [str(value) for key, value in body.items() if key.endswith("_at") and value is not None]
        return own + [moment for value in body.values() for moment in moments(value)]
    return [moment for value in body for moment in moments(value)] if isinstance(body, list) else []


@pytest.fixture
def lived_in(production: EnvironmentClient) -> EnvironmentClient:
    """An environment in which something of every kind has happened."""
    production.ran("A-rc1", "B-rc1")
    production.report("C-rc1", "in_progress")
    fine(production.press())
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays", "until": "2999-01-01T00:00:00Z"}))
    return production


def test_the_keys_of_a_candidate(lived_in: EnvironmentClient) -> None:
    """A candidate has every key that the contract names, whoever asks for it."""
    candidates = fine(lived_in.client.get(f"{lived_in.project_path}/releases"))
    one = fine(lived_in.client.get(f"{lived_in.project_path}/releases/A-rc1"))

    assert all(set(each) >= CANDIDATE_KEYS for each in [*candidates, one])


def test_the_keys_of_a_deployment(lived_in: EnvironmentClient) -> None:
    """A deployment has every key that the contract names, in lists, alone and inside an environment."""
    listed = lived_in.deployments()
    shown = lived_in.shown()
    each_alone = [alone(lived_in.client.get(f"{lived_in.deployments_path}/{each['id']}")) for each in listed]

    assert all(set(each) >= DEPLOYMENT_KEYS for each in [*listed, *each_alone, shown["running"], shown["latest"]])
    assert each_alone == listed


def test_the_keys_of_an_environment(lived_in: EnvironmentClient) -> None:
    """An environment has every key that the contract names, and so has its freeze."""
    shown = lived_in.shown()
    listed = fine(lived_in.client.get(f"{lived_in.project_path}/environments"))

    assert set(shown) >= ENVIRONMENT_KEYS
    assert set(shown["freeze"]) == {"reason", "until", "frozen_by", "frozen_at"}
    assert listed == [shown]


def test_the_keys_of_a_project_and_of_a_preview(lived_in: EnvironmentClient) -> None:
    """A project shows its settings, a preview what a rollback would do and what it looked at."""
    project = fine(lived_in.client.get(lived_in.project_path))
    preview = lived_in.preview()

    assert set(project) >= {"name", "repo", "build_workflow"}
    assert set(preview) >= PREVIEW_KEYS
    assert all(set(each) == {"release_candidate_version", "id", "verdict", "why"} for each in preview["considered"])


def test_moments_are_utc_with_an_offset(lived_in: EnvironmentClient) -> None:
    """Every moment in every answer is ISO 8601 in UTC and ends with the offset; SQLite loses nothing of it."""
    paths = ["", "/environments", "/environments/production", "/environments/production/deployments", "/releases"]

    found = [each for path in paths for each in moments(fine(lived_in.client.get(f"{lived_in.project_path}{path}")))]

    assert len(found) > 20
    assert all(each.endswith("+00:00") and datetime.fromisoformat(each) for each in found)


def test_ids_are_strings(lived_in: EnvironmentClient) -> None:
    """An id is a string, never a number."""
    assert all(isinstance(each["id"], str) and each["id"] for each in lived_in.deployments())


def test_an_etag_is_the_version_of_the_stream_that_an_answer_is_about(lived_in: EnvironmentClient) -> None:
    """The environment's stream for its deployments and rollback, the project's for its settings and candidates."""
    paths = ["", "/deployments", "/rollback", f"/deployments/{lived_in.deployments()[0]['id']}"]
    of_environment = {lived_in.client.get(f"{lived_in.path}{path}").headers["ETag"] for path in paths}
    of_project = {lived_in.client.get(f"{lived_in.project_path}{p}").headers["ETag"] for p in ("", "/releases")}

    assert of_environment == {f'"{lived_in.shown()["version"]}"'}
    assert of_project == {'"4"'}  # one for the settings, three candidates


def test_every_write_moves_the_etag_by_its_events(production: EnvironmentClient, service: Service) -> None:
    """The ETag of a write is the version that it made, which counts the stream's events."""
    production.cut("A-rc1")
    before, known = production.shown()["version"], service.event_count()

    answer = production.client.patch(
        production.deployments_path, {"release_candidate_version": "A-rc1", "status": "success"}
    )

    written = service.event_count() - known
    assert answer.headers["ETag"] == f'"{before + written}"'
    assert production.shown()["version"] == before + written


DEPLOYMENTS: Final = "/api/releases/web/environments/production/deployments{slash}"
WRITES: Final[list[tuple[str, str, Json, int]]] = [
    ("PUT", "/api/releases/other{slash}", {"repo": REPO}, 201),
    ("PUT", "/api/releases/web/environments/staging{slash}", {}, 201),
    ("POST", "/api/releases/web/releases/B-rc1{slash}", {"repo": REPO, "commit": commit_of("B-rc1")}, 201),
    ("POST", DEPLOYMENTS, {"release_candidate_version": "A-rc1"}, 201),
    ("POST", "/api/releases/web/environments/production/rollback{slash}", {"to": "A-rc1"}, 201),
    ("PATCH", DEPLOYMENTS, {"release_candidate_version": "A-rc1", "status": "success"}, 200),
    ("PUT", "/api/releases/web/environments/production/freeze{slash}", {"reason": "why not"}, 200),
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("method", "path", "body", "status"), WRITES)
def test_what_was_created_is_where_its_location_says(
    production: EnvironmentClient, method: str, path: str, body: Json, status: int, slash: str
) -> None:
    """A trailing slash is accepted; 201 comes with a Location at which the same is found."""
    production.ran("A-rc1")

    answer = production.client.send(method, path.format(slash=slash), body)

    assert answer.status_code == status
    assert ("Location" in answer.headers) == (status == 201)
    if status == 201:
        found = production.client.get(answer.headers["Location"])
        assert alone(found) == answer.get_json()
        assert found.headers["ETag"] == answer.headers["ETag"]


@pytest.mark.parametrize("path", ["", "/web", "/web/environments", "/web/environments/production", "/web/releases"])
def test_reading_accepts_a_trailing_slash(production: EnvironmentClient, path: str) -> None:
    """With a trailing slash the answer is the same."""
    plain = production.client.get(f"/api/releases{path}")
    slashed = production.client.get(f"/api/releases{path}/")

    assert fine(plain) == fine(slashed)


@pytest.mark.parametrize("content_type", [None, "application/json"])
@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_an_empty_body_is_accepted_where_every_key_is_optional(
    production: EnvironmentClient, body: bytes, content_type: str | None
) -> None:
    """A rollback and an environment need no body, with or without a content type."""
    production.ran("A-rc1", "B-rc1")

    made = production.client.put(f"{production.project_path}/environments/staging", body, content_type=content_type)
    pressed = production.client.post(f"{production.path}/rollback", body, content_type=content_type)

    assert (made.status_code, pressed.status_code) == (201, 201)


@pytest.mark.parametrize(("method", "path", "body", "status"), WRITES)
def test_unknown_keys_are_ignored(
    production: EnvironmentClient, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    """A pipeline that sends more than the contract knows is understood all the same."""
    production.ran("A-rc1")
    more = {**body, "unknown": {"nested": [1.5, None, "x"]}, "page": 1, "self": "me"}

    answer = production.client.send(method, path.format(slash=""), more)

    assert answer.status_code == status


def test_names_are_case_sensitive(admin: Client) -> None:
    """`Web` and `web` are two projects, `Production` and `production` two environments."""
    upper, lower = admin.environment("Production", project="Web"), admin.environment("production", project="web")
    upper.ran("A-rc1")

    assert lower.deployments() == []
    assert admin.get(f"{upper.project_path}/environments/production").status_code == 404
    assert [each["name"] for each in fine(admin.get("/api/releases"))] == ["Web", "web"]


def test_a_project_may_have_inner_spaces(admin: Client) -> None:
    """A project's name with spaces is URL-encoded in its paths, in Location and in Link."""
    environment = admin.environment("production", project="My%20Project_1-x")

    environment.ran("A-rc1")
    answer = admin.post(environment.deployments_path, {"release_candidate_version": "A-rc1"})
    listed = admin.get(environment.deployments_path)

    assert environment.shown()["project_name"] == "My Project_1-x"
    assert "/My%20Project_1-x/" in answer.headers["Location"]
    assert " " not in listed.headers["Link"].split("; ")[0]
    assert alone(admin.get(answer.headers["Location"])) == answer.get_json()
