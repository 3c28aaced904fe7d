"""Processes that die are replaced, however often; those that cannot start end the server."""

import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from release_ledger.cli.supervision import FALSE_STARTS, SECOND_SIGNAL_S
from tests.cli.test_serve import metrics_folders, processes
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer, free_port, wait_for

KILLS = 6


def test_processes_that_are_killed_again_and_again_are_replaced(live_server: LiveServer) -> None:
    """As soon as they are there: granian itself ends at the second. What was counted before is still counted."""
    for _ in range(3):
        assert live_server.answers()
    before = healthy_answers(live_server)
    assert before >= 3
    [folder] = metrics_folders(live_server)
    files = sorted(folder.iterdir())
    killed: set[int] = set()

    for _ in range(KILLS):
        wait_for(lambda: set(processes(live_server, "spawn_main")) - killed)
        victim = (set(processes(live_server, "spawn_main")) - killed).pop()
        killed.add(victim)
        os.kill(victim, signal.SIGKILL)

    wait_for(live_server.answers)
    assert healthy_answers(live_server) > before
    assert sorted(folder.iterdir()) == files
    assert live_server.process.poll() is None
    assert live_server.errors.count("Unexpected exit") == KILLS
    assert live_server.stop() == 0


def test_a_server_whose_processes_cannot_start_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, after a few tries; it is not left spinning."""
    (tmp_path / "flask.py").write_text("raise ImportError('broken on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))

    ran = CommandLine(tmp_path)("serve", "--port", str(free_port()), "--workers", "1")

    assert ran.code == 1
    assert ran.err.count("ImportError: broken on purpose") == FALSE_STARTS
    assert ran.err.splitlines()[-1].startswith("Error: The processes that answer requests end before they do")


def test_a_second_signal_stops_at_once(live_server: LiveServer) -> None:
    """Who asks twice does not want to wait for a request that is under way."""
    with socket.create_connection(("127.0.0.1", live_server.port), 10) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100")
        live_server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not live_server.answers())
        time.sleep(SECOND_SIGNAL_S)  # sooner, it is taken for an echo of the first
        assert live_server.process.poll() is None

        live_server.process.send_signal(signal.SIGTERM)

        assert live_server.process.wait(3) == 0


def healthy_answers(server: LiveServer) -> float:
    """How many requests of /healthz the server says it answered."""
    asked = urllib.request.Request(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r'requests_total\{endpoint="service.health",method="GET",status="200"\} (\S+)', text)
    assert found, text
    return float(found[1])
