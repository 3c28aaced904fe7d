"""What happens before the first request: a schema that fits, and a first token where there is none."""

from __future__ import annotations

from sqlalchemy import inspect

from ..errors import TokenExists
from ..projection.upgrade import upgrade
from ..settings import Settings
from ..store import open_store
from .opening import caller, open_ledger


def make_ready(settings: Settings) -> None:
    """Create a SQLite database that is not there yet. Raises `SchemaMismatch` where one is of another release."""
    if _is_new_file(settings):
        upgrade(settings.database_url)
    with open_ledger(settings):
        pass


def first_token(settings: Settings) -> str | None:
    """An admin token named "first", where no token was ever made; None where another start was faster."""
    with open_ledger(settings) as ledger:
        if ledger.tokens():
            return None
        try:
            return ledger.create_token("first", role="admin", by=caller())
        except TokenExists:
            return None


def welcome(token: str, url: str) -> str:
    """What is printed on a first start."""
    return f"""\
This is the first start. Here is an admin token; it is shown only now:

  TOKEN={token}

Try it:

  curl -X PUT {url}/api/releases/shop -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{{"repo": "acme/shop"}}'
  curl {url}/api/releases -H "Authorization: Bearer $TOKEN"
"""  # noqa: E501 - a line to copy


def _is_new_file(settings: Settings) -> bool:
    """Whether it is a SQLite database that is not there, or has nothing in it: another start may be just making it."""
    if settings.sqlite_file is None:
        return False
    if not settings.sqlite_file.exists():
        return True
    store = open_store(settings.database_url, pool_size=1)
    try:
        return not inspect(store.database.engine).get_table_names()
    finally:
        store.close()
