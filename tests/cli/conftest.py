"""The command line on a database that is upgraded, and the ledger beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from release_ledger.ledger import Ledger
from tests.support.command_line import CommandLine, InProcess
from tests.support.granian_process import Echo, echo


@pytest.fixture
def cli(upgraded_url: str, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, upgraded_url)


@pytest.fixture
def here(upgraded_url: str, tmp_path: Path) -> InProcess:
    """The command line without a process of its own."""
    return InProcess(tmp_path, upgraded_url)


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    """The same ledger as the command line's, opened in this process."""
    opened = Ledger.open(upgraded_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def front() -> Iterator[Echo]:
    """An application of the tests behind the front that `serve` has."""
    with echo("asgi") as served:
        yield served
