"""Builds: a candidate may be deployed once its build has ended well, and a CI says how it stands."""

from typing import Any, Final

import pytest

from .client import REPO, EnvironmentClient, Service, commit_of, fine, refused

VERSION: Final = "1.4.0-rc1"


@pytest.fixture
def pending(production: EnvironmentClient) -> str:
    """The path of a candidate whose build has not ended."""
    path = f"{production.project_path}/releases/{VERSION}"
    body = {"repo": REPO, "commit": commit_of(VERSION), "trigger_build_workflow": True}
    assert fine(production.client.post(path, body))["status"] == "pending"
    production.known_versions.add(VERSION)
    return path


def test_a_candidate_is_deployed_once_it_is_ready(production: EnvironmentClient, pending: str) -> None:
    """409 while it is pending, 409 when it failed, 201 when it is ready."""
    client, body = production.client, {"release_candidate_version": VERSION}

    while_pending = client.post(production.deployments_path, body)
    failed = fine(client.patch(pending, {"status": "failed", "error_message": "no space left"}))
    after_failure = client.post(production.deployments_path, body)
    ready = fine(client.patch(pending, {"status": "ready", "build_url": "https://ci.example.com/17"}))
    when_ready = client.post(production.deployments_path, body)

    for answer, status in ((while_pending, "pending"), (after_failure, "failed")):
        details = refused(answer, 409, "release_candidate_not_ready")["details"]
        assert details["status"] == status
    assert (failed["status"], failed["error_message"]) == ("failed", "no space left")
    assert (ready["status"], ready["error_message"], ready["build_url"]) == ("ready", None, "https://ci.example.com/17")
    assert when_ready.status_code == 201
    assert fine(client.get(pending)) == ready


def test_a_report_says_once_what_it_says(production: EnvironmentClient, pending: str, service: Service) -> None:
    """A repetition is answered and records nothing; under a key it is a replay."""
    first = production.client.patch(pending, {"status": "ready"}, headers={"Idempotency-Key": "k"})
    known = service.event_count()

    again = production.client.patch(pending, {"status": "ready"})
    replayed = production.client.patch(pending, {"status": "ready"}, headers={"Idempotency-Key": "k"})

    assert fine(again) == fine(replayed) == fine(first)
    assert first.headers["ETag"] == again.headers["ETag"]
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert service.event_count() == known


def test_the_newest_end_counts(production: EnvironmentClient, pending: str) -> None:
    """By the time that it tells of: what comes late changes nothing."""
    fine(production.client.patch(pending, {"status": "ready", "occurred_at": "2026-01-02T00:00:00Z"}))

    late = fine(production.client.patch(pending, {"status": "failed", "occurred_at": "2026-01-01T00:00:00Z"}))

    assert late["status"] == "ready"


@pytest.mark.parametrize("url", ["ftp://x", "javascript:alert(1)", "https://", "https://ci/" + "x" * 2000])
def test_an_address_that_cannot_be_shown_is_left_out(production: EnvironmentClient, pending: str, url: str) -> None:
    """The report counts; the answer says what was left out."""
    answer = fine(production.client.patch(pending, {"status": "ready", "build_url": url}))

    assert (answer["status"], answer["build_url"]) == ("ready", None)
    assert set(answer["details"]) == {"build_url"}


def test_a_long_message_is_cut(production: EnvironmentClient, pending: str) -> None:
    """A report is never refused for its size."""
    answer = fine(production.client.patch(pending, {"status": "failed", "error_message": "x" * 10_001}))

    assert answer["error_message"] == "x" * 9_999 + "…"


@pytest.mark.parametrize("body", [{}, {"status": "success"}, {"status": None}, {"status": 1}, {"status": "Ready"}])
def test_another_status(production: EnvironmentClient, pending: str, body: dict[str, Any]) -> None:
    """Builds have three statuses, and every report names one."""
    answer = production.client.patch(pending, body)

    assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {"status"}


def test_a_report_on_condition(production: EnvironmentClient, pending: str) -> None:
    """`If-Match` is of the project's stream."""
    moved = production.client.patch(pending, {"status": "ready"}, headers={"If-Match": '"1"'})
    etag = production.client.get(pending).headers["ETag"]
    fits = production.client.patch(pending, {"status": "ready"}, headers={"If-Match": etag})

    refused(moved, 412, "precondition_failed")
    assert fine(fits)["status"] == "ready"


def test_an_unknown_candidate(production: EnvironmentClient) -> None:
    """Reports never invent releases."""
    answer = production.client.patch(f"{production.project_path}/releases/9-rc9", {"status": "ready"})

    refused(answer, 404, "release_not_found")


def test_a_failed_build_may_be_started_again(production: EnvironmentClient, pending: str) -> None:
    """The same cut with `trigger_build_workflow` asks for another build, and only then."""
    body = {"repo": REPO, "commit": commit_of(VERSION), "trigger_build_workflow": True}
    first = fine(production.client.post(pending, body))
    fine(production.client.patch(pending, {"status": "failed"}))

    again = fine(production.client.post(pending, body))

    assert (again["status"], again["error_message"]) == ("pending", None)
    assert again["build_id"] not in (None, first["build_id"])
