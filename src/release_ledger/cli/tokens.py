"""`release-ledger token …`: the only place where tokens are made."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from ..access import ROLES, Role
from ..versions import write_moment
from .opening import caller, open_ledger
from .output import as_json, moment, print_json, print_table
from .values import EMAIL, PROJECT, duration, token_name


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that open the API."""


@token.command()
@click.argument("name", type=token_name)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="read",
    show_default=True,
    help="What it may do: read everything; deploy: also cut releases, deploy and roll back; admin: also settings.",
)
@click.option("--email", metavar="E", type=EMAIL, help="The person that it belongs to; leave it out for a machine's.")
@click.option("--project", "projects", metavar="P", type=PROJECT, multiple=True, help="Only this project; repeatable.")
@click.option("--expires-in", metavar="TIME", type=duration, help="When it ends: 30d, 12h, 90m or 3600s from now.")
def create(name: str, role: Role, email: str | None, projects: tuple[str, ...], expires_in: str | None) -> None:
    """Make a token and print it, alone, on standard output.

    It is shown this once: the ledger keeps only its digest. Its name is in events for ever, so that no e-mail may be in
    it: that is what --email is for, which can be forgotten.
    """
    with open_ledger() as ledger:
        secret = ledger.create_token(
            name,
            role=role,
            email=email,
            projects=list(dict.fromkeys(projects)) or None,
            expires_at=expires_in,
            by=caller(),
        )
    click.echo(secret)


@token.command("list")
@as_json
def list_tokens(as_json: bool) -> None:
    """List all tokens, also those that no longer open; never their secrets."""
    with open_ledger() as ledger:
        tokens = [_described(row) for row in ledger.tokens()]
    if as_json:
        print_json(tokens)
        return
    print_table(
        ("NAME", "STATE", "ROLE", "EMAIL", "PROJECTS", "EXPIRES", "CREATED", "CREATED BY"),
        [
            (
                token["name"],
                token["state"],
                token["role"],
                token["email"],
                token["projects"] or "all",
                moment(token["expires_at"]),
                moment(token["created_at"]),
                token["created_by"],
            )
            for token in tokens
        ],
    )


@token.command()
@click.argument("name", type=str)
def revoke(name: str) -> None:
    """Revoke a token: it opens nothing from now on.

    Its name may then be given to a new one. Revoked again, nothing is recorded.
    """
    with open_ledger() as ledger:
        ledger.revoke_token(name, by=caller())
    click.echo(f"Token {name} opens nothing from now on.")


def _described(row: dict[str, Any]) -> dict[str, Any]:
    projects = json.loads(row["projects"]) if row["projects"] else None
    described = {name: value for name, value in row.items() if name != "token_name"}
    return {"name": row["token_name"], "state": _state(row), **described, "projects": projects}


def _state(row: dict[str, Any]) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    expired = row["expires_at"] is not None and row["expires_at"] <= write_moment(datetime.now(UTC))
    return "expired" if expired else "open"
