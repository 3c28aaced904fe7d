"""Any JSON, at every endpoint that takes a body: never a 5xx, and always an answer of the contract's shape."""

from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from .client import EnvironmentClient, Json, Service, is_error

ROUTES: Final = [
    ("PUT", "/api/releases/web"),
    ("PUT", "/api/releases/web/environments/production"),
    ("PUT", "/api/releases/web/environments/production/freeze"),
    ("POST", "/api/releases/web/releases/A-rc1"),
    ("POST", "/api/releases/web/environments/production/deployments"),
    ("PATCH", "/api/releases/web/environments/production/deployments"),
    ("POST", "/api/releases/web/environments/production/rollback"),
]
KEYS: Final = st.sampled_from(
    [
        "repo",
        "build_workflow",
        "tier",
        "deploy_workflow",
        "rollback_strategy",
        "stuck_after_s",
        "reason",
        "until",
        "commit",
        "occurred_at",
        "force",
        "id",
        "trigger_build_workflow",
        "release_candidate_version",
        "status",
        "error_message",
        "external_url",
        "strategy",
        "to",
        "kind",
        "url",
    ]
)
USUAL: Final[SearchStrategy[Any]] = st.sampled_from(
    ["acme/web", "a" * 40, "A-rc1", "B-rc1", "success", "pending", "in_progress", "previous", "walk_back", "production",
     "2026-01-01T00:00:00Z", "2999-01-01T00:00:00+00:00", "https://example.com", "github", True, False, 60]
)  # fmt: skip
ODD: Final = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES: Final = st.recursive(
    USUAL | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
)
BODIES: Final = st.dictionaries(KEYS | st.text(max_size=5), USUAL | VALUES, max_size=8) | VALUES
REPORTS: Final = st.fixed_dictionaries(
    {"release_candidate_version": st.sampled_from(["A-rc1", "B-rc1"]), "status": USUAL},
    optional={"id": USUAL | ODD, "error_message": ODD, "external_url": USUAL | ODD, "occurred_at": USUAL | ODD},
)
PATHS: Final = [
    "/api/releases/{}",
    "/api/releases/{}/environments",
    "/api/releases/web/releases/{}",
    "/api/releases/web/releases/{}-rc1",
    "/api/releases/web/environments/{}",
    "/api/releases/web/environments/production/deployments/{}",
    "/api/releases/web/environments/production/deployments?status={}",
    "/api/releases/web/environments/production/deployments?page={}",
    "/api/releases/web/environments/production/rollback?to={}-rc1",
]
STATUSES: Final = {200, 201, 400, 401, 403, 404, 409, 413, 415}


@pytest.fixture(scope="module")
def production(lasting_service: Service) -> EnvironmentClient:
    """The environment of the routes."""
    environment = lasting_service.client("admin").environment("production", project="web")
    for version in ("A-rc1", "B-rc1"):
        environment.cut(version)
    return environment


@settings(max_examples=300)
@given(route=st.sampled_from(ROUTES), body=BODIES)
def test_any_json_is_answered_or_refused(production: EnvironmentClient, route: tuple[str, str], body: object) -> None:
    """A success is an object, anything else an error of the table; nothing is a 5xx."""
    answer = production.client.send(*route, b"null" if body is None else body)

    assert answer.status_code in STATUSES, f"{answer.status} {answer.text}"
    assert isinstance(answer.get_json(), dict) if answer.status_code < 300 else is_error(answer)


@settings(max_examples=60)
@given(reports=st.lists(REPORTS, min_size=1, max_size=4))
def test_after_any_reports_every_question_has_an_answer(production: EnvironmentClient, reports: list[Json]) -> None:
    """Reports, taken or refused, leave an environment, a list and a preview that can be read and agree."""
    for report in reports:
        answer = production.client.patch(production.deployments_path, report)
        assert answer.status_code in (200, 400, 404), f"{answer.status} {answer.text}"

    newest = production.deployments("?per_page=1")
    shown, preview = production.shown(), production.preview()

    assert newest == [shown["latest"]] if shown["latest"] else newest == []
    assert all(
        production.client.get(f"{production.deployments_path}/{each}").status_code == 200
        for each in preview["would_cancel"]
    )


@settings(max_examples=50)
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_refused_or_answered(production: EnvironmentClient, raw: bytes) -> None:
    """What is no JSON at all is a 400, at any endpoint, and no 5xx."""
    for method, path in ROUTES:
        answer = production.client.send(method, path, raw)

        assert answer.status_code in STATUSES, f"{answer.status} {answer.text}"
        assert answer.status_code < 300 or is_error(answer)


@settings(max_examples=150)
@given(
    name=st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=30),
    path=st.sampled_from(PATHS),
)
def test_any_name_is_known_or_unknown(production: EnvironmentClient, name: str, path: str) -> None:
    """Whatever stands for a name in a path or a query, the answer is a success or an ordinary refusal."""
    answer = production.client.get(path.format(quote(name, safe="")))

    assert answer.status_code in {200, 400, 404}, f"{answer.status} {answer.text}"
    assert answer.status_code == 200 or is_error(answer)
