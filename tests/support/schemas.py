"""What a database's tables are like, to be compared: every column, constraint, index and setting."""

import re
from typing import Final

from release_ledger.store.database import Database

# Of a table: what each column is, how it is keyed and checked, what finds its rows, how it is stored.
POSTGRESQL: Final = """
    SELECT 'column ' || c.relname || '.' || a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, o.collname,
            pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        LEFT JOIN pg_collation o ON o.oid = a.attcollation
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'constraint ' || conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'table ' || relname, coalesce(reloptions::text, '') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
SQLITE: Final = """
    SELECT 'column ' || m.name || '.' || c.name,
        c.type || ' ' || c."notnull" || ' ' || ifnull(c.dflt_value, '') || ' ' || c.pk
    FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'
    UNION ALL SELECT 'index ' || m.name || ' ' || group_concat(c.name, ','), i."unique" || i.origin || i.partial
    FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c WHERE m.type = 'table'
    GROUP BY m.name, i.name
    UNION ALL SELECT 'autoincrement ' || name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE type = 'table'
"""


def schema_of(database: Database) -> dict[str, str]:
    """Everything that makes the tables what they are, by its name."""
    with database.cursor() as cursor:
        cursor.execute(POSTGRESQL if database.is_postgresql else SQLITE)
        return {name: re.sub(r"\s+", " ", str(what)) for name, what in cursor.fetchall()}
