"""The one order of all events (`feed`), and the tree of checkpoints: leaves, and the heads that were signed over them.

None is a read model: what was handed out in an order, or signed, is not computed again. `moment` columns are text.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

POSTGRESQL = (
    """
    CREATE TABLE feed (
        seq bigint NOT NULL CONSTRAINT feed_pkey PRIMARY KEY,
        stream text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT feed_of_event UNIQUE (stream, version)
    )
    """,
    """
    CREATE TABLE checkpoint_leaves (
        position bigint NOT NULL CONSTRAINT checkpoint_leaves_pkey PRIMARY KEY,
        stream text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        digest bytea NOT NULL
    )
    """,
    "CREATE INDEX checkpoint_leaves_by_stream ON checkpoint_leaves (stream, position)",
    """
    CREATE TABLE checkpoints (
        size bigint NOT NULL CONSTRAINT checkpoints_pkey PRIMARY KEY,
        root bytea NOT NULL,
        note text NOT NULL,
        made_at text COLLATE "C" NOT NULL
    )
    """,
)
SQLITE = (
    """
    CREATE TABLE feed (
        seq INTEGER NOT NULL PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        UNIQUE (stream, version)
    )
    """,
    """
    CREATE TABLE checkpoint_leaves (
        position INTEGER NOT NULL PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest BLOB NOT NULL
    )
    """,
    "CREATE INDEX checkpoint_leaves_by_stream ON checkpoint_leaves (stream, position)",
    """
    CREATE TABLE checkpoints (
        size INTEGER NOT NULL PRIMARY KEY,
        root BLOB NOT NULL,
        note TEXT NOT NULL,
        made_at TEXT NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.get_bind().exec_driver_sql(statement)
