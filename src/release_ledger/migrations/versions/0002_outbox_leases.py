"""Who carries out which wish of the outbox just now. No read model: it is never rebuilt, and losing it loses nothing.

`until` and `calling_since` are seconds since 1970 by the database's clock, which all workers share.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_LEASES = """
    CREATE TABLE outbox_leases (
        stream text{c} NOT NULL,
        kind text NOT NULL,
        number bigint NOT NULL,
        worker text NOT NULL,
        until double precision NOT NULL,
        calling_since double precision,
        CONSTRAINT outbox_leases_pkey PRIMARY KEY (stream, kind, number)
    )
"""


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(_LEASES.format(c=' COLLATE "C"' if is_postgresql else ""))
