"""Every table of the ledger, as first released. Types are spelled out: a migration must not follow `tables.py`.

Money is a BIGINT of ten-thousandths of a rupee, times are UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBERED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MONEY = sa.BigInteger()
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    accounts()
    orders()
    events()
    fills()
    positions()
    reservations()
    ticks()
    exchange_markets()
    exchange_orders()
    exchange_history()
    exchange_trades()


def accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("halt_reason", sa.Text(), nullable=False),
        sa.Column("book_read_at", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_accounts"),
    )


def orders() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("fingerprint", sa.Text()),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text()),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("validity", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY),
        sa.Column("trigger_price", MONEY),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_value", MONEY, nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("unsettled", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_orders"),
    )
    op.create_index("ix_orders_account_broker_order_id", "orders", ["account", "broker_order_id"])
    op.create_index("ix_orders_account_created_at", "orders", ["account", "created_at"])
    op.create_index("ix_orders_account_status", "orders", ["account", "status"])
    op.create_index("ix_orders_account_tag", "orders", ["account", "tag"], unique=True)
    op.create_index("ix_orders_account_unsettled", "orders", ["account", "unsettled"])
    op.create_index("ix_orders_account_updated_at", "orders", ["account", "updated_at"])


def events() -> None:
    op.create_table(
        "events",
        sa.Column("feed_id", NUMBERED, autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("feed_id", name="pk_events"),
    )
    op.create_index("ix_events_account_feed_id", "events", ["account", "feed_id"])
    op.create_index("ix_events_order_id_sequence", "events", ["order_id", "sequence"], unique=True)


def fills() -> None:
    op.create_table(
        "fills",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "trade_id", name="pk_fills"),
    )
    op.create_index("ix_fills_account_at", "fills", ["account", "at"])


def positions() -> None:
    op.create_table(
        "positions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("open_value", MONEY, nullable=False),
        sa.Column("realized_pnl", MONEY, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "symbol", "product", name="pk_positions"),
    )


def reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("value", MONEY, nullable=False),
        sa.Column("reserved_at", MOMENT, nullable=False),
        sa.Column("released_at", MOMENT),
        sa.PrimaryKeyConstraint("order_id", name="pk_reservations"),
    )
    op.create_index("ix_reservations_account_released_at", "reservations", ["account", "released_at"])


def ticks() -> None:
    op.create_table(
        "ticks",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("last_price", MONEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "symbol", name="pk_ticks"),
    )


def exchange_markets() -> None:
    op.create_table(
        "exchange_markets",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.Date()),
        sa.Column("market_at", MOMENT),
        sa.Column("wall_at", MOMENT),
        sa.Column("closes_at", MOMENT),
        sa.PrimaryKeyConstraint("account", name="pk_exchange_markets"),
    )


def exchange_orders() -> None:
    op.create_table(
        "exchange_orders",
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text()),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("validity", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY),
        sa.Column("trigger_price", MONEY),
        sa.Column("triggered", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("session", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("broker_order_id", name="pk_exchange_orders"),
    )
    op.create_index("ix_exchange_orders_account_tag", "exchange_orders", ["account", "tag"])
    op.create_index("ix_exchange_orders_account_version", "exchange_orders", ["account", "version"])
    op.create_index(
        "ix_exchange_orders_matching", "exchange_orders", ["account", "symbol", "state", "status", "side", "price"]
    )
    op.create_index(
        "ix_exchange_orders_triggers",
        "exchange_orders",
        ["account", "symbol", "state", "status", "side", "trigger_price"],
    )


def exchange_history() -> None:
    op.create_table(
        "exchange_history",
        sa.Column("history_id", NUMBERED, autoincrement=True, nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY),
        sa.Column("trigger_price", MONEY),
        sa.Column("message", sa.Text()),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("history_id", name="pk_exchange_history"),
    )
    op.create_index(
        "ix_exchange_history_broker_order_id_history_id", "exchange_history", ["broker_order_id", "history_id"]
    )


def exchange_trades() -> None:
    op.create_table(
        "exchange_trades",
        sa.Column("number", NUMBERED, autoincrement=True, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("price", MONEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_exchange_trades"),
    )
    op.create_index("ix_exchange_trades_account_number", "exchange_trades", ["account", "number"])
    op.create_index("ix_exchange_trades_broker_order_id", "exchange_trades", ["broker_order_id"])
