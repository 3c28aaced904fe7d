"""`release-ledger worker`, and the worker beside `serve`, as processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from release_ledger.ledger import Ledger
from tests.cli.test_serve import processes
from tests.support.command_line import COMMAND, environment
from tests.support.github_stand_in import StandIn
from tests.support.server import LiveServer, wait_for
from tests.support.working import REPO, TOKEN, Shop, eventually


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn(token=TOKEN, takes_s=0.1) as stand_in:
        stand_in.add_workflow(REPO, "deploy.yml", shows_id=True)
        yield stand_in


def variables(github: StandIn) -> dict[str, str]:
    return {"RELEASE_LEDGER_GITHUB_URL": github.url, "RELEASE_LEDGER_GITHUB_TOKEN": TOKEN}


def worker_of(server: LiveServer) -> list[int]:
    """The process beside those that answer requests."""
    return processes(server, "--beside")


def test_a_worker_triggers_and_stops_in_order(upgraded_url: str, github: StandIn, tmp_path: Path) -> None:
    """SIGTERM: exit status 0, and nothing said but what it does."""
    ledger = Ledger.open(upgraded_url)
    deployment = Shop(ledger, "production").deploy()
    process = subprocess.Popen(
        [*COMMAND, "worker"], cwd=tmp_path, env=environment(upgraded_url, variables(github)), stderr=subprocess.PIPE
    )

    assert eventually(lambda: github.started[deployment] == 1, within_s=30)
    assert eventually(lambda: not ledger.wanted())
    process.send_signal(signal.SIGTERM)

    errors = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 0
    assert errors == "Working. Stop with Ctrl-C.\n"
    assert TOKEN not in errors
    ledger.close()


def test_serve_has_a_worker_beside_it(upgraded_url: str, github: StandIn) -> None:
    """It is started again when it dies, and ends with the server."""
    ledger = Ledger.open(upgraded_url)
    shop = Shop(ledger, "production")
    with LiveServer(upgraded_url, with_worker=True, variables=variables(github)) as server:
        first = shop.deploy()
        assert eventually(lambda: github.started[first] == 1, within_s=30)
        [victim] = worker_of(server)

        os.kill(victim, signal.SIGKILL)

        second = shop.deploy(number=2)
        assert eventually(lambda: github.started[second] == 1, within_s=30)
        assert worker_of(server) != [victim]
        assert server.stop() == 0
        assert TOKEN not in server.output + server.errors
        wait_for(lambda: processes(server) == [])
    assert github.started == {first: 1, second: 1}
    ledger.close()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_server(sent: signal.Signals, upgraded_url: str) -> None:
    """Neither Ctrl-C, which a terminal sends to all, nor `kill -9` of the parent alone."""
    with LiveServer(upgraded_url, with_worker=True) as server:
        wait_for(lambda: len(worker_of(server)) == 1)
        time.sleep(1)

        if sent == signal.SIGINT:
            os.killpg(server.process.pid, sent)
        else:
            server.process.kill()

        server.process.wait(30)
        wait_for(lambda: processes(server) == [])
        assert "Traceback" not in server.errors
