"""Whose day a day lock has ended, if it is a strategy's, and the best result of that strategy's day."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    with op.batch_alter_table("breaker_trips") as batch:
        batch.add_column(sa.Column("strategy", sa.Text(), nullable=True))
    before = sa.table(
        "day_peaks", sa.column("account", sa.Text()), sa.column("day", sa.Date()), sa.column("best", sa.BigInteger())
    )
    kept = op.get_bind().execute(sa.select(before)).mappings().all()
    op.drop_table("day_peaks")
    peaks = op.create_table(
        "day_peaks",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("best", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "strategy", name="pk_day_peaks"),
    )
    op.bulk_insert(peaks, [dict(row) | {"strategy": ""} for row in kept])
