"""What live trading needs: the pacer's count, the last refusals, and the orders' special instructions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "order_requests",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_order_requests"),
    )
    op.create_index("ix_order_requests_account_number", "order_requests", ["account", "number"])
    op.create_index("ix_order_requests_account_at", "order_requests", ["account", "at"])
    op.create_table(
        "refusals",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_refusals"),
    )
    op.add_column("orders", sa.Column("instructions", sa.JSON(none_as_null=True)))
