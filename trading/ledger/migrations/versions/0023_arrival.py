"""What the market showed when each order was checked and when it was sent: what its execution is measured against."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    for name in ("arrival_price", "arrival_bid", "arrival_ask", "sent_price"):
        op.add_column("reservations", sa.Column(name, sa.BigInteger()))
    for name in ("arrival_received_at", "sent_at"):
        op.add_column("reservations", sa.Column(name, sa.DateTime(timezone=True)))
