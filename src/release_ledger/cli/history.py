"""`release-ledger history`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import click

from .moments import as_of_options, moment_of
from .opening import open_ledger
from .output import FORMULA, moment, print_table, shown
from .values import ENVIRONMENT, PROJECT

Event = dict[str, Any]
Pages = Iterable[list[Event]]
FORMATS: Final = ("table", "jsonl", "csv")
_COLUMNS: Final = (
    *("version", "type", "recorded_at", "occurred_at", "actor", "recorded_by", "request_id", "digest", "data"),
)
_SAID: Final = ("release_candidate_version", "status", "outcome", "tier", "repo", "reason", "until", "error_message")


@click.command()
@click.argument("project", type=PROJECT)
@click.argument("environment", type=ENVIRONMENT, required=False)
@as_of_options
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="For people, as JSON Lines, or as CSV; the last two have all of each event.",
)
def history(project: str, environment: str | None, as_of: str | None, as_of_version: int | None, form: str) -> None:
    """Print the events of an environment, oldest first, or of the project itself (settings, candidates, builds).

    JSON Lines end with {"end": true, "version": N}: without that line they are not complete.
    """
    when = moment_of(as_of, as_of_version)
    with open_ledger() as ledger:
        pages, version = ledger.whole_history(project, environment, moment=when)
        _PRINT[form](pages, version)


def _print_table(pages: Pages, version: int) -> None:  # noqa: ARG001 - each format's
    """A table of each thousand events, so that memory does not grow with the history."""
    for page in pages:
        rows = [(event["version"], moment(event["recorded_at"]), event["type"], *_by_and_what(event)) for event in page]
        print_table(("VERSION", "RECORDED", "EVENT", "BY", "WHAT"), rows)


def _by_and_what(event: Event) -> tuple[str, str | None]:
    """Who recorded it, and the few things of it that a line has room for."""
    said = [shown(event["data"][name]) for name in _SAID if event["data"].get(name) is not None]
    return event["actor"] or event["recorded_by"], " ".join(dict.fromkeys(said)) or None


def _print_json_lines(pages: Pages, version: int) -> None:
    for event in _events(pages):
        click.echo(json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
    click.echo(json.dumps({"end": True, "version": version}, separators=(",", ":")))


def _print_csv(pages: Pages, version: int) -> None:  # noqa: ARG001 - each format's
    """A line an event, `data` as JSON. What a spreadsheet would take for a formula is text to it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for event in _events(pages):
        own = json.dumps(event["data"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        writer.writerow([_as_text((event | {"data": own})[name]) for name in _COLUMNS])


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _events(pages: Pages) -> Iterator[Event]:
    for page in pages:
        yield from page


_PRINT: Final[dict[str, Callable[[Pages, int], None]]] = {
    "table": _print_table,
    "jsonl": _print_json_lines,
    "csv": _print_csv,
}
