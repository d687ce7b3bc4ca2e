"""The broker's risk management over a paper exchange: funds, holdings, and the end of the day for MIS. No I/O.

Whoever keeps the exchange tells it of every trade, order and session; in the ledger that is `paper_rms.py`, in memory
the backtest's exchange.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from durable_orders.trading.charges.fees import NoCharges
from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange import refusals as paper_refusals
from durable_orders.trading.exchange.account import OpenOrder, PaperAccount, Trade
from durable_orders.trading.exchange.orders import ExchangeOrder, Progress, received
from durable_orders.trading.ist import IST
from durable_orders.trading.market.expiry import Settled
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Account, BrokerOrderId, Product, Side, Terms
from durable_orders.trading.orders.outcome import Refused

SQUARE_OFF = "RMS: intraday square-off"
AT_ONCE = datetime(2000, 1, 1, tzinfo=IST)
_NEW = BrokerOrderId("")
"""Stands for an order that has no id yet."""


class Rms:
    """One account's."""

    def __init__(self, account: Account, settings: Paper, listing: Listing) -> None:
        self._listing = listing
        self._money = PaperAccount(account, settings, listing.instruments)
        self.has_funds = settings.funds is not None
        self.squares_off = settings.square_off_enabled

    def begin(self, session: date) -> None:
        """A session begins, if it is not the present one. Sessions come in the order of their days."""
        self._money.begin(session)

    def book(self, trade: Trade) -> None:
        self._money.book(trade)

    def show(self, order: OpenOrder) -> None:
        """An order as it stands now."""
        self._money.show(order)

    def note(self, progress: Progress) -> None:
        """What became of an order: its trades, and how it stands."""
        order = progress.order
        for fill in progress.fills:
            self.book(
                Trade(
                    *(order.broker_order_id, order.tag, order.symbol, order.product, order.side),
                    *(fill.quantity, fill.price, fill.at, order.session),
                )
            )
        remaining = order.remaining if order.working else 0
        price = order.margin_price or order.price or order.trigger_price or Decimal(0)
        self.show(OpenOrder(order.broker_order_id, order.symbol, order.product, order.side, remaining, price))

    def funds(self) -> Funds | None:
        """`None` if the account has none set."""
        return self._money.funds() if self.has_funds else None

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        """Rupees that these orders, each at its price, would bind together and more than is bound now."""
        asked = [
            OpenOrder(BrokerOrderId(f"asked {number}"), terms.symbol, terms.product, terms.side, terms.quantity, price)
            for number, (terms, price) in enumerate(priced)
        ]
        return self._money.required_together(asked)

    def margin_price(self, terms: Terms, last: Decimal | None) -> Decimal | None:
        """Rupees a share that an order binds margin by: its limit, its trigger, or else the last price."""
        return (terms.price or terms.trigger_price or last) if self.has_funds else None

    def late_refusal(self, terms: Terms, market_at: datetime | None) -> Refused | None:
        """Of an MIS order, when the market's clock is past the cut-off. `market_at` is `None` while it is closed."""
        if terms.product is not Product.MIS or market_at is None:
            return None
        cutoff = self._cutoff(terms.symbol, market_at.astimezone(IST).date())
        if cutoff is None or market_at < cutoff:
            return None
        return paper_refusals.late_intraday_refusal(cutoff.time())

    def refusal(self, terms: Terms, order: ExchangeOrder | None, price: Decimal | None, on: date) -> Refused | None:
        """Why a new order, or the change of one to these terms, is not taken in the session of that day.

        `price` is its `margin_price`. `None` if it is taken.
        """
        if not self.has_funds:
            return None
        if price is None:
            return paper_refusals.refused(f"margin: {terms.symbol} has no last price yet")
        return self._holdings(terms, order) or self._funds(terms, order, price, on)

    def is_due(self, symbol: str, at: datetime, session: date) -> bool:
        """Whether the symbol's MIS position is to be closed at that market time."""
        due = self.due_from(symbol, session)
        return due is not None and at >= due

    def due_from(self, symbol: str, session: date) -> datetime | None:
        """From when on it is, as things stand: from the cut-off on, and what an earlier session has left at once;
        `None` where there is nothing to close."""
        if not self._money.has_any(symbol, Product.MIS) or (cutoff := self._cutoff(symbol, session)) is None:
            return None
        quantity, since = self._money.position(symbol, Product.MIS)
        return AT_ONCE if quantity != 0 and since < session else cutoff

    def intraday(self, symbol: str) -> int:
        """The MIS position, in shares; short ones are negative."""
        return self._money.position(symbol, Product.MIS)[0]

    def _cutoff(self, symbol: str, day: date) -> datetime | None:
        """`None` where nothing is squared off."""
        known = self.squares_off and self._listing.instruments(symbol) is not None
        return self._listing.mis_cutoff(symbol, day) if known else None

    def _holdings(self, terms: Terms, order: ExchangeOrder | None) -> Refused | None:
        if terms.side is Side.BUY or not terms.product.is_delivery:
            return None
        own = order.broker_order_id if order is not None else None
        held = self._money.deliverable(terms.symbol, terms.product, but_for=own)
        wanted = _remaining(terms, order)
        return paper_refusals.holdings_refusal(terms.symbol, held, wanted) if wanted > held else None

    def _funds(self, terms: Terms, order: ExchangeOrder | None, price: Decimal, on: date) -> Refused | None:
        try:
            self._money.check_charges(terms.symbol, terms.product, on)
        except NoCharges as error:
            return paper_refusals.refused(f"charges: {error}")
        own = order.broker_order_id if order is not None else _NEW
        asked = OpenOrder(own, terms.symbol, terms.product, terms.side, _remaining(terms, order), price)
        required, available = self._money.required(asked), self._money.funds().available
        return paper_refusals.funds_refusal(required, available) if required > max(available, Decimal(0)) else None


class SquaredOff(NamedTuple):
    """What ends a symbol's day."""

    cancelled: list[Progress]
    closing: Terms | None
    """Of the order that closes what is left; `None` if there is nothing."""


def squared_off(symbol: str, held: int, working: Sequence[ExchangeOrder], at: datetime) -> SquaredOff:
    """As Zerodha's RMS does: cancel what works, then close the position with an order that has no tag of ours.

    `held` are the shares now, `working` the symbol's MIS orders. An order of RMS that could not fill whole goes on.
    """
    cancelled = [Progress(order, at) for order in working if order.tag is not None]
    for progress in cancelled:
        progress.cancel(SQUARE_OFF)
    open_quantity = held + sum(order.side.sign * order.remaining for order in working if order.tag is None)
    if open_quantity == 0:
        return SquaredOff(cancelled, None)
    side = Side.SELL if open_quantity > 0 else Side.BUY
    closing = Terms(symbol=symbol, side=side, quantity=abs(open_quantity), product=Product.MIS)
    return SquaredOff(cancelled, closing)


def closing_at_expiry(symbol: str, product: Product, held: int) -> Terms:
    """The order by which what is held of an expired contract ends."""
    return Terms(symbol=symbol, side=Side.SELL if held > 0 else Side.BUY, quantity=abs(held), product=product)


def ended_at_expiry(closing: Terms, settled: Settled, own: BrokerOrderId, session: date, at: datetime) -> Progress:
    """That order, filled whole at the settlement price. It has no tag of ours."""
    progress = received(closing, None, own, session, at)
    progress.open()
    progress.fill(closing.quantity, settled.price, settled.words)
    return progress


def _remaining(terms: Terms, order: ExchangeOrder | None) -> int:
    return max(terms.quantity - (order.filled_quantity if order is not None else 0), 0)
