"""GitHub fails a third of its calls in every way, and workers are killed at random: nothing is forgotten or doubled."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from release_ledger.deployment import TERMINAL
from release_ledger.ledger import Ledger
from tests.support import github_faults
from tests.support.github_contract import complaints
from tests.support.github_faults import Asked, Fault, moved
from tests.support.github_stand_in import StandIn
from tests.support.working import REPO, TOKEN, Shop

# Slow ones are bounded by the ten seconds of a call, and would only make the test long; one in soak is enough.
QUICK: Final = tuple(
    fault for fault in github_faults.EVERY if fault not in (github_faults.SLOW, github_faults.TRICKLED)
)


CALLS_BETWEEN_KILLS: Final = 5


MOVED: Final = Fault(name="moved", status=307)


class Faulty:
    """Fails so many of the calls, or sends them round once more; which, is random and the same for a seed."""

    def __init__(self, faults: tuple[Fault, ...], share: float) -> None:
        self._faults, self._share, self._random, self.url = (*faults, MOVED), share, random.Random(7), ""
        self._next: list[Fault] = []
        self.met: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Fault | None:
        if self._random.random() >= self._share:
            return None
        self._next = self._next or self._random.sample(self._faults, len(self._faults))  # each has its turn
        fault = self._next.pop()
        self.met[fault.name] += 1
        return moved(301 if asked.method == "GET" else 307, self.url + asked.url) if fault is MOVED else fault


@contextmanager
def workers(url: str, github: StandIn, *, count: int, killed_every_s: float) -> Iterator[Counter[str]]:
    """So many worker processes, one of which is killed now and then, and started again."""
    said: Counter[str] = Counter()
    command = [sys.executable, "-m", "tests.support.worker_process", url, github.url]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(count)]
    ended = threading.Event()

    def kill() -> None:
        chance, seen = random.Random(11), 0
        while not ended.wait(killed_every_s * chance.uniform(0.5, 1.5)):
            if len(github.exchanges) - seen < CALLS_BETWEEN_KILLS:
                continue  # on a busy machine a process takes its time to start
            seen = len(github.exchanges)
            place = chance.randrange(count)
            running[place].kill()
            running[place].wait()
            said["killed"] += 1
            running[place] = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield said
    finally:
        ended.set()
        killer.join()
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def chaos(
    url: str, *, environments: int, deployments: int, faults: tuple[Fault, ...], kills: int, within_s: float
) -> None:
    ledger = Ledger.open(url)
    names = [f"e{number}" for number in range(environments)]
    faulty = Faulty(faults, 1 / 3)
    with StandIn(token=TOKEN, takes_s=0.3, fault_for=faulty) as github:
        faulty.url = github.url
        github.add_workflow(REPO, "deploy.yml", shows_id=True)
        github.add_workflow(REPO, "blind.yml", shows_id=False)
        shop = Shop(ledger, *names)
        blind = {"kind": "github", "workflow": "blind.yml", "ref": "main"}
        blinded = names[:: max(1, environments // 2)]
        Shop(ledger, *blinded, workflow=blind)
        made: dict[str, str] = {}
        with workers(url, github, count=3, killed_every_s=1.5) as said:
            for number in range(deployments):
                environment = names[number % environments]
                made[shop.deploy(environment, 1 + number % 3)] = environment

            def open_ones() -> list[str]:
                ended = (*TERMINAL, "canceling")
                return [its_id for its_id in made if shop.deployment(its_id, made[its_id])["status"] not in ended]

            give_up_at = time.monotonic() + within_s
            while (ledger.wanted() or open_ones()) and time.monotonic() < give_up_at:
                time.sleep(0.5)
        assert said["killed"] >= kills
        assert set(faulty.met) == {each.name for each in (*faults, MOVED)}
        assert [each for exchange in github.exchanges for each in complaints(exchange, TOKEN)] == []
        assert not ledger.wanted(), "something is forgotten"
        assert not open_ones(), "a run was triggered, and nobody asked how it stands"
        doubled = {its_id: count for its_id, count in github.started.items() if count > 1}
        assert not doubled, "started twice"
        for its_id, environment in made.items():
            deployment = shop.deployment(its_id, environment)
            if not github.started[its_id]:
                assert deployment["status"] == "error"
            if deployment["status"] == "error":
                assert deployment["error_message"], deployment
            if github.started[its_id] and environment not in blinded and deployment["status"] == "error":
                assert "may have been triggered" in deployment["error_message"], deployment
    ledger.close()


def test_nothing_is_forgotten_and_nothing_is_started_twice(upgraded_url: str) -> None:
    """Small, for the suite."""
    chaos(upgraded_url, environments=4, deployments=40, faults=QUICK, kills=2, within_s=90)


@pytest.mark.soak
def test_five_hundred_deployments(upgraded_url: str) -> None:
    """Every fault there is."""
    chaos(upgraded_url, environments=20, deployments=500, faults=github_faults.EVERY, kills=10, within_s=900)
