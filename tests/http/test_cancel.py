"""Cancel: one deployment is ended, at once where nothing runs for it."""

from typing import Final

import pytest

from .client import EnvironmentClient, Service, alone, fine, refused

WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}


def path_of(production: EnvironmentClient, deployment_id: str) -> str:
    return f"{production.deployments_path}/{deployment_id}"


def test_a_deployment_without_a_run_is_canceled_at_once(production: EnvironmentClient, service: Service) -> None:
    """Its end is now; the reason is in its events, cut where it is long. Again: the same, and nothing is recorded."""
    made = path_of(production, production.deploy("A-rc1")["id"])

    canceled = production.client.post(f"{made}/cancel", {"reason": "x" * 2001})
    known = service.event_count()
    again = production.client.post(f"{made}/cancel")

    assert (canceled.status_code, fine(canceled)["status"]) == (200, "canceled")
    assert fine(again) == fine(canceled) == alone(production.client.get(made))
    assert service.event_count() == known
    last = fine(production.client.get(made))["events"][-1]
    assert (last["type"], last["data"]["reason"]) == ("deployment-canceled", "x" * 1999 + "…")


def test_a_deployment_with_a_run_is_canceling(production: EnvironmentClient) -> None:
    """Until its run says that it has ended."""
    fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW}))
    made = production.deploy("A-rc1")
    sync = {"deployment_id": made["id"], "workflow_run_id": 17}
    fine(production.client.post("/api/v1/sync-deploy-github-action", sync))

    canceled = fine(production.client.post(f"{path_of(production, made['id'])}/cancel"))
    ended = production.report("A-rc1", "canceled", id=made["id"])

    assert (canceled["status"], canceled["deploy_end_at"]) == ("canceling", None)
    assert ended["status"] == "canceled"


def test_a_frozen_environment_lets_it_be_canceled(production: EnvironmentClient) -> None:
    """It stops a change."""
    made = production.deploy("A-rc1")
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))

    assert fine(production.client.post(f"{path_of(production, made['id'])}/cancel"))["status"] == "canceled"


def test_what_has_ended_stays_as_it_is(production: EnvironmentClient) -> None:
    """A success is no failure because somebody cancels it."""
    production.ran("A-rc1")
    (ended,) = production.deployments()

    assert fine(production.client.post(f"{path_of(production, ended['id'])}/cancel")) == ended


@pytest.mark.parametrize("deployment_id", ["0", "x", "019ab1f0-0000-7000-8000-000000000000", "%F0%9F%9A%80"])
def test_an_unknown_deployment(production: EnvironmentClient, deployment_id: str) -> None:
    """404, also for what could be no id."""
    answer = production.client.post(f"{path_of(production, deployment_id)}/cancel")

    refused(answer, 404, "deployment_not_found", "Deployment not found")


def test_once_under_a_key_and_on_condition(production: EnvironmentClient) -> None:
    """Like every write."""
    made = path_of(production, production.deploy("A-rc1")["id"])

    moved = production.client.post(f"{made}/cancel", headers={"If-Match": '"1"'})
    first = production.client.post(f"{made}/cancel", headers={"Idempotency-Key": "k"})
    again = production.client.post(f"{made}/cancel", headers={"Idempotency-Key": "k"})

    refused(moved, 412, "precondition_failed")
    assert fine(again) == fine(first)
    assert again.headers["Idempotent-Replayed"] == "true"
