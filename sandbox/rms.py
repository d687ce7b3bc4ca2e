"""What Kite's risk checks refuse at once: 400, no row in the book. One small function a rule, asked in this order.

Where Kite's words are known they are used (kite.trade forum); the rest are the sandbox's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from durable_orders.sandbox.cover_orders import stop_behind
from durable_orders.sandbox.envelopes import ErrorType, KiteError, wrong_input
from durable_orders.sandbox.order_forms import Placement, Variety
from durable_orders.sandbox.portfolio import Portfolio
from durable_orders.sandbox.quotes import Quotes
from durable_orders.trading.config.settings import CircuitLimits
from durable_orders.trading.market.instruments import SHARES, Instrument, Instruments
from durable_orders.trading.market.rules import ExchangeRules, Rule, Way, freeze_quantity, outside, rules
from durable_orders.trading.orders.order import OrderType, Side, Terms

NO_HOLDINGS = "RMS:Rule: Check holdings including BTST on {symbol}: {held} held, {quantity} asked for"
NOT_AUTHORISED = "Authorise the sale of your holdings at the depository (TPIN) and place the order again"
NO_MARKET = "Market orders are not allowed for this contract. Please place a limit order around the theoretical price."
ONLY_OPEN = {Variety.ICEBERG: "Iceberg", Variety.CO: "Cover"}
"""Varieties that there are in an open market only (Zerodha support: not as after-market orders)."""
SWITCH_TO_AMO = {"hints": ["switch_to_amo"]}


@dataclass(frozen=True, slots=True)
class Rms:
    instruments: Instruments
    quotes: Quotes
    portfolio: Portfolio
    is_open: Callable[[], bool]
    rules: ExchangeRules
    day: Callable[[], date | None]
    """Of the session that is or was open last."""
    clock: Callable[[], datetime]
    market_within: Decimal | None = None
    """Percent of an index's last price: in its options whose strike lies farther away, MARKET is refused."""

    def check_placement(self, asked: Placement) -> None:
        """Raises `KiteError` with the first rule that is broken."""
        whole = asked.terms
        leg = asked.details.leg
        single = whole.model_copy(update={"quantity": leg.quantity}) if leg else whole
        instrument = self.check_terms(single, asked.autoslice, asked.details.disclosed_quantity)
        _lots(whole, instrument)
        self._session(asked.variety)
        self._within_range(asked)
        self._funds(asked.terms, instrument)

    def check_terms(self, terms: Terms, autoslice: bool = False, disclosed: int = 0) -> Instrument:
        """What holds for new and for modified orders."""
        instrument = self.check_steps(terms)
        if not autoslice:
            _freeze(terms, instrument, self._most(instrument))
        self._by_the_rules(terms, frozenset({Way.DISCLOSED} if disclosed else ()))
        self._within_circuit(terms)
        self._takes_market(terms, instrument)
        return instrument

    def check_steps(self, terms: Terms) -> Instrument:
        """That the instrument is there, and quantity and prices are in its steps."""
        instrument = self._instrument(terms.symbol)
        _lots(terms, instrument)
        _on_tick(terms, instrument)
        return instrument

    def late_rejection(self, terms: Terms) -> str | None:
        """Why Kite takes the order and then rejects it: shares are sold that are not there."""
        if terms.side is Side.BUY or not terms.product.is_delivery:
            return None
        held = self.portfolio.deliverable(terms.symbol, terms.product)
        if terms.quantity <= held:
            unauthorised = self.portfolio.unauthorised(terms.symbol, terms.product, terms.quantity)
            return NOT_AUTHORISED if unauthorised else None
        return NO_HOLDINGS.format(symbol=terms.symbol, held=held, quantity=terms.quantity)

    def slice_quantity(self, symbol: str) -> int | None:
        """The greatest quantity of one order; `None` where there is no limit."""
        return self._most(self._instrument(symbol))

    def _most(self, instrument: Instrument) -> int | None:
        if instrument.exchange in SHARES:
            return None
        day = self.day()
        known = freeze_quantity(instrument, day, {}) if day is not None else None
        return known[0] if known is not None else None

    def _by_the_rules(self, terms: Terms, ways: frozenset[Way]) -> None:
        """Of the exchanges and the broker, on the day of the session."""
        day = self.day()
        if day is None:
            return
        at = self.clock() if self.is_open() else None
        for broken in self.rules.broken(terms, day, at, lambda: self.quotes.last_price(terms.symbol), ways):
            if broken.rule is not Rule.FREEZE:
                raise wrong_input(f"{broken.rule}: {broken}")

    def _takes_market(self, terms: Terms, instrument: Instrument) -> None:
        """Not deep in an index option, nor far out of it (Zerodha support, order rejections)."""
        index = self.quotes.last_price(rules().indices.symbols.get(instrument.name, ""))
        if self.market_within is None or terms.order_type is not OrderType.MARKET or not (instrument.strike and index):
            return
        if abs(instrument.strike - index) * 100 > self.market_within * index:
            raise wrong_input(NO_MARKET)

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self.instruments.get(symbol)
        if instrument is None or not instrument.tradable:
            raise wrong_input("The instrument you are placing an order for has either expired or does not exist.")
        return instrument

    def _within_circuit(self, terms: Terms) -> None:
        quote = self.quotes.get(terms.symbol)
        if quote is None:
            return
        band = CircuitLimits(lower=quote.lower_circuit, upper=quote.upper_circuit)
        if outside(band, terms) is not None:
            raise wrong_input(f"Your order price is outside the circuit limits of {band.lower} to {band.upper}.")

    def _session(self, variety: Variety) -> None:
        if variety in ONLY_OPEN and not self.is_open():
            raise wrong_input(f"{ONLY_OPEN[variety]} orders cannot be placed while the market is closed.")
        if variety is Variety.REGULAR and not self.is_open():
            message = "Your order could not be converted to a After Market Order (AMO)."
            raise wrong_input(message, SWITCH_TO_AMO)
        if variety is Variety.AMO and self.is_open():
            raise wrong_input("After market orders (AMO) can be placed only while the market is closed.")

    def _within_range(self, asked: Placement) -> None:
        """The stop of a cover order (Kite staff: within the trigger range)."""
        cover, quote = asked.details.cover, self.quotes.get(asked.terms.symbol)
        if cover is None:
            return
        stop = stop_behind(asked.terms, cover)
        self.check_steps(stop)
        self._by_the_rules(stop, frozenset())
        if quote is None:
            raise wrong_input("Cover orders need a last price.")
        lower, upper = quote.trigger_range(asked.terms.side)
        if not lower <= cover.trigger_price <= upper:
            raise wrong_input(f"Trigger price of a cover order should be within {lower:.2f} and {upper:.2f}.")

    def _funds(self, terms: Terms, instrument: Instrument) -> None:
        required = self.portfolio.required(terms, instrument)
        available = self.portfolio.available()
        if required > available:
            message = f"Insufficient funds. Required margin is {required:.2f} but available margin is {available:.2f}."
            raise KiteError(400, ErrorType.MARGIN, message)


def _lots(terms: Terms, instrument: Instrument) -> None:
    if terms.quantity % instrument.lot_size:
        raise wrong_input(f"Quantity should be in multiples of the lot size of {instrument.lot_size}.")


def _freeze(terms: Terms, instrument: Instrument, most: int | None) -> None:
    if most is not None and terms.quantity > most:
        lots = terms.quantity // instrument.lot_size
        raise wrong_input(
            f"The order quantity {terms.quantity} ({lots} lots) is higher than the maximum quantity of {most} "
            f"({most // instrument.lot_size} lots) allowed by the exchanges."
        )


def _on_tick(terms: Terms, instrument: Instrument) -> None:
    for price in (terms.price, terms.trigger_price):
        if price is not None and price % instrument.tick_size:
            paise = (instrument.tick_size * 100).normalize()
            raise wrong_input(
                f"Tick size for this script is {paise:f} paise. "
                "Kindly enter price in the multiple of tick size for this script."
            )
