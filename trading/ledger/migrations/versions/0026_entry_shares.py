"""What of an entry is each strategy's, and what that strategy had before it."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("position_entries", sa.Column("shares", sa.JSON()))
