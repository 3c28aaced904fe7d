"""A copy of a SQLite ledger as of one moment, made while writes go on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

PAGES_AT_ONCE = 4096


def backup_sqlite(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database in `source` to `target`, complete or not at all; raises `FileExistsError`, or SQLite's error.

    One reading transaction is held throughout, so that the copy is of one moment and never begins anew; in WAL mode
    nobody waits for it. `progress` is told the pages copied and the pages in all.
    """
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(source, isolation_level=None)) as live, closing(sqlite3.connect(partial)) as copy:
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, left, all_: progress(all_ - left, all_))
        _flush(partial)
        os.link(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _flush(file: Path) -> None:
    """What is said to be backed up is on the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
