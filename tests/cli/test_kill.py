"""`kill -9` in the middle of load: of all of `serve`, of a worker process, of PostgreSQL.

What was acknowledged is there exactly once, and everything answers again by itself.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from release_ledger.projection.upgrade import upgrade
from tests.laws.acknowledged import assert_nothing_is_lost
from tests.support.pipelines import Load
from tests.support.postgres import PostgresServer
from tests.support.server import LiveServer, wait_for

WORKERS = 2
IN_ONE_REQUEST_S = 0.05
NOTICED_S = 1.5  # a shorter absence of the database is waited for, and no client hears of it
# As in production: what was committed is on the disk.
DURABLE = {"fsync": "on", "full_page_writes": "on"}
SOAK = pytest.param(30, marks=pytest.mark.soak)


@pytest.fixture
def server(upgraded_url: str) -> Iterator[LiveServer]:
    with LiveServer(upgraded_url, workers=WORKERS) as running:
        yield running


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer(settings=DURABLE) as running:
        yield running


@pytest.mark.parametrize("kills", [1, SOAK])
def test_all_of_serve_is_killed(
    server: LiveServer, database_kind: str, upgraded_url: str, tmp_path: Path, kills: int
) -> None:
    """Started again, it goes on where it was; the retries of what was under way count once."""
    alone = 0 if database_kind == "sqlite" else 1
    with Load(server.url, server.token) as load:
        for number in range(kills):
            in_the_middle_of(load)
            if number % 2 == alone:
                kill_the_parent(server)
            else:
                server.kill()
            server.start()
        load.wait_for_more()
        acknowledged = load.finish()

    assert max(each.tries for each in acknowledged) > 1
    assert server.stop() == 0
    assert_nothing_is_lost(upgraded_url, acknowledged, tmp_path)


@pytest.mark.parametrize("kills", [4, SOAK])
def test_worker_processes_are_killed(server: LiveServer, upgraded_url: str, tmp_path: Path, kills: int) -> None:
    """In quick succession, as by a system that is out of memory: each is replaced, `serve` itself goes on."""
    with Load(server.url, server.token) as load:
        in_the_middle_of(load)
        for _ in range(kills):
            with suppress(ProcessLookupError):
                os.kill(some_worker(server), signal.SIGKILL)
            time.sleep(random.uniform(0, 4 * IN_ONE_REQUEST_S))
        load.wait_for_more()
        acknowledged = load.finish()

    assert max(each.tries for each in acknowledged) > 1
    wait_for(lambda: len(server.worker_pids()) == WORKERS)
    assert server.stop() == 0
    assert_nothing_is_lost(upgraded_url, acknowledged, tmp_path)


@pytest.mark.parametrize("kills", [2, SOAK])
def test_postgresql_is_killed(own_postgres: PostgresServer, tmp_path: Path, kills: int) -> None:
    """`serve` is never touched: it finds the database again when that is back, whether it was missed or not."""
    url = own_postgres.create_database()
    upgrade(url)
    with LiveServer(url, workers=WORKERS) as server:
        with Load(server.url, server.token) as load:
            for number in range(kills):
                in_the_middle_of(load)
                own_postgres.kill()
                time.sleep(0 if number % 2 else NOTICED_S)
                own_postgres.start()
            load.wait_for_more()
            acknowledged = load.finish()

        assert {(body["code"], retry_after) for body, retry_after in load.unavailable} <= {("ledger_unavailable", "1")}
        assert server.process.poll() is None
        assert len(server.worker_pids()) == WORKERS
        assert server.stop() == 0
        assert_nothing_is_lost(url, acknowledged, tmp_path)


def in_the_middle_of(load: Load) -> None:
    """Return at a moment when several requests are under way."""
    load.wait_for_more()
    time.sleep(random.uniform(0, IN_ONE_REQUEST_S))


def some_worker(server: LiveServer) -> int:
    """One of the worker processes, as soon as there is one again."""
    found: list[int] = []

    def there_is_one() -> bool:
        assert server.process.poll() is None, f"serve ended with its workers:\n{server.errors}"
        found.extend(server.worker_pids())
        return found != []

    wait_for(there_is_one)
    return random.choice(found)


def kill_the_parent(server: LiveServer) -> None:
    """`kill -9` of `serve` alone; return when its workers have ended by themselves."""
    workers = server.worker_pids()
    server.process.kill()
    server.process.wait(10)
    wait_for(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers))
