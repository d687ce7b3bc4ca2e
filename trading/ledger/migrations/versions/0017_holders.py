"""Who holds new risk over an order, where it is not its workflow."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("orders", sa.Column("held_by", sa.Text()))
