"""How answers are printed: tables for people, JSON for programs. Nothing that is printed can steer a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What a spreadsheet takes for a formula, perhaps after it dropped a line end. It would be computed by whoever opens it.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
SHOWN: Final = 20  # of differences, of streams that are set aside
_PIPE_WIDTH: Final = 4000  # into a pipe or a file, no row is ever folded

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def print_json(value: Any) -> None:
    """A value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(line: str) -> None:
    """A line for whoever waits, on standard error."""
    click.echo(line, err=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of rows, as wide as the terminal; a line a row where the output is no terminal."""
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 1))
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(file=sys.stdout, width=width, highlight=False).print(table)


def shown(value: object) -> str:
    """A value as text: `-` for none, lists with commas, control characters written as escapes."""
    if value is None or value == []:
        return "-"
    text = ", ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
    return "".join(character if _is_plain(character) else repr(character)[1:-1] for character in text)


def counted(count: int, noun: str) -> str:
    """`1 stream`, `2 streams`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def moment(text: str | None) -> str | None:
    """A moment for people: to the second, in UTC."""
    return None if text is None else f"{text[:19].replace('T', ' ')} UTC"


def _is_plain(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
