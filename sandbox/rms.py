"""What Kite's risk checks refuse at once: 400, no row in the book. One small function a rule, asked in this order.

Where Kite's words are known they are used (kite.trade forum); the rest are the sandbox's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.envelopes import ErrorType, KiteError, wrong_input
from sandbox.order_forms import Placement, Variety
from sandbox.portfolio import Portfolio
from sandbox.quotes import Quotes
from trading.market.instruments import Instrument, Instruments
from trading.order import Product, Side, Terms

FREEZE_LOTS = 24
"""Of a derivative, in one order: 1,800 for NIFTY at 75 a lot. Kite's instruments do not tell it."""
CASH_EXCHANGES = ("NSE", "BSE")
DELIVERY = (Product.CNC, Product.MTF)
NO_HOLDINGS = "RMS:Rule: Check holdings including BTST on {symbol}: {held} held, {quantity} asked for"
SWITCH_TO_AMO = {"hints": ["switch_to_amo"]}


@dataclass(frozen=True, slots=True)
class Rms:
    instruments: Instruments
    quotes: Quotes
    portfolio: Portfolio
    is_open: Callable[[], bool]

    def check_placement(self, asked: Placement) -> None:
        """Raises `KiteError` with the first rule that is broken."""
        whole = asked.terms
        leg = asked.details.leg
        single = whole.model_copy(update={"quantity": leg.quantity}) if leg else whole
        instrument = self.check_terms(single, asked.autoslice)
        _lots(whole, instrument)
        self._session(asked.variety)
        self._funds(asked.terms, instrument)

    def check_terms(self, terms: Terms, autoslice: bool = False) -> Instrument:
        """What holds for new and for modified orders."""
        instrument = self._instrument(terms.symbol)
        _lots(terms, instrument)
        if not autoslice:
            _freeze(terms, instrument)
        _on_tick(terms, instrument)
        self._within_circuit(terms)
        return instrument

    def late_rejection(self, terms: Terms) -> str | None:
        """Why Kite takes the order and then rejects it: shares are sold that are not there."""
        if terms.side is Side.BUY or terms.product not in DELIVERY:
            return None
        held = self.portfolio.deliverable(terms.symbol, terms.product)
        if terms.quantity <= held:
            return None
        return NO_HOLDINGS.format(symbol=terms.symbol, held=held, quantity=terms.quantity)

    def slice_quantity(self, symbol: str) -> int | None:
        """The greatest quantity of one order; `None` where there is no limit."""
        return _freeze_quantity(self._instrument(symbol))

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self.instruments.get(symbol)
        if instrument is None or not instrument.tradable:
            raise wrong_input("The instrument you are placing an order for has either expired or does not exist.")
        return instrument

    def _within_circuit(self, terms: Terms) -> None:
        quote = self.quotes.get(terms.symbol)
        if quote is None or terms.price is None or quote.lower_circuit <= terms.price <= quote.upper_circuit:
            return
        raise wrong_input(
            f"Your order price is outside the circuit limits of {quote.lower_circuit} to {quote.upper_circuit}."
        )

    def _session(self, variety: Variety) -> None:
        if variety is Variety.ICEBERG and not self.is_open():
            raise wrong_input("Iceberg orders cannot be placed while the market is closed.")
        if variety is Variety.REGULAR and not self.is_open():
            message = "Your order could not be converted to a After Market Order (AMO)."
            raise wrong_input(message, SWITCH_TO_AMO)
        if variety is Variety.AMO and self.is_open():
            raise wrong_input("After market orders (AMO) can be placed only while the market is closed.")

    def _funds(self, terms: Terms, instrument: Instrument) -> None:
        required = self.portfolio.required(terms, instrument)
        available = self.portfolio.available()
        if required > available:
            message = f"Insufficient funds. Required margin is {required:.2f} but available margin is {available:.2f}."
            raise KiteError(400, ErrorType.MARGIN, message)


def _lots(terms: Terms, instrument: Instrument) -> None:
    if terms.quantity % instrument.lot_size:
        raise wrong_input(f"Quantity should be in multiples of the lot size of {instrument.lot_size}.")


def _freeze(terms: Terms, instrument: Instrument) -> None:
    most = _freeze_quantity(instrument)
    if most is not None and terms.quantity > most:
        lots = terms.quantity // instrument.lot_size
        raise wrong_input(
            f"The order quantity {terms.quantity} ({lots} lots) is higher than the maximum quantity of {most} "
            f"({FREEZE_LOTS} lots) allowed by the exchanges."
        )


def _freeze_quantity(instrument: Instrument) -> int | None:
    exchange = instrument.symbol.partition(":")[0]
    return None if exchange in CASH_EXCHANGES else FREEZE_LOTS * instrument.lot_size


def _on_tick(terms: Terms, instrument: Instrument) -> None:
    for price in (terms.price, terms.trigger_price):
        if price is not None and price % instrument.tick_size:
            paise = (instrument.tick_size * 100).normalize()
            raise wrong_input(
                f"Tick size for this script is {paise:f} paise. "
                "Kindly enter price in the multiple of tick size for this script."
            )
