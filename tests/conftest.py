"""Databases for the tests, and the quiet in which they run."""

import gc
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.in_memory import quick_folder
from tests.support.once import made_once
from tests.support.postgres import Databases
from tests.support.server import LiveServer
from tests.support.shared_postgres import shared_databases

# A distribution of its own, whose tests run where it is installed: tests/cli/test_sample_plugin.py.
collect_ignore = ["sample_plugin"]

# Files of tests are synced all the time, which is what a disk shared with others is slowest at.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(quick_folder()))

# The programs that tests start need not compile the same modules each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A slow machine is no failure. In CI the examples are the same at every run: a red run can be repeated.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=50,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", settings.get_profile("default"), max_examples=3_000, derandomize=False)
settings.load_profile("default")


def pytest_collection_finish() -> None:
    """What is there now stays: garbage is looked for among what tests make, a tenth of the time is saved."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own RELEASE_LEDGER_… must not decide what a test sees; RELEASE_LEDGER_TEST_… is for the tests."""
    for name in list(os.environ):
        if name.startswith("RELEASE_LEDGER_") and not name.startswith("RELEASE_LEDGER_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the workers of this run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[Databases]:
    """The PostgreSQL of this run. A test that wants to kill one starts its own."""
    with shared_databases(run_folder) as databases:
        yield databases


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with nothing in it; the test runs once for SQLite and once for PostgreSQL."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        databases: Databases = request.getfixturevalue("postgres")
        url = databases.create_database()
        yield url
        databases.drop_database(url)


@pytest.fixture
def upgraded_url(database_kind: str, tmp_path: Path, run_folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the ledger's tables in it, empty: a copy of one that was upgraded once for the whole run."""
    if database_kind == "sqlite":
        template = made_once(run_folder / "sqlite-template", lambda: _upgraded_file(run_folder / "template.db"))
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'ledger.db')}"
    else:
        databases: Databases = request.getfixturevalue("postgres")
        # Beside the server's data, because it ends with them.
        template = made_once(databases.directory / "template", lambda: _upgraded(databases.create_database()))
        url = databases.create_database(template)
        yield url
        databases.drop_database(url)


@pytest.fixture
def live_server(tmp_path: Path) -> Iterator[LiveServer]:
    """A `release-ledger serve` of its own, one worker, on a new SQLite database; `token` is its first token."""
    with LiveServer(f"sqlite:///{tmp_path / 'served.db'}") as server:
        yield server


def _upgraded(url: str) -> str:
    from release_ledger.projection.upgrade import upgrade  # here, so that tests of other parts run without a store

    upgrade(url)
    return url


def _upgraded_file(path: Path) -> str:
    """An upgraded SQLite file that is whole without the write-ahead log beside it."""
    _upgraded(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    return str(path)
