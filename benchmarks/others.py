"""Somebody who writes at a steady rate while something else is measured, and how long each command took."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from statistics import median
from typing import Final

from release_ledger.environment import Settings
from release_ledger.ledger import Ledger
from release_ledger.ledger.recording import Caller

from .history import Place

COMMANDS_A_SECOND: Final = 200
WRITERS: Final = 4
BY: Final = Caller(recorded_by="ci", request_id="5f0c1c5e-5a0f-4f4e-9a53-1f6f6f3b7a52")


@dataclass(frozen=True, kw_only=True)
class Waited:
    """How often others wrote, the median and the longest time that one of their commands took, in seconds."""

    commands: int
    median_s: float
    longest_s: float
    failed: int


@contextmanager
def written_by_others(url: str, place: Place) -> Iterator[list[Waited]]:
    """A process that reports deployments, `COMMANDS_A_SECOND` of them, until the end; the list has its answer then."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    arguments = (url, place.project_name, place.environment_name, theirs)
    process = multiprocessing.get_context("spawn").Process(target=_write, args=arguments, daemon=True)
    process.start()
    theirs.close()
    ours.recv()
    answer: list[Waited] = []
    yield answer
    ours.send(None)
    answer.append(ours.recv())
    process.join()


def _write(url: str, project_name: str, environment_name: str, parent: Connection) -> None:
    """In its own process: half of the commands go to the longest stream, the others to one beside it."""
    over, took, failed = threading.Event(), list[float](), list[Exception]()
    with closing(Ledger.open(url, pool_size=WRITERS)) as ledger:
        version = f"9.{time.time_ns()}.0-rc1"
        repo = f"acme/{project_name}"
        ledger.cut_release_candidate(project_name, version, repo=repo, commit="9" * 40, by=BY)
        ledger.configure_environment(project_name, "beside", Settings(), by=BY)

        def write(name: str) -> None:
            due = time.perf_counter()
            for status in cycle(("in_progress", "success")):
                due = max(due + WRITERS / COMMANDS_A_SECOND, time.perf_counter() - 1)
                if over.wait(max(0.0, due - time.perf_counter())):
                    return
                began = time.perf_counter()
                try:
                    ledger.report(project_name, name, release_candidate_version=version, status=status, by=BY)
                except Exception as error:
                    failed.append(error)
                took.append(time.perf_counter() - began)

        names = [environment_name if number % 2 else "beside" for number in range(WRITERS)]
        threads = [threading.Thread(target=write, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        parent.send(None)
        parent.recv()
        over.set()
        for thread in threads:
            thread.join()
    longest, middle = max(took, default=0.0), median(took or [0.0])
    parent.send(Waited(commands=len(took), median_s=middle, longest_s=longest, failed=len(failed)))
