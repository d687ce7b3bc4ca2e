"""How each order stood against the limits when the guardian let it pass."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("reservations", sa.Column("judged", sa.JSON()))
