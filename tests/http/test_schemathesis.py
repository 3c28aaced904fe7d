"""schemathesis calls everything that is described: no server error, and no break of the contract.

Each operation by itself, and walks along the links of the description, which come to states that no single call does.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support.postgres import Databases

from .client import BOTH_DATABASES
from .described_api import DescribedApi

# Not made smaller: what fails is one request and its answer, and a walk prints its steps.
PHASES: Final = [Phase.explicit, Phase.reuse, Phase.generate]
RANDOM: Final = settings(deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck), database=None)
QUICK: Final = settings(RANDOM, max_examples=3, derandomize=True)
QUICK_WALKS: Final = settings(QUICK, max_examples=12, stateful_step_count=30)
EACH_FOR_LONG, WALKS_FOR_LONG, CASES_FOR_LONG = 300, 150, 10_000


@pytest.fixture
def api(upgraded_url: str) -> Iterator[DescribedApi]:
    described = DescribedApi(upgraded_url)
    yield described
    described.close()
    print(f"{described.answers.total()} cases: {sorted(described.answers.items())}")


@pytest.fixture
def copy(api: DescribedApi, upgraded_url: str, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes copies of the database that the application begins with, and takes away the one before."""
    api.close()
    if upgraded_url.startswith("sqlite"):
        yield lambda: _sqlite_copy(Path(upgraded_url.removeprefix("sqlite:///")))
        return
    databases: Databases = request.getfixturevalue("postgres")
    made: list[str] = []

    def postgresql_copy() -> str:
        while made:
            databases.drop_database(made.pop())
        made.append(databases.create_database(upgraded_url))
        return made[0]

    yield postgresql_copy
    api.close()
    for url in made:
        databases.drop_database(url)


def _sqlite_copy(original: Path) -> str:
    with closing(sqlite3.connect(original)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    for left in original.parent.glob("copy.db*"):
        left.unlink()
    return f"sqlite:///{shutil.copy(original, original.parent / 'copy.db')}"


def test_each_operation_keeps_to_its_description(api: DescribedApi) -> None:
    """Well-formed or not, each call is answered as the description and the contract say."""
    api.call_each_operation(QUICK)

    assert api.unanswered() == set()


def test_walks_along_the_links_keep_to_the_description(api: DescribedApi, copy: Callable[[], str]) -> None:
    """The same of what comes after what: projects, environments, candidates, deployments, reports, rollbacks."""
    api.machine(copy).run(settings=QUICK_WALKS)

    for step in ("putEnvironment", "createDeployment", "rollBack"):
        assert api.answers[step, 201], step
    assert api.answers["reportStatus", 200]


@pytest.mark.soak
@BOTH_DATABASES
def test_everything_that_is_described_for_long(api: DescribedApi, copy: Callable[[], str]) -> None:
    """The same, ten thousand cases and more."""
    api.start_anew(copy)
    api.call_each_operation(settings(RANDOM, max_examples=EACH_FOR_LONG))
    api.machine(copy).run(settings=settings(RANDOM, max_examples=WALKS_FOR_LONG, stateful_step_count=50))

    assert api.unanswered() == set()
    assert api.answers.total() >= CASES_FOR_LONG
