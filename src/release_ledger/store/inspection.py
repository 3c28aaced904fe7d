"""Inspection: what a table is in the database, against what its read model declares.

Both are asked of the database: beside the table that is there, the declared one is made for a moment, so that the
same words are compared. Indexes that somebody added are not looked at; what else was added can refuse or change rows.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, MetaData, Table, create_engine, text
from sqlalchemy.sql import quoted_name

from .statement import POSTGRESQL

_BESIDE: Final = "release_ledger_compared"
_TABLES: Final = ("r", "p", "table")
_DROPS: Final = {"v": "VIEW", "view": "VIEW", "m": "MATERIALIZED VIEW", "f": "FOREIGN TABLE"}

# SQLite has the constraints of a table in its statement only.
_OF_SQL: Final = "a constraint of"
_CONSTRAINT: Final = re.compile(r"\bCHECK\s*\(|\bREFERENCES\b", re.IGNORECASE)

_KIND = {
    "postgresql": text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:name)"),
    "sqlite": text("SELECT type FROM sqlite_master WHERE lower(name) = lower(:name) AND type IN ('table', 'view')"),
}
# Of each column its name, its place in the key (SQLite), and what it is.
_COLUMNS = {
    "postgresql": text(
        "SELECT attname, 0, format_type(atttypid, atttypmod), attnotnull, attcollation::bigint,"
        " attidentity::text || attgenerated::text FROM pg_attribute"
        " WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
    ),
    "sqlite": text('SELECT name, pk, upper(type), "notnull", hidden FROM pragma_table_xinfo(:name)'),
}
# Of each index its name, whether it is the primary key's, and what it is.
_INDEXES = {
    "postgresql": text(
        "SELECT c.relname, i.indisprimary, i.indisunique, i.indisvalid,"
        " substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*$')"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(:name)"
    ),
    "sqlite": text(
        'SELECT l.name, 0, l."unique", m.sql FROM pragma_index_list(:name) l JOIN sqlite_master m ON m.name = l.name'
        " WHERE m.sql IS NOT NULL"
    ),
}
# What refuses or changes rows: a word for it, its name, and what it is.
_ADDED = {
    "postgresql": text(
        "SELECT 'trigger', tgname, 'trigger ' || tgname FROM pg_trigger"
        " WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal"
        " UNION ALL SELECT 'rule', rulename, 'rule ' || rulename FROM pg_rewrite WHERE ev_class = to_regclass(:name)"
        " UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = to_regclass(:name) AND contype IN ('c', 'f')"
        " UNION ALL SELECT 'row security of', relname, 'row security' FROM pg_class"
        " WHERE oid = to_regclass(:name) AND relrowsecurity"
    ),
    "sqlite": text(
        "SELECT type, name, type || ' ' || name FROM sqlite_master"
        " WHERE type = 'trigger' AND lower(tbl_name) = lower(:name)"
        " UNION ALL SELECT 'a constraint of', name, sql FROM sqlite_master"
        " WHERE type = 'table' AND lower(name) = lower(:name)"
    ),
}
# Of a relation its kind and a number that no other has.
_HOLDER = {
    "postgresql": text("SELECT relkind::text, oid::bigint FROM pg_class WHERE oid = to_regclass(:name)"),
    "sqlite": text("SELECT type, rowid FROM sqlite_master WHERE lower(name) = lower(:name) AND type <> 'trigger'"),
}


class _Shape(NamedTuple):
    """What a table is. The index of the primary key is named ''."""

    columns: frozenset[tuple[Any, ...]]
    indexes: dict[str, tuple[Any, ...]]
    added: dict[str, str]


def kind_of(connection: Connection, table: Table) -> str | None:
    """What has the table's name: a word for `drop_statement`; None for nothing."""
    return connection.execute(_KIND[connection.dialect.name], {"name": _named(connection, table)}).scalar()


def is_table(kind: str | None) -> bool:
    return kind in _TABLES


def drop_statement(kind: str, table: Table) -> str:
    """What removes the relation of this kind that has the table's name."""
    return f"DROP {_DROPS.get(kind, 'TABLE')} {_quoted(table.name)}"


def free_names(connection: Connection, table: Table) -> None:
    """Take from other relations the names of this table's key and indexes: a table that was renamed still has them.

    They get others, but on SQLite, where an index has no other name than the one it was made with: it is dropped.
    """
    kind = connection.dialect.name
    names = [str(index.name) for index in table.indexes]
    for name in [*names, f"{table.name}_pkey"] if kind == "postgresql" else names:
        asked = _quoted(name) if kind == "postgresql" else name
        holder = connection.execute(_HOLDER[kind], {"name": asked}).one_or_none()
        if holder is None:
            continue
        if kind == "sqlite" and holder[0] in ("index", "view"):
            connection.exec_driver_sql(f"DROP {holder[0]} {_quoted(name)}")
        else:
            connection.exec_driver_sql(f"ALTER TABLE {_quoted(name)} RENAME TO {_quoted(f'of_{holder[1]}_{name}')}")


def unlike_declared(connection: Connection, table: Table) -> list[str]:
    """What is not as declared: a column (type, null, key), an index, a trigger, say. Empty where all is."""
    kind = kind_of(connection, table)
    if not is_table(kind):
        return ["it is missing" if kind is None else "something else has its name"]
    found, declared = _shape(connection, table), _declared(connection, table)
    columns = sorted({str(column[0]) for column in found.columns ^ declared.columns})
    indexes = [name for name, index in declared.indexes.items() if found.indexes.get(name) != index]
    is_declared = set(declared.added.values())
    return [
        *(f"column {name}" for name in columns),
        *(f"index {name}" if name else "primary key" for name in sorted(indexes)),
        *(name for name, what in sorted(found.added.items()) if what not in is_declared),
    ]


def _declared(connection: Connection, table: Table) -> _Shape:
    if connection.dialect.name == "sqlite":
        with create_engine("sqlite://").connect() as memory:
            table.create(memory)
            return _shape(memory, table)
    beside = table.to_metadata(MetaData(), name=_BESIDE)
    names = {_BESIDE + "_pkey": ""}
    for number, index in enumerate(sorted(beside.indexes, key=lambda index: str(index.name))):
        names[f"{_BESIDE}_{number}"] = str(index.name)
        index.name = quoted_name(f"{_BESIDE}_{number}", None)
    connection.exec_driver_sql("SAVEPOINT compared")
    beside.create(connection)
    shape = _shape(connection, beside)
    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT compared")
    return shape._replace(indexes={names.get(name, name): index for name, index in shape.indexes.items()})


def _shape(connection: Connection, table: Table) -> _Shape:
    name = {"name": _named(connection, table)}
    columns = connection.execute(_COLUMNS[connection.dialect.name], name).all()
    indexes = connection.execute(_INDEXES[connection.dialect.name], name).all()
    added = connection.execute(_ADDED[connection.dialect.name], name).all()
    return _Shape(
        frozenset(map(tuple, columns)),
        {"" if is_key else name: tuple(map(_plain, index)) for name, is_key, *index in indexes},
        {f"{kind} {name}": _plain(what) for kind, name, what in added if kind != _OF_SQL or _CONSTRAINT.search(what)},
    )


def _plain(value: Any) -> Any:
    """SQLite has the statement as it was written."""
    return re.sub(r"\s+", " ", value) if isinstance(value, str) else value


def _named(connection: Connection, table: Table) -> str:
    return table.name if connection.dialect.name == "sqlite" else _quoted(table.name)


def _quoted(name: str) -> str:
    return POSTGRESQL.identifier_preparer.quote_identifier(name)
