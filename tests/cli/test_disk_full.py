"""A disk that is really full, under load: 503 and when to try again, reads go on, nothing is half written.

When there is room again, `serve` goes on without being touched. With PostgreSQL two things can happen. A table cannot
grow: the statement fails, and nothing else. Or its own log cannot: it PANICs, cannot start again on the full disk, and
ends; whatever runs it starts it again when there is room.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import requests

from release_ledger.projection.upgrade import upgrade
from tests.laws.acknowledged import assert_nothing_is_lost
from tests.support.pipelines import PROJECT, Load
from tests.support.postgres import NOBODY, PostgresServer
from tests.support.server import LiveServer, wait_for
from tests.support.small_disk import SmallDisk, small_disk

WORKERS: Final = 2
PIPELINES: Final = 2
REFUSALS: Final = 10
HALF_WAYS: Final = 20
PAGES_OF_A_WRITE: Final = 12
UNAVAILABLE: Final = {("ledger_unavailable", "1")}
SQLITE_MIB: Final = 16
POSTGRESQL_MIB: Final = 128  # initdb takes 36
ENDS_WITHIN_S: Final = 10.0
# As in production, but for the sizes.
SETTINGS: Final = {"fsync": "on", "full_page_writes": "on", "min_wal_size": "32MB", "max_wal_size": "48MB"}


@pytest.fixture
def own_postgres() -> Iterator[tuple[PostgresServer, SmallDisk]]:
    """A PostgreSQL whose data are alone on a small disk."""
    server = PostgresServer(settings=SETTINGS)
    owner = NOBODY if os.geteuid() == 0 else None
    try:
        with small_disk(server.directory / "data", mebibytes=POSTGRESQL_MIB, owner=owner) as disk:
            server.start()
            yield server, disk
    finally:
        server.close()


def test_sqlite_on_a_full_disk(tmp_path: Path) -> None:
    """What is written and read beside it stays right; room is noticed at once."""
    with small_disk(tmp_path / "disk", mebibytes=SQLITE_MIB) as disk:
        url = f"sqlite:///{disk.folder / 'ledger.db'}"
        assert_reads_go_on(url, disk, tmp_path)


def test_a_table_of_postgresql_cannot_grow(own_postgres: tuple[PostgresServer, SmallDisk], tmp_path: Path) -> None:
    """PostgreSQL refuses the statement and goes on; so does the ledger."""
    postgres, disk = own_postgres
    assert_reads_go_on(postgres.create_database(), disk, tmp_path)


def test_the_log_of_postgresql_cannot_be_written(
    own_postgres: tuple[PostgresServer, SmallDisk], tmp_path: Path
) -> None:
    """It ends, on the full disk; while it is down reads are 503 too, and say when to try again."""
    postgres, disk = own_postgres
    url = postgres.create_database()
    upgrade(url)
    with LiveServer(url, workers=WORKERS) as server, Load(server.url, server.token, pipelines=PIPELINES) as load:
        load.wait_for_more()
        wait_until_refused(load, disk)
        end_by_checkpoint(postgres, disk)
        assert read(server) == {503}

        disk.make_free()
        postgres.start()
        load.wait_for_more()
        assert read(server) == {200}
        finish(server, load, url, tmp_path)


def assert_reads_go_on(url: str, disk: SmallDisk, folder: Path) -> None:
    """While writes are refused on the full disk; when there is room again, these go on too."""
    upgrade(url)
    with LiveServer(url, workers=WORKERS) as server, Load(server.url, server.token, pipelines=PIPELINES) as load:
        load.wait_for_more()
        wait_until_refused(load, disk)
        assert read(server) == {200}

        disk.make_free()
        load.wait_for_more()
        finish(server, load, url, folder)


def wait_until_refused(load: Load, disk: SmallDisk) -> None:
    """Return when the disk is full, and all that is written is refused for it, for a while.

    Then room comes in pieces that are too small for what is to be written.
    """

    def all_are_refused() -> bool:
        disk.fill()
        return load.fewest_unavailable() >= REFUSALS

    wait_for(all_are_refused)
    for _ in range(HALF_WAYS):
        disk.give_back(random.randrange(1, PAGES_OF_A_WRITE))
        wait_for_refusals(load, len(load.unavailable) + PIPELINES)
    assert {(body["code"], retry_after) for body, retry_after in load.unavailable} == UNAVAILABLE
    assert {body["error"] for body, _ in load.unavailable} == {"The ledger cannot be written"}


def wait_for_refusals(load: Load, enough: int) -> None:
    wait_for(lambda: len(load.unavailable) >= enough)


def end_by_checkpoint(postgres: PostgresServer, disk: SmallDisk) -> None:
    """Have PostgreSQL write what it must write, until it ends for want of room."""
    where: dict[str, Any] = {"host": "127.0.0.1", "port": postgres.port, "user": "postgres", "dbname": "postgres"}
    give_up_at = time.monotonic() + ENDS_WITHIN_S
    while not postgres.ends_within(0.2):
        assert time.monotonic() < give_up_at, "PostgreSQL lives on a full disk"
        disk.fill()
        with suppress(psycopg.Error), psycopg.connect(**where, autocommit=True, connect_timeout=2) as connection:
            connection.execute("select pg_switch_wal()")
            connection.execute("checkpoint")
    assert "PANIC" in postgres.log()


def read(server: LiveServer) -> set[int]:
    """How questions are answered: an environment, a list, a preview."""
    paths = ("", "/deployments", "/rollback")
    place = f"{server.url}/api/releases/{PROJECT}/environments/e0"
    headers = {"Authorization": f"Bearer {server.token}", "Connection": "close"}
    answers = [requests.get(place + path, headers=headers, timeout=20) for path in paths]
    assert {"Retry-After" in answer.headers for answer in answers} <= {answer.status_code == 503 for answer in answers}
    assert requests.get(f"{server.url}/healthz", timeout=20).status_code == 200
    return {answer.status_code for answer in answers}


def finish(server: LiveServer, load: Load, url: str, folder: Path) -> None:
    """End the load and the server, which is the one that was started, and look at what is there."""
    acknowledged = load.finish()
    assert max(each.tries for each in acknowledged) > REFUSALS
    assert server.process.poll() is None
    assert len(server.worker_pids()) == WORKERS
    assert server.stop() == 0
    assert_nothing_is_lost(url, acknowledged, folder)
