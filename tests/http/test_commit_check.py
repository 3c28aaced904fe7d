"""GitHub is asked for the commit of a new candidate, last of all, where a token for it is set."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from release_ledger.api import commit_check
from release_ledger.cli import limits
from tests.support.github_contract import complaints
from tests.support.github_faults import (
    BAD_GATEWAY,
    BROKEN,
    CUT_BEFORE,
    GARBAGE,
    LIMITED,
    NOT_FOUND,
    SLOW,
    UNAUTHORIZED,
    Asked,
    Fault,
)
from tests.support.github_stand_in import StandIn

from .client import REPO, EnvironmentClient, Service, commit_of, fine, refused

TOKEN: Final = "ghp_0123456789secret"
VERSION: Final = "1.4.0-rc1"
BODY: Final = {"repo": REPO, "commit": commit_of(VERSION)}


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as stand_in:
        stand_in.add_repository(REPO, commits=[commit_of(VERSION)])
        yield stand_in
        found = [each for exchange in stand_in.exchanges for each in complaints(exchange, TOKEN)]
    assert not found, "\n".join(found)


@pytest.fixture
def settings(github: StandIn) -> dict[str, Any]:
    return {"github_url": github.url, "github_token": TOKEN}


@pytest.fixture
def service(upgraded_url: str, settings: dict[str, Any]) -> Iterator[Service]:
    service = Service(upgraded_url, **settings)
    yield service
    service.close()


def path_in(project: str, version: str) -> str:
    return f"/api/releases/{project}/releases/{version}"


def path(production: EnvironmentClient, version: str = VERSION) -> str:
    return f"{production.project_path}/releases/{version}"


@contextmanager
def hanging(service: Service, github: StandIn, checks: int) -> Iterator[list[TestResponse]]:
    """GitHub takes two and a half seconds for its next answers, of so many checks under way; what they come to."""
    asked = threading.Semaphore(0)
    late = [Fault(name="late", late_s=2.5, taken=True)] * checks

    def fault(_: Asked) -> Fault | None:
        asked.release()
        return late.pop() if late else None

    github.fault_for = fault
    with ThreadPoolExecutor(checks) as pool:
        paths = [path_in("web", f"{number}.0-rc1") for number in range(checks)]
        cuts = [pool.submit(service.client().post, each, BODY) for each in paths]
        assert all(asked.acquire(timeout=10) for _ in cuts)
        answers: list[TestResponse] = []
        yield answers
        answers += [cut.result() for cut in cuts]


def test_a_commit_that_github_knows(production: EnvironmentClient, github: StandIn) -> None:
    """The candidate is cut; the same again is answered without asking."""
    first = production.client.post(path(production), BODY)
    asked = len(github.exchanges)
    again = production.client.post(path(production), BODY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert fine(again) == fine(first)
    assert fine(first)["commit_check"] is None
    assert (asked, len(github.exchanges)) == (2, 2)


def test_a_commit_that_it_does_not_know(production: EnvironmentClient, service: Service) -> None:
    """400 with the commit sentence; nothing is recorded."""
    known = service.event_count()

    answer = production.client.post(path(production), BODY | {"commit": "f" * 40})

    refused(answer, 400, "invalid_commit", "Invalid commit hash")
    assert service.event_count() == known


def test_a_repository_that_it_does_not_know(production: EnvironmentClient, github: StandIn) -> None:
    """404 with the repository sentence."""
    github.fail_next(NOT_FOUND)

    refused(production.client.post(path(production), BODY), 404, "repository_not_found", "GitHub repository not found")


def test_github_is_asked_last(production: EnvironmentClient, service: Service, github: StandIn) -> None:
    """What the ledger can refuse or answer by itself, it does without asking."""
    fine(production.client.post(path(production), BODY, headers={"Idempotency-Key": "k"}))
    asked = len(github.exchanges)
    client, new = production.client, path(production, "2-rc1")

    refused(client.post("/api/releases/nowhere/releases/2-rc1", BODY), 404, "project_not_found")
    refused(client.post(new, BODY | {"repo": "acme/other"}), 404, "repository_not_found")
    refused(client.post(new, BODY | {"commit": "x"}), 400, "invalid_commit")
    refused(client.post(new, BODY, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    refused(client.post(path(production), BODY | {"commit": "f" * 40}), 409, "release_candidate_exists")
    refused(service.client("read").post(new, BODY), 403, "forbidden")
    replayed = client.post(path(production), BODY, headers={"Idempotency-Key": "k"})
    refused(client.post(new.replace("2-rc1", "1.4.0-rc1"), BODY | {"x": 1}, headers={"Idempotency-Key": "k"}), 422,
            "idempotency_key_reused")  # fmt: skip

    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert len(github.exchanges) == asked


@pytest.mark.parametrize("fault", [BROKEN, CUT_BEFORE, GARBAGE], ids=lambda each: each.name)
def test_once_more(production: EnvironmentClient, github: StandIn, fault: Fault) -> None:
    """What may have been a moment's trouble is asked again."""
    github.fail_next(fault)

    assert production.client.post(path(production), BODY).status_code == 201


@pytest.mark.parametrize(
    "fault",
    [BROKEN, CUT_BEFORE, GARBAGE, replace(LIMITED, headers={"Retry-After": "0"}), UNAUTHORIZED],
    ids=lambda each: each.name,
)
def test_github_is_down(
    production: EnvironmentClient, service: Service, github: StandIn, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """502, and nothing is recorded; the token is in no answer. When it is back, the same request is fine."""
    monkeypatch.setattr(commit_check, "PAUSE_S", 0.0)
    known = service.event_count()
    github.fault_for = lambda asked: fault

    answer = production.client.post(path(production), BODY, headers={"Idempotency-Key": "k"})
    recorded = service.event_count()
    github.fault_for = lambda asked: None

    body = refused(answer, 502, "github_unavailable", "GitHub did not answer")
    assert TOKEN not in str(body)
    assert recorded == known
    assert production.client.post(path(production), BODY, headers={"Idempotency-Key": "k"}).status_code == 201


def test_github_is_slow(production: EnvironmentClient, github: StandIn) -> None:
    """Nobody waits much longer than ten seconds."""
    github.fault_for = lambda asked: SLOW
    began = time.monotonic()

    refused(production.client.post(path(production), BODY), 502, "github_unavailable")

    assert time.monotonic() - began < 11


def test_cuts_at_once_on_a_good_day(production: EnvironmentClient, service: Service, github: StandIn) -> None:
    """GitHub answers, if slowly: nobody is refused because others are checked, too."""
    github.fault_for = lambda asked: Fault(name="slow", late_s=0.2, taken=True)
    versions = [f"{number}.1-rc1" for number in range(5)]

    with ThreadPoolExecutor(len(versions)) as pool:
        cuts = [pool.submit(service.client().post, path(production, each), BODY) for each in versions]
        answers = [cut.result() for cut in cuts]

    assert [answer.status_code for answer in answers] == [201] * 5


def test_checks_leave_a_thread_to_others() -> None:
    """However long GitHub takes."""
    assert commit_check.AT_ONCE < limits.THREADS


def test_who_comes_while_github_hangs(
    production: EnvironmentClient, service: Service, github: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told soon to come again, and at once where it is seen to hang: threads are everybody's."""
    monkeypatch.setattr(commit_check, "TURN_WITHIN_S", 1.2)
    took_s = []

    with hanging(service, github, commit_check.AT_ONCE) as answers:
        known = service.event_count()
        for _ in range(2):
            began = time.monotonic()
            other = production.client.post(path(production), BODY)
            took_s.append(time.monotonic() - began)
            assert set(refused(other, 502, "github_unavailable")["details"]) == {"github"}
            assert (other.headers["Retry-After"], service.event_count()) == ("1", known)

    assert took_s[0] < 2.3
    assert took_s[1] < 1.1
    assert [answer.status_code for answer in answers] == [201] * commit_check.AT_ONCE
    assert production.client.post(path(production), BODY).status_code == 201


def test_one_goes_first_after_github_was_down(
    production: EnvironmentClient, service: Service, github: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has answered again, one at a time is kept waiting by it, and nobody by that one."""
    monkeypatch.setattr(commit_check, "PAUSE_S", 0.0)
    github.fault_for = lambda asked: BAD_GATEWAY
    refused(production.client.post(path(production), BODY), 502, "github_unavailable")

    with hanging(service, github, 1):
        began = time.monotonic()
        refused(production.client.post(path(production), BODY), 502, "github_unavailable")
        took_s = time.monotonic() - began

    assert took_s < 1.8
    assert production.client.post(path(production), BODY).status_code == 201


@pytest.mark.parametrize("fault", [BAD_GATEWAY, CUT_BEFORE, LIMITED], ids=lambda each: each.name)
def test_who_was_down_is_not_asked_for_a_while(
    production: EnvironmentClient, service: Service, github: StandIn, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next are answered without asking, until some seconds have passed."""
    monkeypatch.setattr(commit_check, "PAUSE_S", 1.5)
    known = service.event_count()
    github.fault_for = lambda asked: fault
    refused(production.client.post(path(production), BODY), 502, "github_unavailable")
    github.fault_for = lambda asked: None
    asked = len(github.exchanges)

    soon = production.client.post(path(production), BODY)
    not_asked = len(github.exchanges)
    time.sleep(1.6)

    refused(soon, 502, "github_unavailable")
    assert soon.headers["Retry-After"] in ("1", "2")
    assert (not_asked, service.event_count()) == (asked, known)
    assert production.client.post(path(production), BODY).status_code == 201


def test_a_refusal_holds_back_nobody(production: EnvironmentClient, github: StandIn) -> None:
    """A repository that the token may not see is no reason to leave others unchecked."""
    github.fail_next(UNAUTHORIZED, UNAUTHORIZED)

    refused(production.client.post(path(production), BODY), 502, "github_unavailable")
    assert production.client.post(path(production), BODY).status_code == 201


class TestBestEffort:
    """`RELEASE_LEDGER_GITHUB_CHECK=best_effort`."""

    @pytest.fixture
    def settings(self, github: StandIn) -> dict[str, Any]:
        return {"github_url": github.url, "github_token": TOKEN, "github_check": "best_effort"}

    def test_it_is_cut_unchecked(self, production: EnvironmentClient, service: Service, github: StandIn) -> None:
        """And is ready; a worker asks later."""
        github.fault_for = lambda asked: UNAUTHORIZED

        made = fine(production.client.post(path(production), BODY))

        assert (made["status"], made["commit_check"]) == ("ready", "unchecked")
        assert [wish.kind for wish in service.ledger.wanted()] == ["check"]

    def test_nobody_waits_for_another(self, production: EnvironmentClient, service: Service, github: StandIn) -> None:
        """What comes while others' commits are checked, or GitHub is down, is cut unchecked at once."""
        with hanging(service, github, commit_check.AT_ONCE):
            began = time.monotonic()
            busy = fine(production.client.post(path(production, "2-rc1"), BODY))
            took_s = time.monotonic() - began
        github.fault_for = lambda asked: BAD_GATEWAY
        fine(production.client.post(path(production, "3-rc1"), BODY))
        known = len(github.exchanges)
        down = fine(production.client.post(path(production, "4-rc1"), BODY))

        assert (busy["commit_check"], down["commit_check"]) == ("unchecked", "unchecked")
        assert len(github.exchanges) == known
        assert took_s < 1.8

    def test_what_github_says_counts(self, production: EnvironmentClient) -> None:
        """A commit that it does not know is refused all the same; one that it knows needs no other look."""
        refused(production.client.post(path(production), BODY | {"commit": "f" * 40}), 400, "invalid_commit")
        assert fine(production.client.post(path(production), BODY))["commit_check"] is None


def test_without_a_token_nobody_is_asked(upgraded_url: str, github: StandIn) -> None:
    """The commit is checked for its form only."""
    service = Service(upgraded_url, github_url=github.url)
    try:
        production = service.environment()
        assert fine(production.client.post(path(production), BODY | {"commit": "f" * 40}))["commit_check"] is None
    finally:
        service.close()
    assert github.exchanges == []
