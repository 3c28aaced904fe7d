"""What a measurement comes to, and how it is shown: never a number alone, always beside what it is a ratio to."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

LIBRARIES: Final = ("release-ledger", "eventsourcing", "sqlalchemy", "psycopg", "flask", "flask-smorest", "granian")
WIDTH: Final = 150


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table; `ratio` is to what `to` names, `note` says what else belongs to the number."""

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    to: str = ""
    note: str = ""


def compared(part: str, unit: str, rounds: dict[str, list[float]], first: str, notes: dict[str, str]) -> list[Result]:
    """The medians of contestants measured in the same rounds; of `first` one line for each it is compared with."""
    medians = {name: median(values) for name, values in rounds.items()}
    others = [name for name in medians if name != first]
    lines = [
        Result(
            part=part,
            what=first,
            value=medians[first],
            unit=unit,
            ratio=ratio_of(rounds[first], rounds[name]),
            to=name,
            note=notes.get(first, ""),
        )
        for name in others
    ]
    rest = [Result(part=part, what=name, value=medians[name], unit=unit, note=notes.get(name, "")) for name in others]
    return [*lines, *rest]


def ratio_of(own: Sequence[float], other: Sequence[float]) -> float:
    """The median of the rounds' ratios: both of a round had the same machine, which is not the next round's."""
    return median(mine / theirs for mine, theirs in zip(own, other, strict=True))


def spread(values: Sequence[float]) -> str:
    """The slowest and the fastest round, to tell noise from difference."""
    return f"{min(values):,.0f} to {max(values):,.0f} in {len(values)} rounds"


def table(results: Iterable[Result]) -> Table:
    """All results; a part's name stands at its first line only."""
    shown = Table("Measured", "What", "Value", "Ratio", "to", "Note", title=f"Release Ledger, {_today()}")
    for name in ("Value", "Ratio"):
        next(column for column in shown.columns if column.header == name).justify = "right"
    before = None
    for result in results:
        if before is not None and result.part != before:
            shown.add_section()
        value = f"{result.value:,.{0 if result.value >= 100 else 2}f} {result.unit}"
        ratio = f"{result.ratio:.2f}" if result.ratio is not None else ""
        part = result.part if result.part != before else ""
        shown.add_row(part, result.what, value, ratio, result.to, result.note)
        before = result.part
    return shown


def show(results: Iterable[Result], *, postgresql: str | None = None) -> None:
    """The table with the machine and the versions below it."""
    console = Console(width=None if Console().is_terminal else WIDTH)
    console.print(table(results))
    console.print(machine(), highlight=False, soft_wrap=True)
    console.print(versions(postgresql), highlight=False, soft_wrap=True)


def machine() -> str:
    """Cores, processor, kernel."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{cores} cores, {_processor()}, {platform.system()} {platform.release()}{load}"


def versions(postgresql: str | None = None) -> str:
    """Python, the databases, the libraries that matter here."""
    found = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    found += [f"PostgreSQL {postgresql}"] if postgresql else []
    return ", ".join([*found, *(f"{name} {version(name)}" for name in LIBRARIES)])


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
