"""Profit first in, first out, the charges of each fill, and yesterday's last price.

What was traded before is matched here, first in, first out. Its charges begin unknown, and its positions say of how
many fills: `durable-orders rebuild` works them out for the past.
"""

from collections import defaultdict, deque
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

MONEY = sa.BigInteger()
CHARGED = ("brokerage", "transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "stamp_duty", "gst")
POSITION = ("realized_fifo", "charges", "uncharged")
TRADES = (
    "SELECT account, symbol, product, side, quantity, price, order_id, trade_id "
    "FROM fills ORDER BY at, order_id, number"
)
SET_FILL = "UPDATE fills SET realized_fifo = :earned WHERE order_id = :order_id AND trade_id = :trade_id"
SET_POSITIONS = """
UPDATE positions SET
    realized_fifo = COALESCE((
        SELECT SUM(f.realized_fifo) FROM fills AS f
        WHERE f.account = positions.account AND f.symbol = positions.symbol AND f.product = positions.product
    ), 0),
    uncharged = (
        SELECT COUNT(*) FROM fills AS f
        WHERE f.account = positions.account AND f.symbol = positions.symbol AND f.product = positions.product
    )
"""


def upgrade() -> None:
    op.add_column("ticks", sa.Column("previous_close", MONEY))
    for name in CHARGED:
        op.add_column("fills", sa.Column(name, MONEY))
    op.add_column("fills", sa.Column("realized_fifo", MONEY, nullable=False, server_default="0"))
    for name in POSITION:
        kind = sa.Integer() if name == "uncharged" else MONEY
        op.add_column("positions", sa.Column(name, kind, nullable=False, server_default="0"))
    lots()
    match()
    with op.batch_alter_table("fills") as batch:
        batch.alter_column("realized_fifo", existing_type=MONEY, server_default=None)
    with op.batch_alter_table("positions") as batch:
        for name in POSITION:
            kind = sa.Integer() if name == "uncharged" else MONEY
            batch.alter_column(name, existing_type=kind, server_default=None)
    earned = sa.text("realized_fifo <> 0")
    op.create_index(
        "ix_fills_earned_fifo",
        "fills",
        ["account", "at", "order_id", "realized_fifo"],
        sqlite_where=earned,
        postgresql_where=earned,
    )


def lots() -> None:
    op.create_table(
        "lots",
        sa.Column("lot_id", MONEY.with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lot_id", name="pk_lots"),
    )
    op.create_index("ix_lots_account_symbol_product_lot_id", "lots", ["account", "symbol", "product", "lot_id"])


def match() -> None:
    """Every trade so far, by its time, against the oldest that is open on the other side."""
    connection = op.get_bind()
    open_lots: dict[tuple[str, str, str], deque[dict[str, Any]]] = defaultdict(deque)
    earned: list[dict[str, Any]] = []
    for account, symbol, product, side, quantity, price, order_id, trade_id in connection.execute(sa.text(TRADES)):
        queue = open_lots[account, symbol, product]
        own = {"order_id": order_id, "trade_id": trade_id}
        left, profit = (1 if side == "BUY" else -1) * quantity, 0
        while left and queue and queue[0]["quantity"] * left < 0:
            first = queue[0]
            closed = min(abs(left), abs(first["quantity"])) * (1 if left > 0 else -1)
            profit -= closed * (price - first["price"])
            left -= closed
            first["quantity"] += closed
            if not first["quantity"]:
                queue.popleft()
        if left:
            key = {"account": account, "symbol": symbol, "product": product}
            queue.append(key | own | {"quantity": left, "price": price})
        earned += [own | {"earned": profit}] if profit else []
    if earned:
        connection.execute(sa.text(SET_FILL), earned)
    columns = ("account", "symbol", "product", "quantity", "price", "order_id", "trade_id")
    if standing := [lot for queue in open_lots.values() for lot in queue]:
        connection.execute(sa.insert(sa.table("lots", *(sa.column(name) for name in columns))), standing)
    op.execute(SET_POSITIONS)
