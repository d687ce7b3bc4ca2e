"""The numbered attempts to send each approved order, and the requests that are over.

Where an order was sent by an earlier program, no number was used: its attempts count from the next one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for name in ("attempt", "not_sent"):
        op.add_column("reservations", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("order_requests", sa.Column("is_over", sa.Boolean(), nullable=False, server_default=sa.true()))
