"""Plans: orders that belong together."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("below", sa.BigInteger()),
        sa.Column("above", sa.BigInteger()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "plan_id", name="pk_plans"),
    )
    where = sa.text("is_open")
    op.create_index("ix_plans_open", "plans", ["account"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_plans_account_created_at", "plans", ["account", "created_at"])
