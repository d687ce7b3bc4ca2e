"""GTTs: orders that wait at the broker until a price is reached."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "gtts",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("gtt_id", sa.Text(), nullable=False),
        sa.Column("trigger_id", sa.Text()),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "gtt_id", name="pk_gtts"),
        sa.UniqueConstraint("account", "trigger_id", name="uq_gtts_trigger"),
    )
    where = sa.text("is_open")
    op.create_index("ix_gtts_open", "gtts", ["account"], sqlite_where=where, postgresql_where=where)
