"""`release-ledger serve` as a process of its own, for tests that need the real thing."""

import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.command_line import COMMAND, environment

STARTING_S = 60.0
STOPPING_S = 30.0


class LiveServer:
    """Started by `start`, or by entering it; `url` is where it answers, `token` what a first start printed, or None.

    `variables` are set besides the environment of the tests.
    """

    def __init__(
        self,
        database_url: str | None,
        *,
        workers: int = 1,
        with_worker: bool = False,
        port: int | None = None,
        cwd: Path | None = None,
        variables: Mapping[str, str] = {},
    ) -> None:
        self.database_url, self.workers, self.with_worker, self.cwd = database_url, workers, with_worker, cwd
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._variables = dict(variables)
        self._outputs = tempfile.TemporaryDirectory(prefix="release-ledger-server-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until GET /healthz answers."""
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """Start it and do not wait."""
        arguments = ["serve", "--port", str(self.port), "--workers", str(self.workers)]
        arguments += [] if self.with_worker else ["--no-worker"]
        with self._file("out").open("ab") as out, self._file("err").open("ab") as err:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=self.cwd,
                # Also what `kill` leaves is removed with the outputs.
                env=environment(self.database_url, {"TMPDIR": self._outputs.name, **self._variables}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when it answers; RuntimeError, with what it said, when it ended or takes too long."""
        give_up_at = time.monotonic() + STARTING_S
        while self.process.poll() is None and time.monotonic() < give_up_at:
            if self.answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"serve did not start:\n{self.output}\n{self.errors}")

    def answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def output(self) -> str:
        """All that it printed on standard output so far."""
        return self._file("out").read_text()

    @property
    def errors(self) -> str:
        return self._file("err").read_text()

    @property
    def token(self) -> str | None:
        found = re.search(r"TOKEN=(rl_\S+)", self.output)
        return found[1] if found else None

    def worker_pids(self) -> list[int]:
        """The processes that answer requests, those that are alive."""
        children: list[str] = []
        for of_thread in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with suppress(OSError):  # it has ended
                children += of_thread.read_text().split()
        return [int(pid) for pid in children if _is_worker(Path("/proc") / pid)]

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Stop it in order; its exit status."""
        self.process.send_signal(sent)
        return self.process.wait(STOPPING_S)

    def kill(self) -> None:
        """`kill -9`, its workers too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOPPING_S)

    def close(self) -> None:
        """Let nothing of it be left."""
        if self._process is not None:
            self.kill()
        self._outputs.cleanup()

    def _file(self, name: str) -> Path:
        return Path(self._outputs.name) / name

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_worker(folder: Path) -> bool:
    try:
        is_dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return not is_dead and "spawn_main" in (folder / "cmdline").read_text()
    except OSError:
        return False


def free_port() -> int:
    """Below the ports that the system hands to clients, and not those of the tests' PostgreSQL."""
    while True:
        port = random.randrange(10_000, 20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], object], within_s: float = 20) -> None:
    """Return when it is true; an AssertionError when that takes too long."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)
