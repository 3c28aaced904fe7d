"""The one door for what goes wrong: a sentence and its details, in one line on standard error, and exit status 1."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from typing import Any, Final, cast

import click
import psycopg
import sqlalchemy.exc

from ..errors import ConfigurationError, LedgerUnavailable, Refusal, SchemaMismatch
from ..store import ReadModelBroken, failures
from .output import shown

DATABASE_ERRORS: Final = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, psycopg.Error, sqlite3.Error)


class Group(click.Group):
    """Commands that are imported when they are asked for: most need little of what all of them need together.

    `modules` are those of this package that have the commands, each under the command's own name (`_` for `-`).
    """

    def __init__(self, *args: Any, modules: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module = import_module(f".{self._modules[cmd_name]}", __package__)
        return cast(click.Command, getattr(module, cmd_name.replace("-", "_")))


class Commands(Group):
    """Commands that say a refusal instead of showing where in the program it came from."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (Refusal, SchemaMismatch, ConfigurationError, ReadModelBroken, *DATABASE_ERRORS) as error:
            click.echo(f"Error: {sentence(error)}", err=True)
            ctx.exit(1)


def sentence(error: Exception) -> str:
    """A refusal in one line: its sentence, and the details in parentheses."""
    if isinstance(error, ReadModelBroken) or failures.of(error) is failures.Failure.BROKEN:
        # Read models are folded where their tables are broken: it is another one.
        return f"A table of the ledger itself is damaged ({_reason(error)}): restore the database from a backup."
    if isinstance(error, DATABASE_ERRORS):
        return _said(LedgerUnavailable(), {"database": _reason(error)})
    if not isinstance(error, Refusal):
        return shown(str(error))
    details = dict(error.details)
    if isinstance(error.__cause__, DATABASE_ERRORS):
        details["database"] = _reason(error.__cause__)
    return _said(error, details)


def _said(refusal: Refusal, details: dict[str, Any]) -> str:
    more = ", ".join(f"{name}: {shown(value)}" for name, value in details.items())
    return f"{refusal.sentence} ({more})" if more else refusal.sentence


def _reason(error: BaseException) -> str:
    """What the database itself says, without the statement and its parameters."""
    own = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None else error
    return (str(own).strip() or type(own).__name__).splitlines()[0]
