"""What goes wrong is said in one line on standard error; the exit status tells a refusal from wrong usage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine

NEEDS_A_LEDGER = [
    ("token", "create", "ci"),
    ("token", "list"),
    ("token", "revoke", "ci"),
    ("project", "create", "shop", "--repo", "acme/shop"),
    ("project", "list"),
    ("environment", "create", "shop", "production"),
    ("environment", "freeze", "shop", "production", "--reason", "audit"),
    ("environment", "unfreeze", "shop", "production"),
    ("projections", "status"),
    ("projections", "verify"),
]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.mark.parametrize("command", NEEDS_A_LEDGER, ids=" ".join)
def test_without_a_database_file_every_command_refuses_and_makes_none(command: tuple[str, ...], tmp_path: Path) -> None:
    """A command in the wrong folder must not leave an empty ledger there that looks like the real one."""
    ran = CommandLine(tmp_path)(*command)

    assert (ran.code, ran.out) == (1, "")
    assert one_line(ran.err).startswith("Error: The database has no ledger yet")
    assert "run `release-ledger upgrade` first" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_refused(database_url: str, tmp_path: Path) -> None:
    """On PostgreSQL the database is always there; what is missing are the tables."""
    ran = CommandLine(tmp_path, database_url)("project", "list")

    assert (ran.code, ran.out) == (1, "")
    assert one_line(ran.err).startswith("Error: The database has no ledger yet")
    assert "run `release-ledger upgrade` first" in ran.err


@on_sqlite
def test_a_newer_schema_is_refused(cli: CommandLine, upgraded_url: str) -> None:
    """An old release must not write into what it does not know."""
    with closing(sqlite3.connect(upgraded_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
        connection.commit()

    refused = [cli("project", "list"), cli("upgrade")]

    assert [ran.code for ran in refused] == [1, 1]
    assert all("9999 is newer than this release" in one_line(ran.err) for ran in refused)


def test_a_refusal_by_the_rules_is_its_sentence_and_details(cli: CommandLine) -> None:
    """The same sentences as over HTTP."""
    unknown = cli("environment", "create", "shop", "production")
    cli.fine("token", "create", "ci")
    again = cli("token", "create", "ci")

    assert (unknown.code, unknown.out, unknown.err) == (1, "", "Error: Release project not found\n")
    assert (again.code, again.out, again.err) == (1, "", "Error: A token of this name exists (token_name: ci)\n")


@pytest.mark.parametrize("command", [("project", "list"), ("upgrade",)], ids=" ".join)
def test_a_database_that_is_away_is_a_refusal(command: tuple[str, ...], tmp_path: Path) -> None:
    """Also when it goes away in the middle: never a traceback, and never the password."""
    ran = CommandLine(tmp_path, "postgresql+psycopg://user:hunter2@127.0.0.1:1/ledger")(*command)

    assert (ran.code, ran.out) == (1, "")
    assert one_line(ran.err).startswith("Error: The ledger cannot be written (database: ")
    assert "hunter2" not in ran.err


def test_a_file_that_is_no_database_is_a_refusal(tmp_path: Path) -> None:
    """Somebody's file is named by mistake: it stays as it is."""
    (tmp_path / "release-ledger.db").write_text("no database" * 1000)

    ran = CommandLine(tmp_path)("project", "list")

    assert ran.code == 1
    assert one_line(ran.err) == "Error: The ledger cannot be written (database: file is not a database)"
    assert (tmp_path / "release-ledger.db").read_text() == "no database" * 1000


def test_a_setting_that_cannot_be_used_is_a_refusal(tmp_path: Path) -> None:
    """The variable is named."""
    ran = CommandLine(tmp_path, "mysql://db/ledger")("upgrade")

    assert ran.code == 1
    assert one_line(ran.err).startswith("Error: RELEASE_LEDGER_DATABASE_URL must be")


def test_upgrade_may_be_run_twice(database_url: str, tmp_path: Path) -> None:
    """The second time it changes nothing, and the ledger can be used."""
    cli = CommandLine(tmp_path, database_url)

    said = [cli.fine("upgrade"), cli.fine("upgrade")]

    assert said == ["The tables are up to date.\n"] * 2
    assert cli.fine("project", "list", "--json") == "[]\n"


def one_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]
