"""How many requests the paper exchange was sent, and what of an order the market does not see."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("exchange_markets", sa.Column("minute", sa.DateTime(timezone=True)))
    op.add_column("exchange_markets", sa.Column("minute_requests", sa.Integer))
    op.add_column("exchange_markets", sa.Column("day", sa.Date))
    op.add_column("exchange_markets", sa.Column("day_orders", sa.Integer))
    op.add_column("exchange_orders", sa.Column("disclosed_quantity", sa.BigInteger))
