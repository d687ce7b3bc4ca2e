"""The paper exchange's tables, written within one transaction of the ledger database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

import sqlalchemy as sa

from durable_orders.trading.exchange.orders import ExchangeOrder, Progress, Traded
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import writes
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import exchange_history, exchange_markets, exchange_orders, exchange_trades
from durable_orders.trading.market.calendar import SessionCalendar
from durable_orders.trading.market.request_limits import Sent
from durable_orders.trading.orders.order import Account, BrokerOrderId, Product, Side

TWITTER_EPOCH_MS = 1_288_834_974_657
"""Kite's 19-digit order ids are snowflakes from this moment on: (milliseconds << 22) | low bits."""
LOW_BITS = 22

_orders, _markets = exchange_orders.c, exchange_markets.c


@dataclass(frozen=True, slots=True)
class Market:
    """One account's market, as its row says."""

    epoch: int
    version: int
    session: date | None
    market_at: datetime | None
    closes_at: datetime | None
    wall_at: datetime | None = None
    """When `market_at` was shown, on the wall's clock."""
    minute: datetime | None = None
    minute_requests: int | None = None
    day: date | None = None
    day_orders: int | None = None

    @property
    def sent(self) -> Sent:
        """The requests of its clients of late."""
        return Sent(self.minute, self.minute_requests or 0, self.day, self.day_orders or 0)

    def has_closed(self, moment: datetime) -> bool:
        """Whether its day is over for everything, at that moment on the wall's clock."""
        return self.closes_at is not None and moment >= self.closes_at

    def is_over_for(self, calendar: SessionCalendar) -> bool:
        """Whether the market's clock is past the session of what keeps these hours."""
        if self.session is None or self.market_at is None:
            return False
        session = calendar.session_on(self.session)
        return session is None or self.market_at >= session.closes

    def has_auction_ahead(self, calendar: SessionCalendar) -> bool:
        """Whether continuous trading of what keeps these hours is over, and a closing auction comes or is there."""
        if self.session is None or self.market_at is None:
            return False
        session = calendar.session_on(self.session)
        begins = session.auction_ahead_at if session is not None else None
        return begins is not None and self.market_at >= begins


def session_of_new(market: Market, calendar: SessionCalendar, now: datetime) -> date:
    """Of an order that comes now, of what keeps these hours: the next one where that of the day is over."""
    if market.session is None:
        return now.astimezone(IST).date()
    return calendar.next_session(market.session).date if market.is_over_for(calendar) else market.session


_MARKET: tuple[sa.Column[Any], ...] = (
    *(_markets.epoch, _markets.version, _markets.session, _markets.market_at, _markets.closes_at, _markets.wall_at),
    *(_markets.minute, _markets.minute_requests, _markets.day, _markets.day_orders),
)
_OF_ACCOUNT = _markets.account == sa.bindparam("of_account")
_READ = prepared(sa.select(*_MARKET).where(_OF_ACCOUNT))
_BUMP = prepared(
    sa.update(exchange_markets).where(_OF_ACCOUNT).values(version=_markets.version + 1).returning(*_MARKET)
)
_UPDATE_MARKET = prepared(sa.update(exchange_markets).where(_OF_ACCOUNT))


def read_market(connection: sa.Connection, account: Account) -> Market | None:
    row = connection.execute(_READ, {"of_account": account}).one_or_none()
    return None if row is None else Market(*row)


def bump_market(connection: sa.Connection, account: Account) -> Market:
    """The market with a new version, for this transaction's changes; made if an order comes before any owner.

    Writers of an account are alone, so no version ever becomes visible after a later one.
    """
    writes(connection, account)
    row = connection.execute(_BUMP, {"of_account": account}).one_or_none()
    if row is not None:
        return Market(*row)
    return _insert_market(connection, account, epoch=0, version=1)


def own_market(connection: sa.Connection, account: Account) -> int:
    """The number of a new ownership. Changes nothing of the book, and so not its version."""
    market = read_market(connection, account)
    if market is None:
        return _insert_market(connection, account, epoch=1, version=0).epoch
    update_market(connection, account, epoch=market.epoch + 1)
    return market.epoch + 1


def _insert_market(connection: sa.Connection, account: Account, epoch: int, version: int) -> Market:
    connection.execute(sa.insert(exchange_markets), {"account": account, "epoch": epoch, "version": version})
    return Market(epoch=epoch, version=version, session=None, market_at=None, closes_at=None)


def update_market(connection: sa.Connection, account: Account, **columns: Any) -> None:
    connection.execute(_UPDATE_MARKET, columns | {"of_account": account})


def save_sent(connection: sa.Connection, account: Account, sent: Sent) -> None:
    """Changes nothing of the book, and so not its version."""
    minute = {"minute": sent.minute, "minute_requests": sent.requests}
    update_market(connection, account, **minute, day=sent.day, day_orders=sent.orders)


_TAKEN = prepared(sa.select(_orders.broker_order_id).where(_orders.broker_order_id == sa.bindparam("id")))
_INSERT_ORDER = prepared(sa.insert(exchange_orders))
_INSERT_TRADES = prepared(sa.insert(exchange_trades))
_INSERT_HISTORY = prepared(sa.insert(exchange_history))
_UPDATE = prepared(sa.update(exchange_orders).where(_orders.broker_order_id == sa.bindparam("key")))


def new_broker_order_id(connection: sa.Connection, account: Account, at: datetime, version: int) -> BrokerOrderId:
    """Rising with time and version. Another account's order of the same millisecond and number is stepped over; each
    account counts from elsewhere, as one that is just being written cannot be seen yet, and on into the next
    millisecond."""
    number = (int(at.timestamp() * 1000) - TWITTER_EPOCH_MS) << LOW_BITS
    number += crc32(account.encode()) % (1 << LOW_BITS) + version % (1 << LOW_BITS)
    while connection.execute(_TAKEN, {"id": f"{number:019d}"}).first() is not None:
        number += 1
    return BrokerOrderId(f"{number:019d}")


def insert_order(connection: sa.Connection, account: Account, progress: Progress, version: int) -> None:
    order = progress.order
    fixed = {
        "broker_order_id": order.broker_order_id,
        "account": account,
        "tag": order.tag,
        "symbol": order.symbol,
        "side": order.side,
        "product": order.product,
        "validity": order.validity,
        "placed_at": order.placed_at,
    }
    connection.execute(_INSERT_ORDER, fixed | _changing_columns(order, version))
    _insert_trades_and_history(connection, account, [progress])


def update_orders(connection: sa.Connection, account: Account, progresses: Sequence[Progress], version: int) -> None:
    if not progresses:
        return
    changed = [
        {"key": progress.order.broker_order_id} | _changing_columns(progress.order, version) for progress in progresses
    ]
    connection.execute(_UPDATE, changed)
    _insert_trades_and_history(connection, account, progresses)


def _changing_columns(order: ExchangeOrder, version: int) -> dict[str, Any]:
    return {
        "order_type": order.order_type,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "triggered": order.triggered,
        "queue_ahead": order.queue_ahead,
        "disclosed_quantity": order.disclosed_quantity,
        "margin_price": order.margin_price,
        "status": order.status,
        "state": order.state,
        "message": order.message,
        "session": order.session,
        "version": version,
        "updated_at": order.updated_at,
    }


def _insert_trades_and_history(connection: sa.Connection, account: Account, progresses: Sequence[Progress]) -> None:
    trades = [_trade(account, progress.order, fill) for progress in progresses for fill in progress.fills]
    if trades:
        connection.execute(_INSERT_TRADES, trades)
    history = [
        passed._asdict() | {"broker_order_id": progress.order.broker_order_id}
        for progress in progresses
        for passed in progress.history
    ]
    if history:
        connection.execute(_INSERT_HISTORY, history)


def insert_movement(
    connection: sa.Connection,
    account: Account,
    own: BrokerOrderId,
    symbol: str,
    product: Product,
    quantity: int,
    price: Decimal,
    at: datetime,
) -> None:
    """A trade of no order."""
    side = Side.BUY if quantity > 0 else Side.SELL
    row: dict[str, Any] = {
        "account": account,
        "broker_order_id": own,
        "trade_id": f"{own}-0",
        "symbol": symbol,
        "product": product,
    }
    row |= {"side": side, "quantity": abs(quantity), "price": price, "at": at, "session": None}
    connection.execute(_INSERT_TRADES, row)


def _trade(account: Account, order: ExchangeOrder, fill: Traded) -> dict[str, Any]:
    return {
        "account": account,
        "broker_order_id": order.broker_order_id,
        "trade_id": fill.trade_id,
        "symbol": order.symbol,
        "product": order.product,
        "side": order.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "at": fill.at,
        "session": order.session,
    }
