"""Whether an order, and each of its events, is of a dry run. None was marked before."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for table in ("orders", "events"):
        op.add_column(table, sa.Column("dry_run", sa.Boolean()))
        op.execute(f"UPDATE {table} SET dry_run = false")  # noqa: S608  (names of our own)
        with op.batch_alter_table(table) as batch:
            batch.alter_column("dry_run", existing_type=sa.Boolean(), nullable=False)
