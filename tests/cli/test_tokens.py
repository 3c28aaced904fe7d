"""Tokens are made on the command line, shown once, and kept as a digest."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from release_ledger.access import digest
from release_ledger.ledger import Ledger
from tests.support.command_line import CommandLine

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def test_a_token_is_printed_alone(cli: CommandLine, ledger: Ledger) -> None:
    """`TOKEN=$(release-ledger token create ci)` works, and what is kept of it is its digest."""
    printed = cli.fine("token", "create", "ci")

    assert re.fullmatch(r"rl_[A-Za-z0-9_-]{43}\n", printed)
    found = ledger.token(digest(printed.strip()))
    assert found is not None
    assert (found[0]["token_name"], found[0]["role"], found[0]["projects"]) == ("ci", "read", None)


@on_sqlite
def test_a_token_is_made_as_asked(cli: CommandLine) -> None:
    """Role, owner, projects and end are listed; the secret and its digest are not."""
    before = datetime.now(UTC)

    secret = cli.fine(
        "token", "create", "ci", "--role", "deploy", "--email", "dev@example.com", "--project", "shop",
        "--project", "web site", "--project", "shop", "--expires-in", "90m",
    ).strip()  # fmt: skip

    listed = cli.fine("token", "list", "--json")
    [token] = cli("token", "list", "--json").json
    assert secret not in listed
    assert digest(secret) not in listed
    expires_at = datetime.fromisoformat(token.pop("expires_at"))
    assert timedelta(minutes=90) <= expires_at - before < timedelta(minutes=91)
    assert re.fullmatch(r"command-line:\S+", token.pop("created_by"))
    assert datetime.fromisoformat(token.pop("created_at")) >= before
    assert token == {
        "name": "ci",
        "state": "open",
        "role": "deploy",
        "email": "dev@example.com",
        "projects": ["shop", "web site"],
        "revoked_at": None,
    }


def test_a_revoked_token_stays_listed(cli: CommandLine, ledger: Ledger) -> None:
    """Who could do what, and until when, is history too."""
    secret = cli.fine("token", "create", "ci").strip()

    said = [cli.fine("token", "revoke", "ci"), cli.fine("token", "revoke", "ci")]

    assert said == ["Token ci opens nothing from now on.\n"] * 2
    found = ledger.token(digest(secret))
    assert found is not None
    assert found[0]["revoked_at"] is not None
    assert [(token["name"], token["state"]) for token in cli("token", "list", "--json").json] == [("ci", "revoked")]


@on_sqlite
def test_a_name_may_be_used_again_after_its_token_was_revoked(cli: CommandLine) -> None:
    """Rotating a secret needs no new name."""
    cli.fine("token", "create", "ci")
    cli.fine("token", "revoke", "ci")

    cli.fine("token", "create", "ci", "--role", "deploy")

    assert [(token["state"], token["role"]) for token in cli("token", "list", "--json").json] == [("open", "deploy")]


@on_sqlite
def test_a_token_that_was_never_made_cannot_be_revoked(cli: CommandLine) -> None:
    """A misspelt name must not look as if a token were closed."""
    ran = cli("token", "revoke", "nobody")

    assert (ran.code, ran.err) == (1, "Error: Token not found (token_name: nobody)\n")


@on_sqlite
def test_into_a_pipe_a_token_is_a_line(cli: CommandLine) -> None:
    """No column is folded or cut where a program reads along."""
    name = "a" * 100
    cli.fine("token", "create", name, "--email", "somebody.with.a.long.name@example.com")

    header, line = cli.fine("token", "list").splitlines()

    assert header.split()[:3] == ["NAME", "STATE", "ROLE"]
    assert line.split()[:5] == [name, "open", "read", "somebody.with.a.long.name@example.com", "all"]
