"""A deployment shows every attempt, answer and decision that led to how it stands, in order."""

from typing import Any, Final

import pytest

from .client import BOTH_DATABASES, EnvironmentClient, Service, fine

WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}


def shown(production: EnvironmentClient, deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = fine(production.client.get(f"{production.deployments_path}/{deployment['id']}"))
    return found


@BOTH_DATABASES
def test_everything_in_its_order(production: EnvironmentClient, service: Service) -> None:
    """Of this deployment and of no other; who, when, and what; no ids of persons."""
    fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW}))
    made = production.deploy("A-rc1", reason="weekly")
    production.deploy("B-rc1")
    sync = {"deployment_id": made["id"], "workflow_run_id": "17"}
    fine(service.client("deploy", name="ci").post("/api/v1/sync-deploy-github-action", sync))
    production.report("B-rc1", "success")
    production.report("A-rc1", "in_progress", occurred_at="2026-01-01T00:00:00Z")
    fine(production.client.post(f"{production.deployments_path}/{made['id']}/cancel", {"reason": "by mistake"}))

    found = shown(production, made)

    events = found["events"]
    assert found["events_total"] == len(events) == 4
    assert [each["type"] for each in events] == [
        "deployment-requested", "deployment-triggered", "deployment-reported", "deployment-cancel-requested",
    ]  # fmt: skip
    assert [each["version"] for each in events] == sorted(each["version"] for each in events)
    assert events[0]["data"]["reason"] == "weekly"
    assert events[0]["data"]["workflow"] == WORKFLOW
    assert events[1]["data"] == {
        "run_id": "17",
        "run_url": "https://github.com/acme/web/actions/runs/17",
        "how": "told",
    }
    assert [(each["actor"], each["recorded_by"]) for each in events[:2]] == [
        ("dev@example.com", "admin"),
        (None, "ci"),
    ]
    assert events[2]["occurred_at"] == "2026-01-01T00:00:00.000000+00:00"
    assert events[3]["data"]["reason"] == "by mistake"
    assert "person_id" not in str(events)
    assert all(set(each) == {"version", "type", "at", "occurred_at", "actor", "recorded_by", "data"} for each in events)


def test_the_newest_two_hundred(production: EnvironmentClient) -> None:
    """A deployment that is reported for ever stays readable; how many there are is said."""
    made = production.deploy("A-rc1")
    for number in range(210):
        production.report("A-rc1", "in_progress", id=made["id"], error_message=f"step {number}")

    found = shown(production, made)

    assert (len(found["events"]), found["events_total"]) == (200, 211)
    assert found["events"][-1]["data"]["error_message"] == "step 209"
    assert found["events"][0]["data"]["error_message"] == "step 10"


@BOTH_DATABASES
def test_folded_where_its_rows_are_not_live(production: EnvironmentClient, service: Service) -> None:
    """The same answer, from the history alone."""
    made = production.deploy("A-rc1")
    production.report("A-rc1", "success")
    live = shown(production, made)

    service.run("update deployments set event_versions = '3'")
    tampered = shown(production, made)
    service.run("drop table deployments")

    assert tampered == live
    assert shown(production, made) == live


@BOTH_DATABASES
def test_more_than_its_row_names(production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row stays small; a version at which an event counted that it names no longer is answered by folding."""
    monkeypatch.setattr("release_ledger.projections.deployments.EVENTS_NAMED", 3)
    made = production.deploy("A-rc1")
    one = f"{production.deployments_path}/{made['id']}"
    then = []
    for number in range(4):
        production.report("A-rc1", "in_progress", id=made["id"], error_message=f"step {number}")
        then.append(fine(production.client.get(one)))

    production.report("A-rc1", "success", id=made["id"])

    found = shown(production, made)
    assert [each["data"].get("error_message") for each in found["events"]] == ["step 2", "step 3", None]
    assert found["events_total"] == 6
    assert [fine(production.client.get(f"{one}?as_of_version={version}")) for version in range(3, 7)] == then
