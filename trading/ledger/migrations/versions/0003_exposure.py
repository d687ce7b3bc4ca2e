"""What the guardian counts with: account states, reservations that shrink, positions by strategy, profit by fill.

Orders that were recorded before keep their reservations. Positions by strategy and the profit of each fill begin
empty: `durable-orders rebuild` works them out for the past.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MONEY = sa.BigInteger()
SET_STATE = "UPDATE accounts SET state = CASE WHEN halted THEN 'HALTED' ELSE 'ACTIVE' END"
SET_RESERVED = """
UPDATE reservations SET
    product = COALESCE((SELECT product FROM orders WHERE orders.order_id = reservations.order_id), 'MIS'),
    filled = COALESCE((SELECT filled_quantity FROM orders WHERE orders.order_id = reservations.order_id), 0),
    price = CASE WHEN quantity > 0 THEN value / quantity ELSE 0 END
"""
SET_REMAINING = """
UPDATE reservations SET
    quantity = CASE WHEN quantity > filled THEN quantity - filled ELSE 0 END,
    value = price * CASE WHEN quantity > filled THEN quantity - filled ELSE 0 END
"""


def upgrade() -> None:
    accounts()
    reservations()
    strategy_positions()
    fills()


def accounts() -> None:
    op.add_column("accounts", sa.Column("state", sa.Text()))
    op.execute(SET_STATE)
    with op.batch_alter_table("accounts") as batch:
        batch.alter_column("state", existing_type=sa.Text(), nullable=False)
        batch.drop_column("halted")


def reservations() -> None:
    """What was filled is not reserved any more."""
    op.add_column("reservations", sa.Column("product", sa.Text()))
    op.add_column("reservations", sa.Column("price", MONEY))
    op.add_column("reservations", sa.Column("filled", sa.BigInteger()))
    op.add_column("reservations", sa.Column("amended_quantity", sa.BigInteger()))
    op.add_column("reservations", sa.Column("amended_price", MONEY))
    op.execute(SET_RESERVED)
    op.execute(SET_REMAINING)
    op.drop_index("ix_reservations_account_released_at", table_name="reservations")
    with op.batch_alter_table("reservations") as batch:
        batch.alter_column("product", existing_type=sa.Text(), nullable=False)
        batch.alter_column("price", existing_type=MONEY, nullable=False)
        batch.alter_column("filled", existing_type=sa.BigInteger(), nullable=False)
    standing = sa.text("released_at IS NULL")
    op.create_index(
        "ix_reservations_standing",
        "reservations",
        ["account", "symbol", "product", "side", "strategy", "quantity", "value", "price"],
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_index(
        "ix_reservations_account_reserved_at_strategy_symbol",
        "reservations",
        ["account", "reserved_at", "strategy", "symbol"],
    )


def strategy_positions() -> None:
    op.create_table(
        "strategy_positions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("open_value", MONEY, nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", "strategy", "symbol", "product", name="pk_strategy_positions"),
    )


def fills() -> None:
    op.add_column("fills", sa.Column("realized_pnl", MONEY))
    op.execute("UPDATE fills SET realized_pnl = 0")
    with op.batch_alter_table("fills") as batch:
        batch.alter_column("realized_pnl", existing_type=MONEY, nullable=False)
    earned = sa.text("realized_pnl <> 0")
    op.create_index(
        "ix_fills_earned",
        "fills",
        ["account", "at", "order_id", "realized_pnl"],
        sqlite_where=earned,
        postgresql_where=earned,
    )
