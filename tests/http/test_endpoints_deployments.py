"""Deployments: asked for by POST, reported by PATCH."""

import pytest

from .client import EnvironmentClient, Service, alone, commit_of, fine, refused


def test_a_new_deployment(production: EnvironmentClient) -> None:
    """201 with the deployment, pending, by the e-mail of the token's owner."""
    production.cut("1.4.0-rc1")

    answer = production.client.post(production.deployments_path, {"release_candidate_version": "1.4.0-rc1"})

    body = fine(answer)
    assert answer.status_code == 201
    assert {name: body[name] for name in body if name not in ("id", "requested_at", "number", "reason")} == {
        "actor": "dev@example.com",
        "deploy_end_at": None,
        "deploy_start_at": None,
        "environment_name": "production",
        "error_message": None,
        "from_release_candidate_version": None,
        "from_release_version": None,
        "release_candidate_version": "1.4.0-rc1",
        "release_version": "1.4.0",
        "status": "pending",
        "kind": "deploy",
        "commit": commit_of("1.4.0-rc1"),
        "external_url": None,
        "recorded_by": "admin",
    }


def test_the_actor_is_a_person_and_the_recorder_a_token(production: EnvironmentClient, service: Service) -> None:
    """`actor` is the owner's e-mail, or null for a machine's token; `recorded_by` is always the token's name."""
    production.cut("A-rc1")
    machine = service.client("deploy", name="ci")

    by_machine = fine(machine.post(production.deployments_path, {"release_candidate_version": "A-rc1"}))
    by_person = production.deploy("A-rc1")

    assert (by_machine["actor"], by_machine["recorded_by"]) == (None, "ci")
    assert (by_person["actor"], by_person["recorded_by"]) == ("dev@example.com", "admin")
    assert [each["actor"] for each in production.deployments()] == ["dev@example.com", None]


def test_a_report_keeps_who_asked_for_the_deployment(production: EnvironmentClient, service: Service) -> None:
    """The actor of a deployment is who created it, not who reported last."""
    production.deploy("A-rc1")
    machine = service.client("deploy", name="ci")

    answer = machine.patch(production.deployments_path, {"release_candidate_version": "A-rc1", "status": "success"})

    assert (fine(answer)["actor"], fine(answer)["recorded_by"]) == ("dev@example.com", "admin")


@pytest.mark.parametrize("how", ["POST", "PATCH", "rollback"])
def test_what_was_running_before(production: EnvironmentClient, how: str) -> None:
    """`from_*` is the newest success when the deployment was created, and stays that."""
    production.ran("A-rc1", "B-rc2")
    production.report("C-rc1", "failure")

    if how == "rollback":
        made = fine(production.press())
    else:
        made = production.deploy("D-rc1") if how == "POST" else production.report("D-rc1", "success")
    production.ran("E-rc1")

    assert (made["from_release_candidate_version"], made["from_release_version"]) == ("B-rc2", "B")
    listed = next(each for each in production.deployments() if each["id"] == made["id"])
    assert listed["from_release_candidate_version"] == "B-rc2"


def test_at_most_a_hundred_unfinished(production: EnvironmentClient) -> None:
    """The 101st unfinished deployment is a 409; once one has finished there is room again."""
    ids = [production.deploy("A-rc1")["id"] for _ in range(100)]

    full = production.client.post(production.deployments_path, {"release_candidate_version": "A-rc1"})
    production.report("A-rc1", "failure", id=ids[50])

    refused(full, 409, "too_many_unfinished", "Too many unfinished deployments")
    assert production.deploy("A-rc1")["status"] == "pending"


def test_force_and_reason_on_a_frozen_environment(production: EnvironmentClient) -> None:
    """A deployment to a frozen environment is refused, saying who froze it and until when; `force` breaks it."""
    production.cut("A-rc1")
    until = "2999-01-01T00:00:00.000000+00:00"
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays", "until": until}))

    answer = production.client.post(production.deployments_path, {"release_candidate_version": "A-rc1"})
    forced = production.deploy("A-rc1", force=True, reason="the shop is down")

    details = refused(answer, 400, "environment_frozen", "Environment is frozen")["details"]
    assert (details["frozen_by"], details["until"], details["reason"]) == ("dev@example.com", until, "holidays")
    assert "person_id" not in details
    assert (forced["status"], forced["reason"]) == ("pending", "the shop is down")


@pytest.mark.parametrize(
    "status", ["pending", "in_progress", "success", "failure", "canceling", "canceled", "error", "unknown"]
)
def test_a_report_is_always_200(production: EnvironmentClient, status: str) -> None:
    """A report of a version that was never asked for creates an observed deployment, with 200 and no Location."""
    production.cut("A-rc1")

    answer = production.client.patch(
        production.deployments_path, {"release_candidate_version": "A-rc1", "status": status}
    )

    body = fine(answer)
    assert (answer.status_code, "Location" in answer.headers) == (200, False)
    assert (body["kind"], body["status"]) == ("observed", status)
    assert production.deployments() == [body]


def test_a_report_is_recorded_while_frozen(production: EnvironmentClient) -> None:
    """It reports what happened: a freeze does not refuse it."""
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))

    reported = production.report("A-rc1", "success")

    assert reported["status"] == "success"
    assert production.shown()["frozen"] is True


def test_a_report_again_records_nothing(production: EnvironmentClient, service: Service) -> None:
    """The same report again is answered 200 with the same deployment and version, and records nothing."""
    body = {"release_candidate_version": production.cut("A-rc1"), "status": "success", "error_message": "fine"}
    first = production.client.patch(production.deployments_path, body)
    known = service.event_count()

    again = production.client.patch(production.deployments_path, body)

    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert again.headers["ETag"] == first.headers["ETag"]
    assert service.event_count() == known


def test_the_times_of_reports(production: EnvironmentClient) -> None:
    """Start and end are the times of the first and of the deciding terminal report, given or of arrival."""
    production.deploy("A-rc1")

    production.report("A-rc1", "in_progress", occurred_at="2026-01-01T10:00:00+02:00")
    ended = production.report("A-rc1", "success", occurred_at="2026-01-01T10:05:00+02:00")
    arrived = production.report("B-rc1", "success")

    assert ended["deploy_start_at"] == "2026-01-01T08:00:00.000000+00:00"
    assert ended["deploy_end_at"] == "2026-01-01T08:05:00.000000+00:00"
    assert arrived["deploy_start_at"] == arrived["deploy_end_at"] > "2026-01-02"


def test_which_deployment_a_report_means(production: EnvironmentClient) -> None:
    """The one of the id; else the newest unfinished one of the version; else its newest."""
    first, second, third = (production.deploy("A-rc1")["id"] for _ in range(3))

    by_id = production.report("A-rc1", "failure", id=first)["id"]
    newest_unfinished = [production.report("A-rc1", "success")["id"] for _ in range(2)]
    newest = production.report("A-rc1", "canceled")["id"]

    assert (by_id, newest_unfinished, newest) == (first, [third, second], third)


def test_an_id_that_does_not_fit(production: EnvironmentClient) -> None:
    """An id that is not of this environment is a 404; one of another version a 400."""
    other = production.deploy("A-rc1")["id"]
    elsewhere = production.client.environment("staging").deploy("B-rc1")["id"]
    body = {"release_candidate_version": production.cut("B-rc1"), "status": "success"}

    unknown = [
        production.client.patch(production.deployments_path, {**body, "id": each})
        for each in (elsewhere, "no id", "0" * 64, "x" * 10_000, "")
    ]
    mismatch = production.client.patch(production.deployments_path, {**body, "id": other})

    for answer in unknown:
        refused(answer, 404, "deployment_not_found", "Deployment not found")
    assert "id" in refused(mismatch, 400, "invalid_request", "Invalid request")["details"]


def test_seen_running_again(production: EnvironmentClient) -> None:
    """A version that was reported finished and is seen in progress again is a new deployment."""
    production.ran("A-rc1")

    again = production.report("A-rc1", "in_progress")

    assert (again["kind"], again["status"]) == ("observed", "in_progress")
    assert [each["status"] for each in production.deployments()] == ["in_progress", "success"]


def test_one_deployment_by_its_id(production: EnvironmentClient) -> None:
    """A deployment is found under its environment alone."""
    made = production.deploy("A-rc1")
    staging = production.client.environment("staging")

    here = production.client.get(f"{production.deployments_path}/{made['id']}")
    elsewhere = production.client.get(f"{staging.deployments_path}/{made['id']}")

    assert alone(here) == made
    refused(elsewhere, 404, "deployment_not_found", "Deployment not found")
