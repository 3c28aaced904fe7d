"""Opening the ledger for a command, and who acts on the command line."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import SchemaMismatch
from ..ledger import Caller, Ledger
from ..ledger.ids import new_id
from ..settings import Settings
from ..store.upgrade import UPGRADE_FIRST, check_schema


@contextmanager
def open_ledger(settings: Settings | None = None) -> Iterator[Ledger]:
    """The ledger of the settings. Raises `SchemaMismatch` unless it is upgraded; makes no SQLite file."""
    settings = settings or Settings.from_environment()
    file = settings.sqlite_file
    if file is not None and not file.exists():
        raise SchemaMismatch(f"The database has no ledger yet (there is no file {file}): {UPGRADE_FIRST}.")
    ledger = Ledger.open(settings.database_url, pool_size=2)
    try:
        check_schema(ledger.store.database)
        yield ledger
    finally:
        ledger.close()


def caller() -> Caller:
    """The user of the operating system: the one that runs this process, whatever the environment claims."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return Caller(recorded_by=f"command-line:{user}", request_id=new_id())
