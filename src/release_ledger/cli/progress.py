"""How far a long work is: a bar on a terminal, else a line now and then; on standard error both."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

LINE_EVERY_S: Final = 5.0
Advanced = Callable[[int], object]


@contextmanager
def progress(doing: str, total: int, unit: str) -> Iterator[Advanced]:
    """What is told of so many units more that are done."""
    if not sys.stderr.isatty():
        yield _lines(total, unit)
        return
    columns = (
        TextColumn(doing),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
        _Speed(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda done: bar.advance(task, done)


class _Speed(ProgressColumn):
    """Units a second, once there are any."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f} {self._unit}/s")


def _lines(total: int, unit: str) -> Advanced:
    began = said = time.monotonic()
    done = 0

    def advanced(more: int) -> None:
        nonlocal done, said
        done += more
        now = time.monotonic()
        if now - said > LINE_EVERY_S:
            said, speed = now, done / (now - began)
            left = max(0, total - done) / speed if speed else 0
            click.echo(f"{done:,} of {total:,} {unit}, {speed:,.0f} {unit}/s, {left:.0f} s left", err=True)

    return advanced
