"""A lease says of which wish it is: a candidate's second build has the key of the first, and is another wish.

`wanted_version` is null in a lease of before: it is whoever's takes it next.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE outbox_leases ADD COLUMN wanted_version bigint")
