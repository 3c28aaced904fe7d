"""`release-ledger backup`, and what it is for: the restore."""

import threading
from pathlib import Path

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from tests.support.command_line import CommandLine

CI = Caller(recorded_by="ci")
on = pytest.mark.parametrize


def deploy(ledger: Ledger) -> None:
    ledger.report("shop", "production", release_candidate_version="1-rc1", status="in_progress", by=CI)
    ledger.report("shop", "production", release_candidate_version="1-rc1", status="success", by=CI)


@pytest.fixture(autouse=True)
def _an_environment(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=CI)
    ledger.configure_environment("shop", "production", Settings(), by=CI)
    ledger.cut_release_candidate("shop", "1-rc1", repo="acme/shop", commit="a" * 40, by=CI)


@on("database_kind", ["sqlite"])
def test_a_backup_made_under_writes_is_restored_and_goes_on(cli: CommandLine, ledger: Ledger, tmp_path: Path) -> None:
    """The restored ledger is of one moment, verifies, and takes the next deployment."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.001):
            deploy(ledger)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        said = cli.fine("backup", "copy.db")
    finally:
        stop.set()
        writer.join()
    deploy(ledger)

    restored = CommandLine(tmp_path, f"sqlite:///{tmp_path / 'copy.db'}")
    opened = Ledger.open(restored.database_url or "")
    before = opened.environment("shop", "production")[0]["version"]
    deploy(opened)
    after = opened.environment("shop", "production")[0]["version"]
    opened.close()
    assert said == "Copied to copy.db.\n"
    assert before < ledger.environment("shop", "production")[0]["version"]
    assert after > before
    assert restored.fine("projections", "verify").startswith("No differences")


@on("database_kind", ["sqlite"])
def test_a_backup_overwrites_nothing(cli: CommandLine, tmp_path: Path) -> None:
    """Whatever lies there may be the only good copy."""
    (tmp_path / "copy.db").write_text("precious")

    ran = cli("backup", "copy.db")

    assert (ran.code, ran.out) == (1, "")
    assert "copy.db is there already" in ran.err
    assert (tmp_path / "copy.db").read_text() == "precious"
    assert not list(tmp_path.glob("*.partial"))


@on("database_kind", ["sqlite"])
def test_a_place_that_cannot_be_written_is_said(cli: CommandLine) -> None:
    """A sentence, and no traceback."""
    ran = cli("backup", "no/such/folder/copy.db")

    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert ran.err.strip()


@on("database_kind", ["postgresql"])
def test_on_postgresql_the_line_to_do_it_with_is_printed(cli: CommandLine) -> None:
    """Without a password: the programs of PostgreSQL find it themselves."""
    said = cli.fine("backup", "a copy.dump")

    assert said.startswith("pg_dump --format=custom --file='a copy.dump' postgresql://postgres@127.0.0.1:")
