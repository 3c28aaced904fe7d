"""Ends a throw-away PostgreSQL once nobody uses it any more. Run by postgres.py as a program of its own.

Every process that uses the server holds a shared lock on the file `in-use`. The system takes a lock back however its
process ends, so a test run that was interrupted, or killed, leaves neither server nor files behind.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STOPPING_S = 10.0


def end_server(pid: int) -> None:
    """Shut down at once: nobody wants the data."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
        give_up_at = time.monotonic() + STOPPING_S
        while time.monotonic() < give_up_at:
            os.kill(pid, 0)
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)


def guard(directory: Path) -> None:
    with (directory / "in-use").open("r+") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_EX)
        pid_file = directory / "server.pid"
        if pid_file.exists():
            end_server(int(pid_file.read_text()))
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
