"""The broker's risk management over the paper exchange: funds, holdings, and the end of the day for MIS."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal

import sqlalchemy as sa

from trading.brokers import paper_refusals
from trading.brokers.book import BookState, Funds
from trading.brokers.paper_account import DELIVERY, OpenOrder, PaperAccount, Trade
from trading.brokers.paper_orders import ExchangeOrder
from trading.brokers.paper_store import read_market
from trading.fees import NoCharges
from trading.ledger.last_ticks import last_tick
from trading.ledger.tables import exchange_orders, exchange_trades
from trading.market.calendar import IST
from trading.market.instruments import Instrument
from trading.order import Account, BrokerOrderId, Product, Side, Tag, Terms
from trading.outcome import Refused
from trading.settings import Paper

_orders, _trades = exchange_orders.c, exchange_trades.c
_NEW = BrokerOrderId("")
"""Stands for an order that has no id yet."""
_MADE = (
    sa.select(exchange_trades, _orders.tag)
    .join(exchange_orders, _orders.broker_order_id == _trades.broker_order_id)
    .where(_trades.account == sa.bindparam("account"), _trades.number > sa.bindparam("number"))
    .order_by(_trades.number)
)
_CHANGED = sa.select(exchange_orders).where(
    _orders.account == sa.bindparam("account"), _orders.version > sa.bindparam("version")
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the broker knows of instruments."""

    instruments: Callable[[str], Instrument | None]
    mis_cutoff: Callable[[Instrument], time]
    """From that time of the market's day (IST) on, MIS orders are refused and positions closed."""


class PaperRms:
    """One account's. Thread-safe. Looks only at what is committed: to be asked before a transaction writes."""

    def __init__(self, account: Account, settings: Paper, listing: Listing) -> None:
        self._account = account
        self._settings = settings
        self._listing = listing
        self._lock = threading.Lock()
        self._money = PaperAccount(account, settings, listing.instruments)
        self._version = 0
        self._number = 0

    def refusal(
        self, connection: sa.Connection, terms: Terms, order: ExchangeOrder | None, at: datetime
    ) -> Refused | None:
        """Why a new order, or the change of one to these terms, is not taken at that moment; `None` if it is."""
        if terms.product is Product.MIS and (cutoff := self._over(connection, terms.symbol, at)) is not None:
            return paper_refusals.late_intraday_refusal(cutoff)
        if self._settings.funds is None:
            return None
        price = self.margin_price(connection, terms)
        if price is None:
            return paper_refusals.refused(f"margin: {terms.symbol} has no last price yet")
        with self._lock:
            self._catch_up(connection)
            return self._holdings(terms, order) or self._funds(terms, order, price, at)

    def margin_price(self, connection: sa.Connection, terms: Terms) -> Decimal | None:
        """Rupees a share that an order binds margin by: its limit, its trigger, or else the last price."""
        if self._settings.funds is None:
            return None
        if (own := terms.price or terms.trigger_price) is not None:
            return own
        tick = last_tick(connection, self._account, terms.symbol)
        return tick.last_price if tick is not None else None

    def funds(self, connection: sa.Connection) -> Funds | None:
        """`None` if the account has none set."""
        if self._settings.funds is None:
            return None
        with self._lock:
            self._catch_up(connection)
            return self._money.funds()

    def to_square_off(self, connection: sa.Connection, symbol: str, at: datetime, session: date) -> int | None:
        """The MIS position that is to be closed now, at that market time, as it was before this transaction.

        `None` before the cut-off, but for what an earlier session has left.
        """
        instrument = self._listing.instruments(symbol)
        if not self._settings.square_off_enabled or instrument is None:
            return None
        with self._lock:
            self._catch_up(connection)
            quantity, since = self._money.position(symbol, Product.MIS)
        left_over = quantity != 0 and since < session
        return quantity if left_over or at.time() >= self._listing.mis_cutoff(instrument) else None

    def _over(self, connection: sa.Connection, symbol: str, at: datetime) -> time | None:
        """The cut-off, if the market's clock is past it in a session that has not closed."""
        instrument = self._listing.instruments(symbol)
        if not self._settings.square_off_enabled or instrument is None:
            return None
        market, cutoff = read_market(connection, self._account), self._listing.mis_cutoff(instrument)
        if market is None or market.market_at is None or market.has_closed(at):
            return None
        return cutoff if market.market_at.astimezone(IST).time() >= cutoff else None

    def _holdings(self, terms: Terms, order: ExchangeOrder | None) -> Refused | None:
        if terms.side is Side.BUY or terms.product not in DELIVERY:
            return None
        own = order.broker_order_id if order is not None else None
        held = self._money.deliverable(terms.symbol, terms.product, but_for=own)
        wanted = _remaining(terms, order)
        return paper_refusals.holdings_refusal(terms.symbol, held, wanted) if wanted > held else None

    def _funds(self, terms: Terms, order: ExchangeOrder | None, price: Decimal, at: datetime) -> Refused | None:
        try:
            self._money.check_charges(terms.symbol, terms.product, at)
        except NoCharges as error:
            return paper_refusals.refused(f"charges: {error}")
        own = order.broker_order_id if order is not None else _NEW
        asked = OpenOrder(own, terms.symbol, terms.product, terms.side, _remaining(terms, order), price)
        required, available = self._money.required(asked), self._money.funds().available
        return paper_refusals.funds_refusal(required, available) if required > max(available, Decimal(0)) else None

    def _catch_up(self, connection: sa.Connection) -> None:
        market = read_market(connection, self._account)
        if market is None:
            return  # the first order makes the market, so there is none
        if market.version > self._version:
            made = connection.execute(_MADE, {"account": self._account, "number": self._number}).all()
            for row in made:
                self._money.book(_trade(row))
                self._number = row.number
            changed = _CHANGED if self._version else _CHANGED.where(_orders.state == BookState.WORKING)
            for row in connection.execute(changed, {"account": self._account, "version": self._version}):
                self._money.show(_open(row))
            self._version = market.version
        if market.session is not None:
            self._money.begin(market.session)


def _remaining(terms: Terms, order: ExchangeOrder | None) -> int:
    return max(terms.quantity - (order.filled_quantity if order is not None else 0), 0)


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
