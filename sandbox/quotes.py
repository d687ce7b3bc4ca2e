"""What the feed has shown of each instrument in the session: last price, day's range, volume, depth."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Side

CIRCUIT = Decimal("0.2")
"""Part of the previous close that a price may move in a day. NSE's bands are 2 to 20 % by stock."""
OPTION_CIRCUIT = 10
"""Times the previous close up to which an option may rise; down it may go to one tick. The exchanges' own bands follow
the underlying, and are as wide or wider."""
OPTIONS = ("CE", "PE")
LEVELS = 5
COVER = Decimal("0.055")
"""Part of the last price that the stop of a cover order may be away (as in the published answers of Kite's own client;
Kite's is 3.5 to 5.5 % by stock)."""


@dataclass(frozen=True, slots=True)
class Level:
    """One price of the market depth. All of it is made up: the feeds have no depth."""

    price: Decimal
    quantity: int
    orders: int


@dataclass(slots=True)
class Quote:
    """Rupees and units; `close` is that of the session before, or the first price if there was none."""

    instrument: Instrument
    last_price: Decimal
    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int = 0
    last_quantity: int = 0
    traded_value: Decimal = Decimal(0)

    def show(self, tick: Tick) -> None:
        self.last_price, self.at = tick.last_price, tick.at
        self.high, self.low = max(self.high, tick.last_price), min(self.low, tick.last_price)
        self.last_quantity = max(tick.volume - self.volume, 0)
        self.traded_value += self.last_quantity * tick.last_price
        self.volume = max(tick.volume, self.volume)

    @property
    def average_price(self) -> Decimal:
        """Of the day, weighted by volume; the last price where the feed has no volume."""
        if not self.volume:
            return self.last_price
        return (self.traded_value / self.volume).quantize(Decimal("0.01"))

    @property
    def lower_circuit(self) -> Decimal:
        if self.instrument.instrument_type in OPTIONS:
            return self.instrument.tick_size
        return _on_tick(self.close * (1 - CIRCUIT), self.instrument.tick_size, ROUND_CEILING)

    @property
    def upper_circuit(self) -> Decimal:
        if self.instrument.instrument_type in OPTIONS:
            return self.close * OPTION_CIRCUIT
        return _on_tick(self.close * (1 + CIRCUIT), self.instrument.tick_size, ROUND_FLOOR)

    def trigger_range(self, side: Side) -> tuple[Decimal, Decimal]:
        """Within which the stop of a cover order lies, in rupees: below the last price where the order is to BUY."""
        if side is Side.BUY:
            return self.last_price * (1 - COVER), self.last_price
        return self.last_price, self.last_price * (1 + COVER)

    def bids(self) -> list[Level]:
        """Below the last price, best first."""
        return [self._level(-step) for step in range(1, LEVELS + 1)]

    def asks(self) -> list[Level]:
        """Above the last price, best first."""
        return [self._level(step) for step in range(1, LEVELS + 1)]

    def _level(self, steps: int) -> Level:
        price = max(self.last_price + steps * self.instrument.tick_size, Decimal(0))
        return Level(price, abs(steps) * 10 * self.instrument.lot_size, abs(steps))


class Quotes:
    """The quotes of the instruments that have had a tick."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._quotes: dict[str, Quote] = {}

    def show(self, tick: Tick) -> Quote | None:
        """The quote after the tick; `None` for a symbol that is not in the master."""
        quote, instrument = self._quotes.get(tick.symbol), self._instruments.get(tick.symbol)
        if quote is None and instrument is not None:
            price = tick.last_price
            quote = self._quotes[tick.symbol] = Quote(instrument, price, tick.at, price, price, price, price)
        if quote is not None:
            quote.show(tick)
        return quote

    def turn_day(self) -> None:
        """The last prices become the previous close."""
        for quote in self._quotes.values():
            price = quote.last_price
            quote.open = quote.high = quote.low = quote.close = price
            quote.volume, quote.last_quantity, quote.traded_value = 0, 0, Decimal(0)

    def get(self, symbol: str) -> Quote | None:
        return self._quotes.get(symbol)

    def by_token(self, token: int) -> Quote | None:
        instrument = self._instruments.by_token(token)
        return self._quotes.get(instrument.symbol) if instrument is not None else None

    def last_price(self, symbol: str) -> Decimal | None:
        quote = self._quotes.get(symbol)
        return quote.last_price if quote is not None else None

    def __iter__(self) -> Iterator[Quote]:
        return iter(self._quotes.values())


def _on_tick(price: Decimal, tick_size: Decimal, rounding: str) -> Decimal:
    return (price / tick_size).to_integral_value(rounding) * tick_size
