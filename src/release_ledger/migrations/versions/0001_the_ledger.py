"""The ledger: streams, events, what is known of projections, idempotency keys, people.

Plain SQL for each database, because the details matter: the names of constraints tell a version conflict from
another duplicate, "C" collation keeps names in the order of their bytes, a fill factor keeps head updates in place.
"""

from alembic import op

revision = "0001"
down_revision = None

POSTGRESQL = (
    """
    CREATE TABLE streams (
        stream text COLLATE "C" NOT NULL CONSTRAINT streams_pkey PRIMARY KEY,
        version bigint NOT NULL,
        digest bytea NOT NULL,
        recorded_at text COLLATE "C" NOT NULL,
        generation bigint NOT NULL,
        folded text NOT NULL
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE events (
        stream text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT events_position_key UNIQUE,
        topic text NOT NULL,
        state bytea NOT NULL,
        recorded_at text COLLATE "C" NOT NULL,
        digest bytea NOT NULL,
        CONSTRAINT events_pkey PRIMARY KEY (stream, version)
    )
    """,
    "CREATE TABLE projections (name text NOT NULL CONSTRAINT projections_pkey PRIMARY KEY, definition text NOT NULL)",
    """
    CREATE TABLE projection_faults (
        projection text NOT NULL,
        stream text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        error text NOT NULL,
        set_aside_at text NOT NULL,
        CONSTRAINT projection_faults_pkey PRIMARY KEY (projection, stream)
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        scope text NOT NULL,
        key text NOT NULL,
        request_digest bytea NOT NULL,
        status integer NOT NULL,
        headers text NOT NULL,
        body bytea NOT NULL,
        created_at text COLLATE "C" NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key)
    )
    """,
    "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
    "CREATE TABLE people (person_id text NOT NULL CONSTRAINT people_pkey PRIMARY KEY, email text NOT NULL)",
    "CREATE INDEX people_by_email ON people (email)",
)

SQLITE = (
    """
    CREATE TABLE streams (
        stream TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        digest BLOB NOT NULL,
        recorded_at TEXT NOT NULL,
        generation INTEGER NOT NULL,
        folded TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE events (
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,
        state BLOB NOT NULL,
        recorded_at TEXT NOT NULL,
        digest BLOB NOT NULL,
        CONSTRAINT events_pkey UNIQUE (stream, version)
    )
    """,
    "CREATE TABLE projections (name TEXT NOT NULL PRIMARY KEY, definition TEXT NOT NULL)",
    """
    CREATE TABLE projection_faults (
        projection TEXT NOT NULL,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        error TEXT NOT NULL,
        set_aside_at TEXT NOT NULL,
        PRIMARY KEY (projection, stream)
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        request_digest BLOB NOT NULL,
        status INTEGER NOT NULL,
        headers TEXT NOT NULL,
        body BLOB NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (scope, key)
    )
    """,
    "CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at)",
    "CREATE TABLE people (person_id TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL)",
    "CREATE INDEX people_by_email ON people (email)",
)


def upgrade() -> None:
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.get_bind().exec_driver_sql(statement)
