"""Orders and trades as Kite's JSON shows them (Kite documentation, orders). Times are IST without an offset."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_orders.sandbox.book import DayTrade, OrderView
from durable_orders.sandbox.store import Leg
from durable_orders.trading.exchange.orders import KiteStatus
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import PRICE_PLACES

REQUESTS = (
    KiteStatus.PUT_ORDER_REQ_RECEIVED,
    KiteStatus.AMO_REQ_RECEIVED,
    KiteStatus.MODIFY_VALIDATION_PENDING,
    KiteStatus.CANCEL_PENDING,
)
"""Statuses that a request of the user sets. `order_timestamp` is the time of the last."""
FROM_EXCHANGE = (KiteStatus.OPEN, KiteStatus.TRIGGER_PENDING, KiteStatus.MODIFIED, KiteStatus.COMPLETE)
"""Statuses that only the exchange gives. Before the first, an order has no exchange id and no exchange time."""
NOT_IN_HISTORY = ("status_message_raw", "meta", "guid", "exchange_update_timestamp", "market_protection")
"""Missing in the rows of an order's history, and present in those of the book (Kite's published samples)."""

OF_TRADE = (
    *("order_id", "exchange_order_id", "exchange", "tradingsymbol", "instrument_token", "product"),
    "transaction_type",
)
"""What a trade's row repeats of its order."""

COVER_PRODUCT = "CO"
"""Of both legs of a cover order, which is placed as MIS (Kite staff)."""

Row = dict[str, Any]


def ist(moment: datetime) -> str:
    return moment.astimezone(IST).strftime("%Y-%m-%d %H:%M:%S")


class OrderRows:
    """Makes the rows of one account."""

    def __init__(self, user_id: str, instruments: Instruments) -> None:
        self._user_id = user_id
        self._instruments = instruments

    def book_row(self, view: OrderView) -> Row:
        """One of GET /orders: the order as it stands."""
        row, details = view.row, view.details
        exchange, _, tradingsymbol = row.symbol.partition(":")
        remaining = row.quantity - row.filled_quantity
        ended = row.state is not BookState.WORKING
        tags = [*([row.tag] if row.tag else []), *details.system_tags]
        return {
            "placed_by": details.placed_by,
            "account_id": self._user_id,
            "order_id": row.broker_order_id,
            "parent_order_id": details.parent,
            "variety": details.variety,
            "status": row.status,
            "status_message": row.message,
            "status_message_raw": row.message,
            "exchange": exchange,
            "tradingsymbol": tradingsymbol,
            "instrument_token": self._token(row.symbol),
            "order_type": row.order_type,
            "transaction_type": row.side,
            "validity": details.validity or row.validity,
            "validity_ttl": details.validity_ttl or 0,
            "product": COVER_PRODUCT if details.cover else row.product,
            "quantity": row.quantity,
            "disclosed_quantity": details.disclosed_quantity,
            "price": row.price or 0,
            "trigger_price": row.trigger_price or 0,
            "average_price": average_price(view),
            "filled_quantity": row.filled_quantity,
            "pending_quantity": 0 if row.state in (BookState.COMPLETE, BookState.REJECTED) else remaining,
            "cancelled_quantity": remaining if ended and row.state is not BookState.REJECTED else 0,
            "market_protection": details.market_protection,
            "meta": _meta(details.leg),
            "tag": row.tag,
            "tags": tags or None,
            "guid": None,
            "modified": False,
            "auction_number": None,
            **_times(view),
        }

    def history_rows(self, view: OrderView) -> list[Row]:
        """GET /orders/{id}: the order at each of its statuses, the last is the present one."""
        rows = [self.book_row(view.until(number + 1)) for number in range(len(view.snapshots))]
        return [{key: value for key, value in row.items() if key not in NOT_IN_HISTORY} for row in rows]

    def trade_rows(self, views: Iterable[OrderView]) -> list[Row]:
        """GET /trades and GET /orders/{id}/trades, in the order of execution."""
        rows = [(trade.sequence, row) for view in views for trade, row in self._trades_of(view)]
        return [row for _, row in sorted(rows, key=lambda pair: pair[0])]

    def _trades_of(self, view: OrderView) -> Iterator[tuple[DayTrade, Row]]:
        """`order_timestamp` is a time of day, `average_price` the price of this one trade."""
        if not view.trades:
            return
        order = self.book_row(view)
        shared = {key: order[key] for key in OF_TRADE} | {
            "order_timestamp": ist(view.row.placed_at).partition(" ")[2],
        }
        for trade in view.trades:
            at = ist(trade.fill.at)
            yield (
                trade,
                shared
                | {
                    "trade_id": trade.trade_id,
                    "average_price": trade.fill.price,
                    "quantity": trade.fill.quantity,
                    "fill_timestamp": at,
                    "exchange_timestamp": at,
                },
            )

    def update(self, view: OrderView, status: str) -> Row:
        """What a postback carries, and with other marks of its owner an order update on the socket."""
        row = self.book_row(view)
        gone = ("account_id", "validity_ttl", "tags", "modified", "auction_number")
        return {key: value for key, value in row.items() if key not in gone} | {
            "status": status,
            "unfilled_quantity": 0,
        }

    def _token(self, symbol: str) -> int:
        instrument = self._instruments.get(symbol)
        return instrument.instrument_token if instrument is not None else 0


def average_price(view: OrderView) -> Decimal:
    """Volume-weighted, in rupees; 0 without a fill."""
    quantity = sum(trade.fill.quantity for trade in view.trades)
    if not quantity:
        return Decimal(0)
    value = sum((trade.fill.price * trade.fill.quantity for trade in view.trades), Decimal(0))
    return (value / quantity).quantize(PRICE_PLACES)


def _meta(leg: Leg | None) -> Row:
    if leg is None:
        return {}
    told = {"leg": leg.number, "legs": leg.legs, "leg_quantity": leg.quantity}
    return {"iceberg": told | {"total_quantity": leg.total, "remaining_quantity": leg.remaining}}


def _times(view: OrderView) -> Row:
    asked = _last(view, lambda status: status in REQUESTS) or view.row.placed_at
    answered = _last(view, lambda status: status in FROM_EXCHANGE)
    known: Row = {"exchange_order_id": None, "exchange_timestamp": None, "exchange_update_timestamp": None}
    if answered is not None:
        known = {
            "exchange_order_id": f"1{view.row.broker_order_id[-15:]}",
            "exchange_timestamp": ist(answered),
            "exchange_update_timestamp": ist(view.row.updated_at),
        }
    return {"order_timestamp": ist(asked), **known}


def _last(view: OrderView, wanted: Callable[[str], bool]) -> datetime | None:
    return next((row.updated_at for row in reversed(view.snapshots) if wanted(row.status)), None)
