"""The broker's risk management of a paper account in the ledger: what it has to know is read from the tables."""

import threading
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.account import OpenOrder, Trade
from durable_orders.trading.exchange.orders import ExchangeOrder
from durable_orders.trading.exchange.rms import Rms
from durable_orders.trading.exchange.store import Market, read_market
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.tables import exchange_orders, exchange_trades
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState, Funds
from durable_orders.trading.orders.order import Account, BrokerOrderId, Product, Side, Tag, Terms
from durable_orders.trading.orders.outcome import Refused

_orders, _trades = exchange_orders.c, exchange_trades.c
_MADE = (
    sa.select(exchange_trades, _orders.tag)
    .join(exchange_orders, _orders.broker_order_id == _trades.broker_order_id)
    .where(_trades.account == sa.bindparam("account"), _trades.number > sa.bindparam("number"))
    .order_by(_trades.number)
)
_CHANGED = sa.select(exchange_orders).where(
    _orders.account == sa.bindparam("account"), _orders.version > sa.bindparam("version")
)


class PaperRms:
    """One account's. Thread-safe. Looks only at what is committed: to be asked before a transaction writes."""

    def __init__(self, account: Account, settings: Paper, listing: Listing) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._rms, self._alone = (Rms(account, settings, listing) for _ in range(2))
        self._version = 0
        self._number = 0

    def refusal(
        self, connection: sa.Connection, terms: Terms, order: ExchangeOrder | None, at: datetime
    ) -> Refused | None:
        """Why a new order, or the change of one to these terms, is not taken at that moment; `None` if it is."""
        market = read_market(connection, self._account)
        shown_at = None if market is None or market.has_closed(at) else market.market_at
        if (late := self._rms.late_refusal(terms, shown_at)) is not None or not self._rms.has_funds:
            return late
        session = (market.session if market is not None else None) or at.astimezone(IST).date()
        price = self.margin_price(connection, terms)
        with self._lock:
            self._catch_up(connection, market)
            return self._rms.refusal(terms, order, price, session)

    def margin_price(self, connection: sa.Connection, terms: Terms) -> Decimal | None:
        """Rupees a share that an order binds margin by: its limit, its trigger, or else the last price."""
        if not self._rms.has_funds:
            return None
        priced = terms.price or terms.trigger_price
        tick = None if priced else last_tick(connection, self._account, terms.symbol)
        return self._rms.margin_price(terms, tick.last_price if tick is not None else None)

    def funds(self, connection: sa.Connection) -> Funds | None:
        """`None` if the account has none set."""
        with self._lock:
            self._catch_up(connection, read_market(connection, self._account))
            return self._rms.funds()

    def margin(self, connection: sa.Connection, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        """Rupees that these orders, each at its price, would bind together and more than is bound now; of an account
        without funds, by themselves."""
        with self._lock:
            if not self._rms.has_funds:
                return self._alone.margin(priced)
            self._catch_up(connection, read_market(connection, self._account))
            return self._rms.margin(priced)

    def to_square_off(self, connection: sa.Connection, ticks: Sequence[Tick], session: date) -> list[int | None]:
        """Of each tick the MIS position of its symbol that is to be closed then, as it was before this transaction.

        `None` before the cut-off, but for what an earlier session has left.
        """
        if not self._rms.squares_off:
            return [None] * len(ticks)
        with self._lock:
            self._catch_up(connection, read_market(connection, self._account))
            due = {symbol: self._rms.due_from(symbol, session) for symbol in {tick.symbol for tick in ticks}}
            held = {symbol: self._rms.intraday(symbol) for symbol, since in due.items() if since is not None}
        return [
            held[tick.symbol] if (since := due[tick.symbol]) is not None and tick.at >= since else None
            for tick in ticks
        ]

    def _catch_up(self, connection: sa.Connection, market: Market | None) -> None:
        if market is None:
            return  # the first order makes the market, so there is none
        if market.version > self._version:
            made = connection.execute(_MADE, {"account": self._account, "number": self._number}).all()
            for row in made:
                self._rms.book(_trade(row))
                self._number = row.number
            changed = _CHANGED if self._version else _CHANGED.where(_orders.state == BookState.WORKING)
            for row in connection.execute(changed, {"account": self._account, "version": self._version}):
                self._rms.show(_open(row))
            self._version = market.version
        if market.session is not None:
            self._rms.begin(market.session)


def _trade(row: sa.Row[tuple[object, ...]]) -> Trade:
    return Trade(
        broker_order_id=BrokerOrderId(row.broker_order_id),
        tag=None if row.tag is None else Tag(row.tag),
        symbol=row.symbol,
        product=Product(row.product),
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        at=row.at,
        session=row.session,
    )


def _open(row: sa.Row[tuple[object, ...]]) -> OpenOrder:
    working = row.state == BookState.WORKING
    return OpenOrder(
        broker_order_id=BrokerOrderId(row.broker_order_id),
        symbol=row.symbol,
        product=Product(row.product),
        side=Side(row.side),
        remaining=row.quantity - row.filled_quantity if working else 0,
        price=row.margin_price or row.price or row.trigger_price or Decimal(0),
    )
