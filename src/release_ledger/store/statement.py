"""A statement written once with SQLAlchemy, compiled once per database, executed on the plain connection.

Measured (architecture, "The store"): one execution through SQLAlchemy Core costs more than the statement itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

Row = dict[str, Any]
Params = Mapping[str, Any]

POSTGRESQL: Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
SQLITE: Dialect = sqlite.dialect(paramstyle="named")


class Cursor(Protocol):
    """What is used of a DBAPI cursor."""

    description: Any
    rowcount: int

    def execute(self, sql: str, params: Any = ..., /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Statement:
    """A compiled statement; `params` fill its named binds."""

    def __init__(self, clause: ClauseElement) -> None:
        self.clause = clause
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}
        self._names: list[str] | None = None

    def text(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """The SQL for this database and the values of the binds that the statement itself brought."""
        known = self._compiled.get(dialect.name)
        if known is None:
            compiled = self.clause.compile(dialect=dialect)
            known = self._compiled[dialect.name] = (str(compiled), dict(compiled.params))
        return known

    def execute(self, cursor: Cursor, dialect: Dialect, params: Params) -> None:
        sql, own = self.text(dialect)
        cursor.execute(sql, {**own, **params})

    def rows(self, cursor: Cursor, dialect: Dialect, params: Params) -> list[Row]:
        """Execute it; what it returned, a dict a row."""
        self.execute(cursor, dialect, params)
        if self._names is None:
            # Asked for once: a driver makes an object of every column each time.
            self._names = [column[0] for column in cursor.description or ()]
        names = self._names
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []
