"""Commits are checked by a real server: while GitHub hangs, only who waits for it is held up."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from release_ledger.api.commit_check import AT_ONCE, TURN_WITHIN_S
from tests.support.github_faults import SLOW
from tests.support.github_stand_in import StandIn
from tests.support.server import LiveServer

TOKEN: Final = "ghp_0123456789secret"
REPO: Final = "acme/web"
CUTS: Final = 12
BUSY_S: Final = 2.0  # what a busy machine may add; a check takes 6


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as stand_in:
        stand_in.add_repository(REPO, commits=["a" * 40])
        yield stand_in


@pytest.fixture
def server(tmp_path: Path, github: StandIn) -> Iterator[LiveServer]:
    variables = {"RELEASE_LEDGER_GITHUB_URL": github.url, "RELEASE_LEDGER_GITHUB_TOKEN": TOKEN}
    with LiveServer(f"sqlite:///{tmp_path / 'ledger.db'}", variables=variables) as started:
        yield started


def test_nobody_waits_for_the_checks_of_others(server: LiveServer, github: StandIn) -> None:
    """A dozen candidates while GitHub hangs: a status is taken before any check is over, and all but those that are
    checked are answered after two seconds at most."""

    def send(method: str, path: str, body: dict[str, Any]) -> tuple[int, float]:
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {server.token}"}
        answer = requests.request(
            method, f"{server.url}/api/releases/web{path}", json=body, headers=headers, timeout=60
        )
        return answer.status_code, time.monotonic() - began

    deployments, cut = "/environments/production/deployments", {"repo": REPO, "commit": "a" * 40}
    made = [
        send("PUT", "", {"repo": REPO}),
        send("PUT", "/environments/production", {}),
        send("POST", "/releases/1-rc1", cut),
        send("POST", deployments, {"release_candidate_version": "1-rc1"}),
    ]
    assert all(status in (200, 201) for status, _ in made), made
    github.fault_for = lambda asked: SLOW

    with ThreadPoolExecutor(CUTS) as others:
        waiting = [others.submit(send, "POST", f"/releases/2-rc{number + 1}", cut) for number in range(CUTS)]
        time.sleep(0.5)
        status, took_s = send("PATCH", deployments, {"release_candidate_version": "1-rc1", "status": "success"})
        answers = [each.result() for each in waiting]

    assert (status, took_s < TURN_WITHIN_S + BUSY_S) == (200, True), took_s
    assert {each for each, _ in answers} == {502}
    assert sum(each > TURN_WITHIN_S + BUSY_S for _, each in answers) <= AT_ONCE, answers
