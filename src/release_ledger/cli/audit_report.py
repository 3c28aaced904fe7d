"""`release-ledger audit report`: all deployments of a project, for spreadsheets and programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from ..errors import InvalidRequest
from ..ledger.deployment_report import COLUMNS
from .opening import open_ledger
from .output import FORMULA, shown
from .progress import progress
from .values import PROJECT, timestamp

_MOMENT: Final = "an ISO 8601 timestamp with an offset"
Written = Callable[[dict[str, Any]], object]


@click.command()
@click.argument("project", type=PROJECT)
@click.option("--from", "begins", metavar="T", type=timestamp, help=f"Those requested at or after: {_MOMENT}.")
@click.option("--to", "ends", metavar="T", type=timestamp, help="Those requested before.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "jsonl")),
    default="csv",
    show_default=True,
    help="For spreadsheets, or JSON Lines for programs.",
)
def report(project: str, begins: str | None, ends: str | None, form: str) -> None:
    """Report every deployment of a project: who, why, by force or not, how it ended.

    By environment and number, as they stand now; --from and --to are of the time at which the ledger recorded the
    request. A failure has the next success of its environment beside it, and after how long.
    """
    if begins and ends and begins > ends:
        raise InvalidRequest(**{"from": "must not be after --to"})
    with open_ledger() as ledger:
        stretches = ledger.stretches(project, begins, ends)
        write = _csv() if form == "csv" else _print_line
        total = sum(max(0, stretch.upto - stretch.after) for stretch in stretches)
        with progress("Reporting", total, "events") as advanced:
            for stretch in stretches:
                for events, deployments in ledger.reported(stretch):
                    for deployment in deployments:
                        write(deployment)
                    advanced(events)


def _print_line(deployment: dict[str, Any]) -> None:
    click.echo(json.dumps(deployment, ensure_ascii=False))


def _csv() -> Written:
    """What writes a line, after the line of the columns' names."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(COLUMNS)
    return lambda deployment: rows.writerow([cell(deployment[name]) for name in COLUMNS])


def cell(value: object) -> str:
    """A value as a spreadsheet shows it, and does nothing else with it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    text = f"'{text}" if text.startswith(FORMULA) else text
    return "\n".join(map(shown, text.split("\n")))
