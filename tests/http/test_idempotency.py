"""`Idempotency-Key`: a request counts once, however often it arrives, and each retry gets the first answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from release_ledger.ledger import keeping

from .client import BOTH_DATABASES, REPO, EnvironmentClient, Service, commit_of, fine, refused

pytestmark = BOTH_DATABASES
KEPT = ("ETag", "Location", "Content-Type")


def keyed(environment: EnvironmentClient, key: str, method: str = "POST", path: str = "", **body: Any) -> TestResponse:
    """A command on the environment's deployments, or on another path, with a key."""
    headers = {"Idempotency-Key": key}
    return environment.client.send(method, path or environment.deployments_path, body, headers=headers)


def same_answer(first: TestResponse, again: TestResponse) -> bool:
    """Whether the second is the first answer, told as such."""
    same = (first.status_code, first.data) == (again.status_code, again.data)
    kept = all(first.headers.get(name) == again.headers.get(name) for name in KEPT)
    told = (first.headers.get("Idempotent-Replayed"), again.headers.get("Idempotent-Replayed")) == (None, "true")
    return same and kept and told


def commands(environment: EnvironmentClient) -> list[tuple[str, str, dict[str, Any]]]:
    """One of each POST and PATCH, each a success where the ones before it were."""
    version = {"release_candidate_version": "B-rc1"}
    return [
        ("POST", f"{environment.project_path}/releases/B-rc1", {"repo": REPO, "commit": commit_of("B-rc1")}),
        ("POST", environment.deployments_path, version),
        ("PATCH", environment.deployments_path, version | {"status": "success", "external_url": "ftp://x"}),
        ("POST", f"{environment.path}/rollback", {"reason": "it is slow"}),
    ]


def test_a_retry_of_any_command_is_answered_as_the_first_try(service: Service, production: EnvironmentClient) -> None:
    """Status, body and headers are those of the first answer, and nothing more is recorded."""
    production.ran("A-rc1")

    for method, path, body in commands(production):
        first = keyed(production, "key", method, path, **body)
        events = service.event_count()
        again = keyed(production, "key", method, path, **body)

        fine(first)
        assert same_answer(first, again), (path, again.status, again.text)
        assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
        assert service.event_count() == events


def test_the_answer_is_that_of_then(production: EnvironmentClient) -> None:
    """What happened since does not show in it."""
    production.cut("A-rc1")
    first = keyed(production, "key", release_candidate_version="A-rc1")
    production.report("A-rc1", "failure", error_message="boom")

    again = keyed(production, "key", release_candidate_version="A-rc1")

    assert same_answer(first, again)
    assert again.get_json()["status"] == "pending"


def test_another_request_with_the_key_is_refused(service: Service, production: EnvironmentClient) -> None:
    """Another body is 422 and records nothing; the same body written otherwise is not another."""
    production.cut("A-rc1")
    production.cut("B-rc1")
    first = keyed(production, "key", release_candidate_version="A-rc1", reason="x")
    events = service.event_count()

    other = keyed(production, "key", release_candidate_version="B-rc1", reason="x")
    spaced = b'{ "reason": "x",\n "release_candidate_version": "A-rc1" }'
    headers = {"Idempotency-Key": "key"}
    again = production.client.post(production.deployments_path, spaced, headers=headers)

    refused(other, 422, "idempotency_key_reused", "Idempotency key was used for another request")
    assert same_answer(first, again)
    assert service.event_count() == events


def test_a_key_is_of_a_token_a_method_and_a_path(service: Service, production: EnvironmentClient) -> None:
    """The same word elsewhere is another key; a trailing slash is the same path."""
    production.cut("A-rc1")
    staging = production.client.environment("staging", project="web")
    elsewhere = EnvironmentClient(service.client("deploy"), production.project_path, "production")
    body = {"release_candidate_version": "A-rc1"}
    first = keyed(production, "key", **body)

    answers = [
        keyed(staging, "key", **body),
        keyed(elsewhere, "key", **body),
        keyed(production, "key", "PATCH", **body, status="in_progress"),
    ]
    slash = keyed(production, "key", path=f"{production.deployments_path}/", **body)

    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None] * 3
    assert [fine(answer)["id"] == first.get_json()["id"] for answer in answers] == [False] * 3
    assert same_answer(first, slash)


def test_only_successes_hold_a_key(production: EnvironmentClient) -> None:
    """After a refusal the same key may be tried again, with the same or with another body."""
    production.cut("A-rc1")
    frozen = production.client.put(f"{production.path}/freeze", {"reason": "holidays"})
    fine(frozen)

    refusal = keyed(production, "key", release_candidate_version="A-rc1")
    fine(production.client.delete(f"{production.path}/freeze"))
    success = keyed(production, "key", release_candidate_version="A-rc1", reason="after the holidays")

    refused(refusal, 400, "environment_frozen")
    assert fine(success)["reason"] == "after the holidays"
    assert "Idempotent-Replayed" not in success.headers


def test_a_success_that_recorded_nothing_holds_its_key(production: EnvironmentClient) -> None:
    """A repetition is a success too: its retry is answered as it was, whatever happened meanwhile."""
    production.ran("A-rc1")
    body = {"release_candidate_version": "A-rc1", "status": "success"}
    first = keyed(production, "key", "PATCH", **body)
    production.report("A-rc1", "failure")

    again = keyed(production, "key", "PATCH", **body)

    assert same_answer(first, again)
    assert production.shown()["latest"]["status"] == "failure"


def test_many_requests_with_one_key_at_once_count_once(service: Service, production: EnvironmentClient) -> None:
    """One is carried out; all get its answer."""
    production.cut("A-rc1")
    events = service.event_count()

    def post(_: int) -> TestResponse:
        client = type(production.client)(service.app.test_client(), production.client.token)
        other = EnvironmentClient(client, production.project_path, production.name)
        return keyed(other, "key", release_candidate_version="A-rc1")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(post, range(16)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == [""] + ["true"] * 15
    assert service.event_count() == events + 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "tab\there"])
def test_a_key_that_is_none_is_refused(service: Service, production: EnvironmentClient, key: str) -> None:
    """1 to 255 visible ASCII characters; a refusal records nothing."""
    production.cut("A-rc1")
    events = service.event_count()

    answer = keyed(production, key, release_candidate_version="A-rc1")

    refused(answer, 400, "invalid_request")
    assert service.event_count() == events
    fine(keyed(production, "x" * 255, release_candidate_version="A-rc1"))


def test_the_key_comes_after_syntax_and_before_everything_else(production: EnvironmentClient) -> None:
    """A retry is answered as its first try was also when the environment has been frozen, or the stream has moved."""
    production.cut("A-rc1")
    first = keyed(production, "key", release_candidate_version="A-rc1")
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))

    headers = {"Idempotency-Key": "key", "If-Match": '"1"'}
    body = {"release_candidate_version": "A-rc1"}
    again = production.client.post(production.deployments_path, body, headers=headers)
    malformed = keyed(production, "key", release_candidate_version="A")

    assert same_answer(first, again)
    refused(malformed, 400, "invalid_release_candidate_version")


def test_a_rebuild_and_a_lost_read_model_do_not_forget_keys(service: Service, production: EnvironmentClient) -> None:
    """Keys are no read model: the answer is there when the rows are not."""
    production.cut("A-rc1")
    first = keyed(production, "key", release_candidate_version="A-rc1")
    service.run("DROP TABLE deployments")

    again = keyed(production, "key", release_candidate_version="A-rc1")
    new = keyed(production, "other", release_candidate_version="A-rc1")
    new_again = keyed(production, "other", release_candidate_version="A-rc1")

    assert same_answer(first, again)
    assert same_answer(new, new_again)


def test_keys_are_forgotten_by_age(service: Service, production: EnvironmentClient) -> None:
    """Older than a month, a key may be used anew; younger, it holds."""
    production.cut("A-rc1")
    first = keyed(production, "young", release_candidate_version="A-rc1")
    keyed(production, "old", release_candidate_version="A-rc1")
    service.run("UPDATE idempotency_keys SET created_at = '2020-01-01T00:00:00.000000+00:00' WHERE key = 'old'")

    keeping.forget_old(service.ledger.store)

    assert [row["key"] for row in service.rows("SELECT key FROM idempotency_keys")] == ["young"]
    assert same_answer(first, keyed(production, "young", release_candidate_version="A-rc1"))
