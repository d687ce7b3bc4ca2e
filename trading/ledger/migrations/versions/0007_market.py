"""What the paper market knows of a tick and of an order: volume, book, queue, margin; the session of a trade."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

MONEY = sa.BigInteger()
NEW = {
    "ticks": (
        sa.Column("volume", sa.BigInteger()),
        sa.Column("bid", MONEY),
        sa.Column("ask", MONEY),
        sa.Column("depth", sa.JSON()),
        sa.Column("traded", sa.BigInteger()),
        sa.Column("bought", sa.BigInteger()),
        sa.Column("sold", sa.BigInteger()),
    ),
    "exchange_orders": (sa.Column("queue_ahead", sa.BigInteger()), sa.Column("margin_price", MONEY)),
    "exchange_trades": (sa.Column("session", sa.Date()),),
}
OF_ITS_ORDER = """
    UPDATE exchange_trades SET session = (
        SELECT session FROM exchange_orders
        WHERE exchange_orders.broker_order_id = exchange_trades.broker_order_id
    )
"""


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, column)
    op.execute(OF_ITS_ORDER)
