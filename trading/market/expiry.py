"""What becomes of a contract that is still held when it expires, on paper and in backtests.

Index contracts are settled in cash: futures at the final settlement price of their index, options at what they are
worth by it (Zerodha support; the exchange takes the index's close, and for futures an average of the last half hour).
That price is the one stated in `market.settlement_prices`; without one it is the last price that the feed showed of the
index, or else of the contract itself. Whatever is settled in goods or shares is closed at the contract's last price, as
nothing is delivered here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from durable_orders.trading.config.settings import Calendar, Market
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.rules import rules

LastPrice = Callable[[str], Decimal | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """At which price a contract ends."""

    price: Decimal
    """Rupees, as the contract is quoted; 0 for an option that is worth nothing."""
    words: str


class Expiry:
    """By the instruments and the stated prices of one account."""

    def __init__(
        self,
        instruments: Callable[[str], Instrument | None],
        stated: Mapping[str, Mapping[date, Decimal]] | None = None,
    ) -> None:
        """`stated` are final settlement prices by underlying and day of expiry."""
        self._instruments = instruments
        self._stated = stated or {}

    def day_of(self, symbol: str) -> date | None:
        """`None` for what never expires."""
        instrument = self._instruments(symbol)
        return None if instrument is None else instrument.expiry

    def settled(self, symbol: str, last_price: LastPrice) -> Settled | None:
        """What the contract ends at; `None` where no price is known, so that nothing can be said."""
        instrument = self._instruments(symbol)
        if instrument is None or instrument.expiry is None:
            return None
        if instrument.name in rules().indices.names:
            return self._in_cash(instrument, last_price)
        last = last_price(symbol)
        words = f"expired on {instrument.expiry:%d %b %Y}: closed at its last price, as nothing is delivered here"
        return None if last is None else Settled(last, words)

    def _in_cash(self, instrument: Instrument, last_price: LastPrice) -> Settled | None:
        final, source = self._final(instrument, last_price)
        begin = f"expired on {instrument.expiry:%d %b %Y}: settled in cash"
        if final is not None:
            return Settled(_worth(instrument, final), f"{begin} by {instrument.name} at {final:f} ({source})")
        last = last_price(instrument.symbol)
        words = f"{begin} at its last price, that of {instrument.name} is unknown"
        return None if last is None else Settled(last, words)

    def _final(self, instrument: Instrument, last_price: LastPrice) -> tuple[Decimal | None, str]:
        of_name = self._stated.get(instrument.name, {})
        if instrument.expiry is not None and instrument.expiry in of_name:
            return of_name[instrument.expiry], "market.settlement_prices"
        index = rules().indices.symbols.get(instrument.name)
        return (last_price(index) if index is not None else None), f"last price of {index}"


def expiry_of(instruments: Callable[[str], Instrument | None], market: Market) -> Expiry | None:
    """By the settings; `None` in a market that is always open, where no contract ends."""
    if market.calendar is Calendar.ALWAYS_OPEN:
        return None
    return Expiry(instruments, market.settlement_prices)


def _worth(instrument: Instrument, final: Decimal) -> Decimal:
    """Of a contract at its end, by the final price of its underlying."""
    strike = instrument.strike or Decimal(0)
    if instrument.instrument_type == "CE":
        return max(final - strike, Decimal(0))
    if instrument.instrument_type == "PE":
        return max(strike - final, Decimal(0))
    return final
