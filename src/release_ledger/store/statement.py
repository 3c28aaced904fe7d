"""A statement written once with SQLAlchemy, compiled once per database, executed on the plain connection.

Measured (architecture, "The store"): one execution through SQLAlchemy Core costs more than the statement itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

Row = dict[str, Any]
Params = Mapping[str, Any]

# Numbered binds: the driver takes the text as it is and does not parse it.
POSTGRESQL: Dialect = psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call] # it has no types
SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")


class Cursor(Protocol):
    """What is used of a DBAPI cursor."""

    description: Any
    rowcount: int

    def execute(self, sql: str, params: Any = ..., /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Compiled(NamedTuple):
    """The SQL for one database, its binds in their order, and the values of those that the statement itself brought."""

    sql: str
    binds: tuple[str, ...]
    own: dict[str, Any]


class Statement:
    """A compiled statement; `params` fill its named binds."""

    def __init__(self, clause: ClauseElement) -> None:
        self.clause = clause
        self._compiled: dict[str, Compiled] = {}
        self._names: list[str] | None = None

    def compiled(self, dialect: Dialect) -> Compiled:
        """What is executed on this database."""
        known = self._compiled.get(dialect.name)
        if known is None:
            made: Any = self.clause.compile(dialect=dialect)
            own = {name: value for name, value in made.params.items() if value is not None}
            known = self._compiled[dialect.name] = Compiled(str(made), tuple(made.positiontup or ()), own)
        return known

    def execute(self, cursor: Cursor, dialect: Dialect, params: Params) -> None:
        sql, binds, own = self.compiled(dialect)
        values = {**own, **params} if own else params
        cursor.execute(sql, [values[name] for name in binds])

    def one(self, cursor: Cursor, dialect: Dialect, params: Params) -> Any:
        """Execute it; the one value that it returned."""
        self.execute(cursor, dialect, params)
        return cursor.fetchall()[0][0]

    def rows(self, cursor: Cursor, dialect: Dialect, params: Params) -> list[Row]:
        """Execute it; what it returned, a dict a row."""
        self.execute(cursor, dialect, params)
        if self._names is None:
            # Asked for once: a driver makes an object of every column each time.
            self._names = [column[0] for column in cursor.description or ()]
        names = self._names
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []
