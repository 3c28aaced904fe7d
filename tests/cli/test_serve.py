"""`serve` says why it does not start, replaces a worker that dies, and stops in order."""

import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from release_ledger.cli.limits import STOPPING_S
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer, free_port, wait_for

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


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
    wait_for(lambda: processes(live_server) == [])  # multiprocessing's own tracker is a moment later
    assert live_server.errors == ""


def test_it_stops_in_order_on_ctrl_c(live_server: LiveServer) -> None:
    """A terminal sends SIGINT to the workers as well; that is no failure of theirs, and nobody has to be killed."""
    [worker] = processes(live_server, "spawn_main")
    os.kill(worker, signal.SIGINT)
    time.sleep(0.5)
    assert live_server.answers()

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
