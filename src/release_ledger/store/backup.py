"""A copy of a SQLite ledger as of one moment, made while writes go on."""

from __future__ import annotations

import os
import sqlite3
import tempfile
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
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".partial", dir=target.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        with closing(sqlite3.connect(source, isolation_level=None)) as live, closing(sqlite3.connect(partial)) as copy:
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _, left, all_: progress(all_ - left, all_))
        _flush(partial)
        os.link(partial, target)
        _flush(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """What is said to be backed up is on the disk: the file, and its name in the folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
