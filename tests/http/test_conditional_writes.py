"""`If-Match`: a write that is meant for one version of a stream, and 412 when the stream has moved."""

from typing import Any

import pytest

from .client import BOTH_DATABASES, REPO, EnvironmentClient, Service, commit_of, fine, refused

pytestmark = BOTH_DATABASES


def writes(production: EnvironmentClient) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Each write of an environment's stream, each a success where the ones before it were."""
    version = {"release_candidate_version": "B-rc1"}
    return [
        ("PUT", production.path, {"tier": "staging"}),
        ("PUT", f"{production.path}/freeze", {"reason": "holidays"}),
        ("DELETE", f"{production.path}/freeze", None),
        ("POST", production.deployments_path, version),
        ("PATCH", production.deployments_path, version | {"status": "success"}),
        ("POST", f"{production.path}/rollback", {}),
    ]


def test_a_write_at_the_version_that_was_seen_succeeds_and_at_another_is_refused(
    service: Service, production: EnvironmentClient
) -> None:
    """The ETag of an answer is what the next write can be made conditional on."""
    production.ran("A-rc1")
    production.cut("B-rc1")

    for method, path, body in writes(production):
        seen = production.client.get(production.path).headers["ETag"]
        events = service.event_count()
        stale = production.client.send(method, path, body, headers={"If-Match": '"1"'})
        refused(stale, 412, "precondition_failed", "The stream has moved")
        assert service.event_count() == events

        answer = production.client.send(method, path, body, headers={"If-Match": seen})
        fine(answer)
        assert answer.headers["ETag"] != seen


def test_a_projects_stream_guards_its_settings_and_candidates(production: EnvironmentClient) -> None:
    """They are of the project's stream, and not of an environment's."""
    path = production.project_path
    candidate = {"repo": REPO, "commit": commit_of("A-rc1")}

    stale = production.client.post(f"{path}/releases/A-rc1", candidate, headers={"If-Match": '"7"'})
    seen = production.client.get(path).headers["ETag"]
    cut = production.client.post(f"{path}/releases/A-rc1", candidate, headers={"If-Match": seen})
    moved = production.client.put(path, {"repo": "acme/other"}, headers={"If-Match": seen})

    refused(stale, 412, "precondition_failed")
    fine(cut)
    refused(moved, 412, "precondition_failed")


def test_any_version_matches_a_star_but_none_does_not(production: EnvironmentClient) -> None:
    """`*` means that the stream is there."""
    there = production.client.put(production.path, {"tier": "staging"}, headers={"If-Match": "*"})
    new = production.client.put(f"{production.project_path}/environments/new", {}, headers={"If-Match": "*"})

    fine(there)
    refused(new, 412, "precondition_failed")
    refused(production.client.get(f"{production.project_path}/environments/new"), 404, "environment_not_found")


@pytest.mark.parametrize("tag", ['W/"1"', "1", '"1", "2"', '"1', "", "**"])
def test_anything_but_one_strong_tag_is_refused(production: EnvironmentClient, tag: str) -> None:
    """A condition that cannot be read is not a condition that holds."""
    answer = production.client.put(production.path, {"tier": "staging"}, headers={"If-Match": tag})

    refused(answer, 400, "invalid_request")


def test_the_condition_comes_after_the_environment_and_before_the_release(production: EnvironmentClient) -> None:
    """Of a request that is wrong in several ways, the first check in the contract's order answers."""
    headers = {"If-Match": '"99"'}
    body = {"release_candidate_version": "Z-rc1"}

    nowhere = production.client.post(f"{production.path}x/deployments", body, headers=headers)
    here = production.client.post(production.deployments_path, body, headers=headers)
    unconditional = production.client.post(production.deployments_path, body)

    refused(nowhere, 404, "environment_not_found")
    refused(here, 412, "precondition_failed")
    refused(unconditional, 404, "release_not_found")
