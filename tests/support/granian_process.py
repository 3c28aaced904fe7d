"""granian over an application of the tests, as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.support.server import free_port, wait_for


class Echo:
    """`tests.support.echo`, served on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        """The status, headers and JSON of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), json.load(answer)
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.get("/counts")[0] == 200
        except OSError:
            return False


@contextmanager
def echo(interface: str) -> Iterator[Echo]:
    """Served by granian as `wsgi`, or as `asgi` behind our front."""
    target = {"wsgi": "application", "asgi": "front"}[interface]
    served = Echo(free_port())
    options = ["--interface", interface, "--port", str(served.port), "--no-ws", "--http", "1", "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, f"tests.support.echo:{target}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        wait_for(served.answers)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
