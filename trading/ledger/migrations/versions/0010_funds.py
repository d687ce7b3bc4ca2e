"""The broker's margin, as it was last read."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "funds",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("available", sa.BigInteger()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_funds"),
    )
