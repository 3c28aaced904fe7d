"""Projects and environments: settings that a PUT replaces; freezes."""

from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any, Final

import pytest

from .client import REPO, Client, EnvironmentClient, Service, fine, refused

WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main", "parameters": {"color": "blue"}}


def test_a_project_is_new_then_the_same_then_changed(admin: Client, service: Service) -> None:
    """201 for a new one; 200 for the same, which records nothing, and for a change."""
    path = "/api/releases/web"

    new = admin.put(path, {"repo": REPO})
    same = admin.put(path, {"repo": REPO})
    known = service.event_count()
    changed = admin.put(path, {"repo": "acme/other", "build_workflow": WORKFLOW})

    assert [each.status_code for each in (new, same, changed)] == [201, 200, 200]
    assert ["Location" in each.headers for each in (new, same, changed)] == [True, False, False]
    assert [each.headers["ETag"] for each in (new, same, changed)] == ['"1"', '"1"', '"2"']
    assert known == 1
    assert fine(admin.get(path)) == fine(changed)
    assert fine(changed)["build_workflow"] == WORKFLOW


def test_a_put_of_a_project_replaces(admin: Client) -> None:
    """An absent `build_workflow` takes its default; so does null."""
    admin.put("/api/releases/web", {"repo": REPO, "build_workflow": WORKFLOW})

    replaced = fine(admin.put("/api/releases/web", {"repo": REPO}))
    admin.put("/api/releases/web", {"repo": REPO, "build_workflow": WORKFLOW})
    emptied = fine(admin.put("/api/releases/web", {"repo": REPO, "build_workflow": None}))

    assert replaced["build_workflow"] is None
    assert emptied["build_workflow"] is None


def test_projects_are_listed_by_name(admin: Client) -> None:
    """The projects, a bare array, each as it is shown alone."""
    for name in ("b", "a", "B"):
        admin.project(name)

    listed = fine(admin.get("/api/releases"))

    assert [each["name"] for each in listed] == ["B", "a", "b"]
    assert listed == [fine(admin.get(f"/api/releases/{each['name']}")) for each in listed]


def test_a_new_environment_has_the_defaults(admin: Client) -> None:
    """Without a body an environment is made with every default, and runs nothing."""
    project = admin.project("web")

    made = admin.put(f"{project}/environments/production")

    assert made.status_code == 201
    assert fine(made) | {"created_at": "", "unfinished": 0} == {
        "name": "production",
        "project_name": "web",
        "tier": "development",
        "deploy_workflow": None,
        "rollback_strategy": "previous",
        "stuck_after_s": None,
        "running": None,
        "latest": None,
        "frozen": False,
        "freeze": None,
        "version": 1,
        "created_at": "",
        "unfinished": 0,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"tier": "production"},
        {"tier": "staging", "rollback_strategy": "walk_back"},
        {"deploy_workflow": WORKFLOW, "stuck_after_s": 60},
        {"deploy_workflow": WORKFLOW | {"prefix": "ci_"}, "stuck_after_s": 1},
        {"deploy_workflow": {"kind": "http", "url": "https://deploy.example/hook"}},
    ],
)
def test_a_put_of_an_environment_replaces(production: EnvironmentClient, settings: dict[str, Any]) -> None:
    """What is given is set, what is absent takes its default, whatever it was before."""
    default = production.shown()

    given = fine(production.client.put(production.path, settings))
    again = production.client.put(production.path, settings)
    replaced = production.client.put(production.path, {})

    assert {name: given[name] for name in settings} == settings
    assert (again.status_code, fine(again)) == (200, given)
    assert (replaced.status_code, fine(replaced)) == (200, default | {"version": 3})


def test_a_workflow_makes_deployments_count_as_stuck(production: EnvironmentClient) -> None:
    """`stuck_after_s` is an hour where a workflow is set, else never; null says never."""
    with_workflow = fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW}))
    never = fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW, "stuck_after_s": None}))

    assert with_workflow["stuck_after_s"] == 3600
    assert never["stuck_after_s"] is None


def test_an_environment_shows_what_runs_and_what_came_last(production: EnvironmentClient) -> None:
    """`running` is the newest success, `latest` the newest deployment, `version` the stream's."""
    production.ran("A-rc1")
    failed = production.report("B-rc1", "failure")

    shown = production.shown()

    assert shown["running"] == production.deployments()[1]
    assert shown["latest"] == failed
    assert shown["version"] == 5  # configured, requested, succeeded; requested, failed


def test_environments_are_listed_by_name(admin: Client) -> None:
    """The project's environments and no other's, each as it is shown alone."""
    for name in ("staging", "production", "QA_1-x"):
        admin.environment(name, project="web").ran("A-rc1")
    admin.environment("other", project="web2")

    listed = fine(admin.get("/api/releases/web/environments"))

    assert [each["name"] for each in listed] == ["QA_1-x", "production", "staging"]
    assert listed == [fine(admin.get(f"/api/releases/web/environments/{each['name']}")) for each in listed]


def test_freeze_and_unfreeze(production: EnvironmentClient) -> None:
    """PUT freezes, saying who, when and why; DELETE lifts it; both answer 200 with the environment."""
    frozen = production.client.put(f"{production.path}/freeze", {"reason": "holidays"})
    lifted = production.client.delete(f"{production.path}/freeze")

    freeze = fine(frozen)["freeze"]
    assert (frozen.status_code, fine(frozen)["frozen"]) == (200, True)
    assert freeze | {"frozen_at": ""} == {
        "reason": "holidays",
        "until": None,
        "frozen_by": "dev@example.com",
        "frozen_at": "",
    }
    assert frozen.headers["ETag"] == f'"{fine(frozen)["version"]}"'
    assert (lifted.status_code, fine(lifted)["frozen"], fine(lifted)["freeze"]) == (200, False, None)


def test_unfreeze_when_not_frozen(production: EnvironmentClient, service: Service) -> None:
    """DELETE also when not frozen: 200, and nothing is recorded."""
    known = service.event_count()

    answer = production.client.delete(f"{production.path}/freeze")

    assert fine(answer) == production.shown()
    assert service.event_count() == known


def test_a_freeze_again_changes_reason_and_until(production: EnvironmentClient) -> None:
    """A second freeze replaces the first; the same again records nothing."""
    fine(production.client.put(f"{production.path}/freeze", {"reason": "one"}))
    body = {"reason": "two", "until": "2999-12-31T23:59:59-01:00"}

    second = production.client.put(f"{production.path}/freeze", body)
    third = production.client.put(f"{production.path}/freeze", body)

    freeze = fine(second)["freeze"]
    assert (freeze["reason"], freeze["until"]) == ("two", "3000-01-01T00:59:59.000000+00:00")
    assert fine(third) == fine(second)


def test_a_freeze_past_its_until_freezes_nothing(production: EnvironmentClient) -> None:
    """Once `until` has passed the environment is not frozen, and commands are taken again."""
    until = datetime.now(UTC) + timedelta(seconds=0.3)
    fine(production.client.put(f"{production.path}/freeze", {"reason": "lunch", "until": until.isoformat()}))

    while datetime.now(UTC) <= until:
        sleep(0.02)

    assert (production.shown()["frozen"], production.shown()["freeze"]) == (False, None)
    assert production.deploy("A-rc1")["status"] == "pending"


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "tomorrow", 7])
def test_until_must_be_in_the_future_and_have_an_offset(production: EnvironmentClient, until: object) -> None:
    """Anything else is a 400 that names `until`, and freezes nothing."""
    answer = production.client.put(f"{production.path}/freeze", {"reason": "holidays", "until": until})

    assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {"until"}
    assert production.shown()["frozen"] is False


@pytest.mark.parametrize("body", [{}, {"reason": None}, {"reason": ""}, {"reason": "  "}, {"reason": 1}])
def test_a_freeze_needs_a_reason(production: EnvironmentClient, body: dict[str, Any]) -> None:
    """Without a reason nobody knows why: 400."""
    answer = production.client.put(f"{production.path}/freeze", body)

    assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {"reason"}
