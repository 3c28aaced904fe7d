"""`serve` starts on nothing, prints a first token once, says why it does not start, and stops in order."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from release_ledger.cli.first_start import first_token
from release_ledger.cli.server import STOPPING_S
from release_ledger.settings import Settings
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer, free_port

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
def test_an_empty_postgresql_is_not_upgraded_by_serving(database_url: str, tmp_path: Path) -> None:
    """On a shared database upgrading is a decision; the message says which command it is."""
    ran = CommandLine(tmp_path, database_url)("serve", "--port", str(free_port()))

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "Error: The database has no ledger yet: run `release-ledger upgrade` first.\n"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("delete from alembic_version", "has no ledger yet: run `release-ledger upgrade` first"),
        ("update alembic_version set version_num = '9999'", "9999 is newer than this release knows"),
    ],
    ids=["not upgraded", "newer"],
)
@on_sqlite
def test_another_schema_is_refused(statement: str, said: str, upgraded_url: str, tmp_path: Path) -> None:
    """A SQLite database that is there is not upgraded by serving either."""
    with closing(sqlite3.connect(upgraded_url.removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)
        connection.commit()

    ran = CommandLine(tmp_path, upgraded_url)("serve", "--port", str(free_port()))

    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """Before anything is created: the token of a server that never came up would be lost."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as another `serve` has it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ran = CommandLine(tmp_path)("serve", "--port", str(port))

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"Error: Cannot listen on 127.0.0.1, port {port} (address already in use): give another --host or --port.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_said(host: str, tmp_path: Path) -> None:
    """A sentence, not a traceback of the web server's."""
    ran = CommandLine(tmp_path)("serve", "--host", host, "--port", str(free_port()))

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: Cannot listen on {host}, port ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order(sent: signal.Signals, live_server: LiveServer) -> None:
    """Exit status 0, the port free, nothing left of it: neither processes nor files."""
    [folder] = metrics_folders(live_server)

    code = live_server.stop(sent)

    assert code == 0
    assert not live_server.answers()
    assert not folder.exists()
    assert processes(live_server) == []
    assert live_server.errors == ""


def test_it_stops_in_order_on_ctrl_c(live_server: LiveServer) -> None:
    """A terminal sends SIGINT to the workers as well; that is no failure of theirs, and nobody has to be killed."""
    workers = processes(live_server, "spawn_main")
    for worker in workers:
        os.kill(worker, signal.SIGINT)
    time.sleep(0.5)
    assert processes(live_server, "spawn_main") == workers

    os.killpg(live_server.process.pid, signal.SIGINT)

    assert live_server.process.wait(STOPPING_S / 2) == 0
    assert not live_server.answers()
    assert live_server.errors == ""


def test_a_request_under_way_is_answered_before_it_stops(live_server: LiveServer) -> None:
    """A report that arrived is not dropped because somebody restarts the server."""
    connection = HTTPConnection("127.0.0.1", live_server.port, timeout=20)
    connection.putrequest("PUT", "/api/releases/shop")
    body = b'{"repo": "acme/shop"}'
    connection.putheader("Authorization", f"Bearer {live_server.token}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:5])
    time.sleep(0.3)

    live_server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    connection.send(body[5:])
    answer = connection.getresponse()

    assert (answer.status, json.load(answer)["name"]) == (201, "shop")
    connection.close()
    assert live_server.process.wait(30) == 0


def test_workers_end_with_a_server_that_was_killed(live_server: LiveServer) -> None:
    """`kill -9` leaves no process behind that keeps the port: the next start finds it free."""
    live_server.process.kill()
    live_server.process.wait(10)

    wait_for(lambda: processes(live_server) == [])

    with LiveServer(live_server.database_url, port=live_server.port):
        pass


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """Out of memory in one process is not an outage."""
    with LiveServer(f"sqlite:///{tmp_path / 'ledger.db'}", workers=2) as server:
        wait_for(lambda: len(processes(server, "spawn_main")) == 2)
        victim = processes(server, "spawn_main")[0]

        os.kill(victim, signal.SIGKILL)

        wait_for(lambda: len(set(processes(server, "spawn_main")) - {victim}) == 2)
        wait_for(server.answers)
        assert server.stop() == 0


@on_postgresql
def test_eight_starts_at_the_same_moment_make_one_token(database_url: str, tmp_path: Path) -> None:
    """Eight hosts that upgrade and serve one empty PostgreSQL all come up, and one of them prints a token."""
    with ExitStack() as stack, ThreadPoolExecutor(8) as hosts:
        servers = [LiveServer(database_url) for _ in range(8)]
        for server in servers:
            stack.callback(server.close)

        def start(server: LiveServer) -> str:
            said = CommandLine(tmp_path, database_url).fine("upgrade")
            server.start()
            return said

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


def processes(server: LiveServer, with_argument: str = "") -> list[int]:
    """The processes of the server's group that run; each `serve` of the tests begins a group of its own."""
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and is_of_group(folder, server.process.pid, with_argument)
    ]


def is_of_group(folder: Path, group: int, with_argument: str) -> bool:
    try:
        state, _, of_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        return int(of_group) == group and state != "Z" and with_argument in (folder / "cmdline").read_text()
    except OSError:
        return False


def metrics_folders(server: LiveServer) -> Iterator[Path]:
    """Where the workers of this server count together."""
    variables = {
        line for pid in processes(server, "spawn_main") for line in Path(f"/proc/{pid}/environ").read_text().split("\0")
    }
    return (Path(line.partition("=")[2]) for line in variables if line.startswith("PROMETHEUS_MULTIPROC_DIR="))


def wait_for(condition: Any, within_s: float = 20) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)
