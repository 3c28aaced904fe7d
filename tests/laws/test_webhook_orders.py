"""Webhooks of one run come late, twice and out of order: every order ends in the same deployment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.client import REPO, EnvironmentClient, Service, alone, commit_of, fine
from tests.http.signing import WEBHOOK_SECRET, tell
from tests.support.github_contract import WEBHOOKS

WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
RUNS: Final = itertools.count(1)
VERSIONS: Final = itertools.count(1)
ENDS: Final = ("success", "failure", "cancelled", "timed_out", "action_required", "skipped")
ENDS_AS: Final = {"success": "success", "failure": "failure", "cancelled": "canceled", "timed_out": "failure"}


class Told(NamedTuple):
    """What one webhook says, and the real payload that it says it in."""

    payload: int
    status: str
    conclusion: str | None
    attempt: int
    updated_at: str


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Told], list[Told]]:
    """The webhooks of a run with two attempts, in two orders, with repetitions."""
    told, minute = [], 0
    for attempt in (1, 2):
        for status in ("requested", "queued", "waiting", "in_progress", "completed"):
            minute += draw(st.integers(0, 1))  # GitHub's moments are often the same
            conclusion = draw(st.sampled_from(ENDS)) if status == "completed" else None
            payload = draw(st.integers(0, len(WEBHOOKS) - 1))
            told.append(Told(payload, status, conclusion, attempt, f"2026-01-01T00:{minute:02}:00Z"))
        minute += 1
    orders = [draw(st.permutations(told + draw(st.lists(st.sampled_from(told), max_size=4)))) for _ in range(2)]
    return orders[0], orders[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(upgraded_url: str) -> Iterator[Service]:
    service = Service(upgraded_url, github_webhook_secret=WEBHOOK_SECRET, rate_limit=0)
    yield service
    service.close()


def webhook(told: Told, run: int, title: str) -> dict[str, Any]:
    """A real payload, rewritten to our run."""
    payload = WEBHOOKS[told.payload]
    of_run = told._asdict() | {"id": run, "display_title": title, "run_attempt": told.attempt}
    of_run |= {"event": "workflow_dispatch", "path": ".github/workflows/deploy.yml@main"}
    of_run["html_url"] = f"https://github.com/{REPO}/actions/runs/1"
    return payload | {
        "workflow_run": payload["workflow_run"] | of_run,
        "repository": payload["repository"] | {"full_name": REPO},
    }


def deployed(service: Service, production: EnvironmentClient, order: list[Told]) -> dict[str, Any]:
    """What a deployment has become after its run's webhooks in this order."""
    made, run = production.deploy("A-rc1"), next(RUNS)
    for told in order:
        answer = tell(service.stranger(), webhook(told, run, f"Deploy {made['id']}"))
        assert fine(answer) == {"deployment_id": made["id"]}
    shown = alone(production.client.get(f"{production.deployments_path}/{made['id']}"))
    return {
        name: shown[name] for name in ("status", "deploy_start_at", "deploy_end_at", "error_message", "external_url")
    }


def built(service: Service, production: EnvironmentClient, order: list[Told]) -> dict[str, Any]:
    """The same of a build."""
    version, run = f"{next(VERSIONS)}-rc1", next(RUNS)
    path = f"{production.project_path}/releases/{version}"
    body = {"repo": REPO, "commit": commit_of(version), "trigger_build_workflow": True}
    build_id = fine(production.client.post(path, body))["build_id"]
    for told in order:
        answer = tell(service.stranger(), webhook(told, run, f"Build {build_id}"))
        assert fine(answer) == {"release_cut_id": build_id}
    shown = fine(production.client.get(path))
    return {name: shown[name] for name in ("status", "error_message", "build_url")}


def test_every_order_ends_in_the_same_deployment(service: Service) -> None:
    """Status, times and message are those of the newest attempt, whatever came first, last or twice."""
    production = service.environment(deploy_workflow=WORKFLOW)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(stories())
    def holds(story: tuple[list[Told], list[Told]]) -> None:
        first, second = (deployed(service, production, order) for order in story)

        assert first == second
        last = max((told for told in story[0] if told.conclusion), key=lambda told: told.attempt)
        assert first["status"] == ENDS_AS.get(last.conclusion or "", "error")
        assert first["deploy_end_at"] == last.updated_at.replace("Z", ".000002+00:00")

    holds()


def test_every_order_ends_in_the_same_candidate(service: Service) -> None:
    """The same of a build."""
    production = service.environment()
    workflow = {"repo": REPO, "build_workflow": WORKFLOW}
    fine(production.client.put(production.project_path, workflow))

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(stories())
    def holds(story: tuple[list[Told], list[Told]]) -> None:
        first, second = (built(service, production, order) for order in story)

        assert first == second
        last = max((told for told in story[0] if told.conclusion), key=lambda told: told.attempt)
        assert first["status"] == ("ready" if last.conclusion == "success" else "failed")

    holds()
