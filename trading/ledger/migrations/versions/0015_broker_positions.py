"""What the broker has, as it was last read."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "broker_positions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("average_price", sa.BigInteger(), nullable=False),
        sa.Column("carried", sa.BigInteger(), nullable=False),
        sa.Column("sellable", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "symbol", "product", name="pk_broker_positions"),
    )
    op.add_column("accounts", sa.Column("positions_read_at", sa.DateTime(timezone=True)))
