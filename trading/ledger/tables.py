"""The ledger's tables. Money is stored as whole ten-thousandths of a rupee, so that sums are exact everywhere."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)

SCALE = Decimal(10_000)
LARGEST = 2**63 - 1
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is called INTEGER."""


class Money(TypeDecorator[Decimal]):
    """Rupees as `Decimal`, stored as an integer of ten-thousandths. More than four places is an error."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        scaled = value * SCALE
        if scaled != scaled.to_integral_value():
            raise ValueError(f"money with more than four places, was {value}")
        if abs(scaled) > LARGEST:
            raise ValueError(f"money beyond 922 trillion rupees, was {value}")
        return int(scaled)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / SCALE


class Moment(TypeDecorator[datetime]):
    """An aware time, stored in UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone, was {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Free text, such as a broker's. What a database cannot hold must not stop a recording: a NUL is stored
    as U+FFFD, a lone surrogate as a question mark."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _text(name: str, **kwargs: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=kwargs.pop("nullable", False), **kwargs)


def _partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """An index of the rows that matter: it stays small however long the table grows. The condition stands beside it:
    said in the words of the dialects, it would load both of them for every command."""
    return sa.Index(name, *columns, info={"where": where})


accounts = sa.Table(
    "accounts",
    metadata,
    _text("account", primary_key=True),
    _text("state"),
    sa.Column("halt_reason", Words, nullable=False),
    sa.Column("who", Words, nullable=False),
    sa.Column("since", Moment),
    sa.Column("until", Moment),
    sa.Column("book_read_at", Moment),
    sa.Column("positions_read_at", Moment),
    sa.Column("updated_at", Moment, nullable=False),
    _text("mode", nullable=True),
    _text("broker", nullable=True),
    _text("user_id", nullable=True),
    _text("mark", nullable=True),
    _text("server", nullable=True),
    sa.Column("served_at", Moment),
)
"""One row an account: how far it may trade, why, by whose word, since and until when; when the broker's book and its
positions were last read; and whose it is: its mode, and from the first login its broker and its user there. `mark` is
that of the home in the tags of a live account; `server` over which it was served last, at `served_at`."""

breaker_trips = sa.Table(
    "breaker_trips",
    metadata,
    _text("account", primary_key=True),
    _text("key", primary_key=True),
    _text("cause"),
    sa.Column("message", Words, nullable=False),
    _text("response"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("told_at", Moment),
    _text("strategy", nullable=True),
    _partial_index("ix_breaker_trips_untold", "account", where="told_at IS NULL"),
)
"""Circuit breakers that tripped. A key comes once: it names the cause and its day. `response` is what the settings said
about open orders then; `told_at` is when the account's watch was told of it. `strategy` is whose day it has ended, if
it is not the account's."""

risk_flags = sa.Table(
    "risk_flags",
    metadata,
    _text("account", primary_key=True),
    _text("name", primary_key=True),
    sa.Column("reason", Words, nullable=False),
    sa.Column("who", Words, nullable=False),
    sa.Column("at", Moment, nullable=False),
)
"""Flags that stand: as long as there is one, the account takes only orders that reduce a position."""

funds = sa.Table(
    "funds",
    metadata,
    _text("account", primary_key=True),
    sa.Column("available", Money),
    sa.Column("at", Moment, nullable=False),
)
"""The broker's margin when it was last read; no figure where the broker sets no limit."""

UNFILLED = "filled_quantity = 0"
FILLED_IN_PART = "filled_quantity <> 0 AND status <> 'FILLED'"
"""Said in these words by who asks, too: a database knows by them that it can use the index."""

orders = sa.Table(
    "orders",
    metadata,
    _text("order_id", primary_key=True),
    _text("account"),
    _text("client_order_id"),
    _text("run_id", nullable=True),
    _text("fingerprint", nullable=True),
    _text("tag"),
    _text("broker_order_id", nullable=True),
    _text("mode"),
    _text("strategy"),
    _text("symbol"),
    _text("side"),
    _text("product"),
    _text("order_type"),
    _text("validity"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money),
    sa.Column("trigger_price", Money),
    _text("status"),
    sa.Column("filled_quantity", sa.BigInteger, nullable=False),
    sa.Column("filled_value", Money, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("unsettled", sa.Boolean, nullable=False),
    _text("held_by", nullable=True),
    _text("reason"),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("instructions", sa.JSON(none_as_null=True)),
    sa.Column("slices", sa.JSON(none_as_null=True)),
    sa.Column("tags", sa.JSON(none_as_null=True)),
    sa.Column("approval", sa.JSON(none_as_null=True)),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "account", "created_at", "order_id"),
    sa.Index(None, "account", "status", "created_at", "order_id"),
    sa.Index(None, "account", "symbol", "created_at", "order_id"),
    sa.Index(None, "account", "strategy", "created_at", "order_id"),
    sa.Index(None, "account", "filled_quantity", "updated_at", "order_id"),
    _partial_index("ix_orders_unfilled_symbol", "account", "symbol", "updated_at", "order_id", where=UNFILLED),
    _partial_index("ix_orders_unfilled_strategy", "account", "strategy", "updated_at", "order_id", where=UNFILLED),
    _partial_index("ix_orders_unfilled_status", "account", "status", "updated_at", "order_id", where=UNFILLED),
    _partial_index(
        "ix_orders_filled_in_part", "account", "status", "strategy", "symbol", "order_id", where=FILLED_IN_PART
    ),
    sa.Index(None, "account", "unsettled"),
    sa.Index(None, "account", "updated_at"),
    sa.Index(None, "account", "tag", unique=True),
    sa.Index(None, "account", "broker_order_id"),
)
"""The order as its workflow last recorded it. `sequence` is that of the last event; `unsettled` blocks new risk;
`held_by` says who set it that is not the workflow. Without a `run_id`, it was recorded before any guard received it.
Lists and the journal come out of the indices in their order: a year of trading is never sorted."""

events = sa.Table(
    "events",
    metadata,
    sa.Column("feed_id", BIG_ID, primary_key=True, autoincrement=True),
    _text("account"),
    _text("order_id"),
    sa.Column("sequence", sa.Integer, nullable=False),
    _text("type"),
    _text("status"),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("message", Words, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("fills", sa.Integer),
    sa.Index(None, "order_id", "sequence", unique=True),
    sa.Index(None, "account", "feed_id"),
    sa.Index(None, "account", "at", "feed_id"),
)
"""The feed of events, in the order of recording. `fills` is how many trades of the order were known with it: those of
a lower `number`. Empty for an event of a whole account, and in rows that older programs wrote."""

CHARGED = ("brokerage", "transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "stamp_duty", "gst")
"""As in `fees.Charges`, and in its order."""

fills = sa.Table(
    "fills",
    metadata,
    _text("order_id", primary_key=True),
    _text("trade_id", primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    _text("account"),
    _text("broker_order_id"),
    _text("symbol"),
    _text("product"),
    _text("side"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money, nullable=False),
    sa.Column("realized_pnl", Money, nullable=False),
    sa.Column("realized_fifo", Money, nullable=False),
    *(sa.Column(name, Money) for name in CHARGED),
    sa.Column("at", Moment, nullable=False),
    sa.Column("session", sa.Date),
    sa.Index(None, "account", "at", "order_id", "number"),
    sa.Index(None, "account", "symbol", "at", "order_id", "number"),
    _partial_index("ix_fills_earned", "account", "at", "order_id", "realized_pnl", where="realized_pnl <> 0"),
    _partial_index("ix_fills_earned_fifo", "account", "at", "order_id", "realized_fifo", where="realized_fifo <> 0"),
)
"""The trades. `number` counts those of one order, from 0, in the order in which they became known. `realized_pnl` is
what the trade earned by closing a part of the account's position by average cost, `realized_fifo` the same first in,
first out. The charges are what the trade added to those of its order, at the rates of its `session`, the market's day,
or of the day of `at` where that is NULL; all are NULL where they could not be worked out.
"""

positions = sa.Table(
    "positions",
    metadata,
    _text("account", primary_key=True),
    _text("symbol", primary_key=True),
    _text("product", primary_key=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("open_value", Money, nullable=False),
    sa.Column("realized_pnl", Money, nullable=False),
    sa.Column("realized_fifo", Money, nullable=False),
    sa.Column("charges", Money, nullable=False),
    sa.Column("uncharged", sa.Integer, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)
"""Net position: signed quantity, what the open part cost (signed like the quantity), realized profit by average cost,
the same first in, first out, and the charges of its fills, of which `uncharged` have none that is known."""

broker_positions = sa.Table(
    "broker_positions",
    metadata,
    _text("account", primary_key=True),
    _text("symbol", primary_key=True),
    _text("product", primary_key=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("average_price", Money, nullable=False),
    sa.Column("carried", sa.BigInteger, nullable=False),
    sa.Column("sellable", sa.BigInteger, nullable=False),
)
"""What the broker says that it has, as last read: the net position, and beside it delivery shares that were carried
into the day, of which `sellable` may be sold."""

plans = sa.Table(
    "plans",
    metadata,
    _text("account", primary_key=True),
    _text("plan_id", primary_key=True),
    _text("strategy"),
    _text("symbol"),
    _text("status"),
    sa.Column("is_open", sa.Boolean, nullable=False),
    _text("fingerprint"),
    sa.Column("state", Words, nullable=False),
    sa.Column("below", Money),
    sa.Column("above", Money),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    _partial_index("ix_plans_open", "account", where="is_open"),
    sa.Index(None, "account", "created_at"),
)
"""Plans of orders that belong together. `state` is all that a plan knows, as JSON; its orders are in `orders` like any
other. A price at or beyond `below` or `above` is told to it."""

gtts = sa.Table(
    "gtts",
    metadata,
    _text("account", primary_key=True),
    _text("gtt_id", primary_key=True),
    sa.Column("trigger_id", sa.Text),
    _text("strategy"),
    _text("symbol"),
    _text("status"),
    sa.Column("is_open", sa.Boolean, nullable=False),
    _text("fingerprint"),
    sa.Column("state", Words, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.UniqueConstraint("account", "trigger_id", name="uq_gtts_trigger"),
    _partial_index("ix_gtts_open", "account", where="is_open"),
)
"""GTTs, which wait at the broker. `state` is all that is known of one, as JSON."""

gtt_changes = sa.Table(
    "gtt_changes",
    metadata,
    _text("account", primary_key=True),
    _text("change_id", primary_key=True),
    _text("gtt_id"),
    sa.Column("asked_at", Moment, nullable=False),
)
"""Changes of GTTs that were ever admitted, by the first run of the workflow of each: none is sent a second time."""

day_peaks = sa.Table(
    "day_peaks",
    metadata,
    _text("account", primary_key=True),
    _text("strategy", primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("best", Money, nullable=False),
)
"""The best result of each account's day, and of its strategies' (`strategy`; empty for the account's own), which a
trailing day lock is measured from."""

strategy_states = sa.Table(
    "strategy_states",
    metadata,
    _text("account", primary_key=True),
    _text("strategy", primary_key=True),
    sa.Column("state", Words, nullable=False),
    sa.Column("called", Words, nullable=False),
    sa.Column("asked", Words, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)
"""What a strategy keeps (`state`), when its timers were last called (`called`), and what it asked for in the callback
that wrote both, with how far it had been told of its orders (`asked`); each as JSON."""

lots = sa.Table(
    "lots",
    metadata,
    sa.Column("lot_id", BIG_ID, primary_key=True, autoincrement=True),
    _text("account"),
    _text("symbol"),
    _text("product"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money, nullable=False),
    _text("order_id"),
    _text("trade_id"),
    sa.Index(None, "account", "symbol", "product", "lot_id"),
)
"""What is open of each fill and entry, in the order of booking: what closes next, first in, first out. `quantity` is
signed."""

strategy_positions = sa.Table(
    "strategy_positions",
    metadata,
    _text("account", primary_key=True),
    _text("strategy", primary_key=True),
    _text("symbol", primary_key=True),
    _text("product", primary_key=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("open_value", Money, nullable=False),
    sa.Column("realized_pnl", Money, nullable=False),
    sa.Column("charges", Money, nullable=False),
    sa.Column("uncharged", sa.Integer, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)
"""The same of each strategy's own trades, as if it were alone in the account, and what those cost."""

position_entries = sa.Table(
    "position_entries",
    metadata,
    _text("account", primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("leg", sa.Integer, primary_key=True),
    _text("kind"),
    _text("symbol"),
    _text("product"),
    _text("to_product", nullable=True),
    _text("strategy", nullable=True),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money),
    sa.Column("paid", Money, nullable=False),
    sa.Column("realized_pnl", Money, nullable=False),
    sa.Column("realized_fifo", Money, nullable=False),
    sa.Column("evidence", Words, nullable=False),
    sa.Column("who", Words, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("shares", sa.JSON(none_as_null=True)),
    sa.Index(None, "account", "at", "sequence", "leg"),
)
"""What moved a position without an order; `sequence` is that of the account's event that tells of it. A conversion has
two legs. `paid` are the rupees that `quantity`, signed, was entered for, negative if received. `shares` has, by
strategy, what it held of the position before, and what of `quantity` was its own."""

position_differences = sa.Table(
    "position_differences",
    metadata,
    _text("account", primary_key=True),
    _text("symbol", primary_key=True),
    _text("product", primary_key=True),
    sa.Column("ours", sa.BigInteger, nullable=False),
    sa.Column("theirs", sa.BigInteger, nullable=False),
    _text("cause"),
    sa.Column("since", Moment, nullable=False),
)
"""Where the broker's positions differ from the ledger's, and nothing explains it: no new risk in that symbol."""

reservations = sa.Table(
    "reservations",
    metadata,
    _text("order_id", primary_key=True),
    _text("account"),
    _text("symbol"),
    _text("strategy"),
    _text("product"),
    _text("side"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("value", Money, nullable=False),
    sa.Column("price", Money, nullable=False),
    sa.Column("filled", sa.BigInteger, nullable=False),
    sa.Column("amended_quantity", sa.BigInteger),
    sa.Column("amended_price", Money),
    sa.Column("changes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_sent", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reserved_at", Moment, nullable=False),
    sa.Column("released_at", Moment),
    sa.Column("arrival_price", Money),
    sa.Column("arrival_bid", Money),
    sa.Column("arrival_ask", Money),
    sa.Column("arrival_received_at", Moment),
    sa.Column("sent_price", Money),
    sa.Column("sent_at", Moment),
    sa.Column("judged", sa.JSON(none_as_null=True)),
    _partial_index(
        "ix_reservations_standing",
        *("account", "symbol", "product", "side", "strategy", "quantity", "value", "price"),
        where="released_at IS NULL",
    ),
    sa.Index(None, "account", "reserved_at", "strategy", "symbol"),
)
"""What approved orders may still trade: `quantity` units, worth `value` rupees at `price` each. Made with the approval,
smaller with every fill, released with the order's end. `amended_*` are the total quantity and the price of a change
that was sent to the broker, until the book shows it. `attempt` and `not_sent` are of `ledger/attempts.py`. `arrival_*`
are of the last tick when the order was checked, `sent_price` when the permission of its last attempt was used up.
`judged` is how the order, and each change of it, stood against the limits when it passed (`orders/judged.py`)."""

ticks = sa.Table(
    "ticks",
    metadata,
    _text("account", primary_key=True),
    _text("symbol", primary_key=True),
    sa.Column("last_price", Money, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("volume", sa.BigInteger),
    sa.Column("bid", Money),
    sa.Column("ask", Money),
    sa.Column("depth", sa.JSON(none_as_null=True)),
    sa.Column("traded", sa.BigInteger),
    sa.Column("bought", sa.BigInteger),
    sa.Column("sold", sa.BigInteger),
    sa.Column("previous_close", Money),
)
"""The last tick of each symbol: `at` on the market's clock, `received_at` on the wall's. `traded` are the units since
the tick before it, `bought` and `sold` what paper orders have taken of it. `previous_close` is the last price that was
received before the (IST) day of this one; NULL if there was none."""

exchange_markets = sa.Table(
    "exchange_markets",
    metadata,
    _text("account", primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("session", sa.Date),
    sa.Column("market_at", Moment),
    sa.Column("wall_at", Moment),
    sa.Column("closes_at", Moment),
    sa.Column("minute", Moment),
    sa.Column("minute_requests", sa.Integer),
    sa.Column("day", sa.Date),
    sa.Column("day_orders", sa.Integer),
)
"""One paper market an account. `epoch` counts its owners, `version` its changes; `market_at` was shown at `wall_at`,
and on the wall's clock the session closes at `closes_at`. So many requests came in the `minute`, so many orders on the
`day`, both by the market's clock."""

exchange_orders = sa.Table(
    "exchange_orders",
    metadata,
    _text("broker_order_id", primary_key=True),
    _text("account"),
    _text("tag", nullable=True),
    _text("symbol"),
    _text("side"),
    _text("product"),
    _text("order_type"),
    _text("validity"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("filled_quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money),
    sa.Column("trigger_price", Money),
    sa.Column("triggered", sa.Boolean, nullable=False),
    sa.Column("queue_ahead", sa.BigInteger),
    sa.Column("disclosed_quantity", sa.BigInteger),
    sa.Column("margin_price", Money),
    _text("status"),
    _text("state"),
    _text("message", nullable=True),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("placed_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Index(None, "account", "version"),
    sa.Index(None, "account", "tag"),
    sa.Index("ix_exchange_orders_matching", "account", "symbol", "state", "status", "side", "price"),
    sa.Index("ix_exchange_orders_triggers", "account", "symbol", "state", "status", "side", "trigger_price"),
)
"""The paper exchange's own order book, in the broker's terms."""

exchange_history = sa.Table(
    "exchange_history",
    metadata,
    sa.Column("history_id", BIG_ID, primary_key=True, autoincrement=True),
    _text("broker_order_id"),
    _text("status"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("filled_quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money),
    sa.Column("trigger_price", Money),
    _text("message", nullable=True),
    sa.Column("at", Moment, nullable=False),
    sa.Index(None, "broker_order_id", "history_id"),
)
"""Every status that an order of the paper exchange has passed through (Kite's order history)."""

exchange_trades = sa.Table(
    "exchange_trades",
    metadata,
    sa.Column("number", BIG_ID, primary_key=True, autoincrement=True),
    _text("account"),
    _text("broker_order_id"),
    _text("trade_id"),
    _text("symbol"),
    _text("product"),
    _text("side"),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("price", Money, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("session", sa.Date),
    sa.Index(None, "account", "number"),
    sa.Index(None, "broker_order_id"),
)
"""`session` is the market's; `at` is on the wall's clock."""

order_requests = sa.Table(
    "order_requests",
    metadata,
    sa.Column("number", BIG_ID, primary_key=True, autoincrement=True),
    _text("account"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("is_over", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Index(None, "account", "number"),
    sa.Index(None, "account", "at"),
)
"""When order requests left for the broker, of the last two minutes, and whether they have arrived: what the
pacer counts."""

refusals = sa.Table(
    "refusals",
    metadata,
    _text("account", primary_key=True),
    sa.Column("words", Words, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
)
"""The broker's last refusal of each account, and how often in a row it was given in the same words."""

certificates = sa.Table(
    "certificates",
    metadata,
    _text("account", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False),
    _text("last_order_id"),
    sa.Column("last_sequence", sa.Integer, nullable=False),
    _text("events_hash"),
    _text("previous"),
    _text("body"),
    _text("hash"),
    sa.Index(None, "account", "day"),
)
"""What each day came to by its evening, as `ledger/certificates.py` has it. Rows are only ever added."""
api_tokens = sa.Table(
    "api_tokens",
    metadata,
    _text("account", primary_key=True),
    _text("name", primary_key=True),
    _text("hash"),
    _text("role"),
    _text("created_by"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("revoked_at", Moment),
    sa.Index(None, "hash", unique=True),
)
"""Tokens of the API: what each may do, and the SHA-256 of its text, which is kept nowhere."""

page_users = sa.Table(
    "page_users",
    metadata,
    _text("account", primary_key=True),
    _text("name", primary_key=True),
    _text("role"),
    _text("password_hash"),
    _text("created_by"),
    sa.Column("created_at", Moment, nullable=False),
)
"""Who may log in to the page. `password_hash` is Argon2's, with its own salt and parameters."""

page_sessions = sa.Table(
    "page_sessions",
    metadata,
    _text("hash", primary_key=True),
    _text("account"),
    _text("name"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)
"""Who is logged in, by the SHA-256 of what their cookie holds."""

news_cursors = sa.Table(
    "news_cursors",
    metadata,
    _text("account", primary_key=True),
    _text("channel", primary_key=True),
    sa.Column("feed_id", sa.BigInteger, nullable=False),
    sa.Column("held_after", sa.BigInteger),
    sa.Column("failed_since", Moment),
    sa.Column("failure", Words),
    sa.Column("updated_at", Moment, nullable=False),
)
"""How far each channel of `notify` has been told of the feed, and since when it fails."""
