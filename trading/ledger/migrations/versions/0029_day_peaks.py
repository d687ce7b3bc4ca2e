"""The best result of each account's day, which a trailing day lock is measured from."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "day_peaks",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("best", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_day_peaks"),
    )
