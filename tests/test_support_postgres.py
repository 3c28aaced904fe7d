"""The tests stand on this runner, so it keeps its own promises first."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.postgres import Databases, PostgresServer

ROOT = Path(__file__).parents[1]
GONE_WITHIN_S = 15.0

STARTS_AND_WAITS = """
import sys
from pathlib import Path
from tests.support.shared_postgres import shared_databases
with shared_databases(Path(sys.argv[1])) as databases:
    print(databases.directory, databases.port, flush=True)
    sys.stdin.read()
"""


def run(url: str, *statements: str) -> list[Any]:
    """The rows of the last statement."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def wait_until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + GONE_WITHIN_S
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(settings={"work_mem": "5MB"}) as server:
        yield server


def test_two_databases_share_nothing(postgres: Databases) -> None:
    """A test's database is its own."""
    first, second = postgres.create_database(), postgres.create_database()

    run(first, "create table only_here (n int)")

    tables = "select count(*) from pg_tables where tablename = 'only_here'"
    assert (run(first, tables), run(second, tables)) == ([(1,)], [(0,)])
    postgres.drop_database(first)
    postgres.drop_database(second)


def test_a_database_can_be_a_copy_of_another(postgres: Databases) -> None:
    """Upgrading once and copying is what makes a database per test cheap."""
    template = postgres.create_database()
    run(template, "create table t (n int)", "insert into t values (7)")

    copy = postgres.create_database(template)

    assert run(copy, "select n from t") == [(7,)]
    postgres.drop_database(copy)
    postgres.drop_database(template)


def test_a_database_is_dropped_whoever_is_still_connected(postgres: Databases) -> None:
    """A connection that a test forgot must not fail the next one."""
    url = postgres.create_database()

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        postgres.drop_database(url)

        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")


def test_settings_reach_the_server(server: PostgresServer) -> None:
    """A test can ask for a server that behaves differently."""
    assert run(server.url("postgres"), "show work_mem") == [("5MB",)]


def test_committed_rows_survive_kill_9(server: PostgresServer) -> None:
    """Killed without warning and started again, the same URL answers and has every row that was acknowledged."""
    url = server.create_database()
    run(url, "create table t (n int)", "insert into t select generate_series(1, 1000)")

    server.kill()
    with pytest.raises(psycopg.OperationalError):
        run(url, "select 1")
    server.start()

    assert run(url, "select count(*) from t") == [(1000,)]


def test_a_stopped_server_can_be_started_again(server: PostgresServer) -> None:
    """An orderly stop keeps the data too."""
    url = server.create_database()
    run(url, "create table t (n int)", "insert into t values (1)")

    server.stop()
    server.start()

    assert run(url, "select n from t") == [(1,)]


def test_a_server_that_cannot_start_says_why() -> None:
    """The reason is in the error, not in a file that is already gone."""
    with pytest.raises(RuntimeError, match="no_such_setting"), PostgresServer(settings={"no_such_setting": "1"}):
        pass


def test_a_closed_server_leaves_nothing_behind() -> None:
    """No process and no files."""
    with PostgresServer() as server:
        pid = int((server.directory / "server.pid").read_text())

    assert not server.directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_test_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Two processes share a server, both are killed: the second still finds it, and after it the server is gone."""
    first, second = (starts_and_waits(tmp_path) for _ in range(2))
    directory, port = read_line(first).split()
    assert read_line(second).split() == [directory, port]
    url = Databases(Path(directory), int(port)).url("postgres")

    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(0.2)
    assert run(url, "select 1") == [(1,)]

    second.send_signal(signal.SIGKILL)
    second.communicate()
    wait_until(lambda: not Path(directory).exists())
    with pytest.raises(psycopg.OperationalError):
        run(url, "select 1")


def starts_and_waits(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTS_AND_WAITS, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
