"""`--as-of` and `--as-of-version`: as of when a command asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..ledger.moments import Moment
from .values import timestamp

F = TypeVar("F", bound=Callable[..., Any])


def as_of_options(command: F) -> F:
    """Both options, for a command that gives them to `moment_of`."""
    at = click.option(
        "--as-of",
        metavar="T",
        type=timestamp,
        help="As the ledger knew it at this moment: an ISO 8601 timestamp with an offset.",
    )
    version = click.option(
        "--as-of-version",
        metavar="N",
        type=click.IntRange(min=1),
        help="As the ledger knew it at this version of the stream; one of both.",
    )
    return at(version(command))


def moment_of(as_of: str | None, as_of_version: int | None) -> Moment | None:
    """The moment that is asked about; None: now."""
    if as_of is not None and as_of_version is not None:
        raise click.UsageError("--as-of and --as-of-version cannot be given together.")
    return Moment.named(as_of, as_of_version)
