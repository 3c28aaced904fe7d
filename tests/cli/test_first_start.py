"""A first start needs nothing, and makes one token, however many start at the same moment."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from release_ledger.cli.first_start import first_token
from release_ledger.settings import Settings
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer, wait_for

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


def test_a_first_start_needs_nothing_and_prints_a_token_once(tmp_path: Path) -> None:
    """No settings, no upgrade: the default database is created in the working directory."""
    with LiveServer(None, cwd=tmp_path) as server:
        wait_for(lambda: "listens on" in server.output)

        assert (tmp_path / "release-ledger.db").exists()
        assert len(re.findall("rl_", server.output)) == 1
        assert server.output.endswith(f"\nRelease Ledger listens on {server.url}\n")
        assert server.errors == ""
        assert [(t["name"], t["role"]) for t in tokens(tmp_path, None)] == [("first", "admin")]


def test_the_two_lines_to_try_work(live_server: LiveServer) -> None:
    """They are pasted into a shell as they are printed, after the line with the token."""
    token, put, get = [line.strip() for line in live_server.output.splitlines() if line.startswith("  ")]
    quiet = [f"{token}; {line} --silent --fail" for line in (put, get)]

    answers = [subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout for line in quiet]

    created, [listed] = map(json.loads, answers)
    assert (created["name"], created["repo"]) == ("shop", "acme/shop")
    assert listed["name"] == "shop"


def test_a_second_start_prints_no_token(live_server: LiveServer) -> None:
    """Also when the first token was revoked since: who may in is decided, not reset by a restart."""
    assert live_server.stop() == 0
    assert live_server.database_url is not None
    cli = CommandLine(Path.cwd(), live_server.database_url)
    cli.fine("token", "revoke", "first")

    with LiveServer(live_server.database_url) as again:
        wait_for(lambda: "listens on" in again.output)

        assert again.output == f"Release Ledger listens on {again.url}\n"
        assert status_of(again, live_server.token) == 401


@on_sqlite
def test_a_ledger_with_a_token_gets_no_first_one(upgraded_url: str, tmp_path: Path) -> None:
    """Tokens made before the first start are enough."""
    CommandLine(tmp_path, upgraded_url).fine("token", "create", "ci")

    with LiveServer(upgraded_url) as server:
        assert server.token is None
        assert [token["name"] for token in tokens(tmp_path, upgraded_url)] == ["ci"]


@on_postgresql
def test_eight_starts_at_the_same_moment_make_one_token(database_url: str, tmp_path: Path) -> None:
    """Eight hosts that upgrade and serve one empty PostgreSQL all come up, and one of them prints a token."""
    with ExitStack() as stack, ThreadPoolExecutor(8) as hosts:
        servers = [LiveServer(database_url) for _ in range(8)]
        for server in servers:
            stack.callback(server.close)

        def start(server: LiveServer) -> str:
            ran = CommandLine(tmp_path, database_url)("upgrade")  # which says so where it waits for long
            assert ran.code == 0, ran
            server.start()
            return ran.out

        assert list(hosts.map(start, servers)) == ["The tables are up to date.\n"] * 8

        [printed] = [server.token for server in servers if server.token]
        assert [token["name"] for token in tokens(tmp_path, database_url)] == ["first"]
        assert {status_of(server, printed) for server in servers} == {200}


def test_of_many_that_find_no_token_one_makes_it(upgraded_url: str) -> None:
    """The moment between looking and making is where a second one would come from."""
    settings = Settings(database_url=upgraded_url)
    start = Barrier(8)

    def make() -> str | None:
        start.wait()
        return first_token(settings)

    with ThreadPoolExecutor(8) as threads:
        made = [future.result() for future in [threads.submit(make) for _ in range(8)]]

    assert len([token for token in made if token]) == 1


def test_starts_at_the_same_moment_share_a_new_sqlite_file(tmp_path: Path) -> None:
    """One creates it, the others wait for that; one token."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with ExitStack() as stack:
        servers = [LiveServer(url) for _ in range(3)]
        for server in servers:
            stack.callback(server.close)
            server.launch()
        for server in servers:
            server.wait_until_ready()

        assert len([server for server in servers if server.token]) == 1
        assert len(tokens(tmp_path, url)) == 1


def tokens(folder: Path, url: str | None) -> Any:
    return CommandLine(folder, url)("token", "list", "--json").json


def status_of(server: LiveServer, token: str | None) -> int:
    """What GET /api/releases answers to this token."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/api/releases", headers={"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status
