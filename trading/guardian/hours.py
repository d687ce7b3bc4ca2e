"""Which hours an instrument keeps."""

from datetime import datetime
from functools import cached_property

from trading.brokers.rms import Listing
from trading.market.calendar import IST, calendar_of
from trading.market.instruments import Instrument, Instruments
from trading.settings import Calendar, Hours, Market, Sessions

DERIVATIVES = ("NFO-", "BFO-")
CURRENCY = ("CDS-", "BCD-")
SHARES = ("NSE", "BSE", "INDICES")


class OpenHours:
    """Whether an order for a symbol is one of the session, between its first window and the end of its last. What the
    master does not have keeps the calendar's hours."""

    def __init__(self, market: Market, instruments: Instruments) -> None:
        self._calendar = calendar_of(market.calendar)
        self._is_always_open = market.calendar is Calendar.ALWAYS_OPEN
        self._instruments = instruments
        self._hours = InstrumentHours(market.sessions, instruments)

    def __call__(self, symbol: str, moment: datetime) -> bool:
        instrument = self._instruments.get(symbol)
        if instrument is None or self._is_always_open:
            return self._calendar.is_open(moment)
        windows, local = self._hours(instrument).windows, moment.astimezone(IST)
        return self._calendar.trades_on(local.date()) and windows[0].opens <= local.time() < windows[-1].closes


class InstrumentHours:
    """`market.sessions`, by instrument."""

    def __init__(self, sessions: Sessions, instruments: Instruments) -> None:
        self._sessions = sessions
        self._instruments = instruments

    def __call__(self, instrument: Instrument) -> Hours:
        segment = instrument.segment
        if segment.startswith(DERIVATIVES):
            return self._sessions.equity_derivatives
        if segment.startswith(CURRENCY):
            return self._sessions.currency
        if segment not in SHARES:
            return self._sessions.commodity
        has_auction = instrument.symbol.partition(":")[2] in self._underlyings
        return self._sessions.auction_equity if has_auction else self._sessions.equity

    @cached_property
    def _underlyings(self) -> frozenset[str]:
        """What futures and options are of: in Kite's master a derivative has its underlying's tradingsymbol as name."""
        return frozenset(each.name for each in self._instruments if each.segment.startswith(DERIVATIVES))


def listing_of(sessions: Sessions, instruments: Instruments) -> Listing:
    """What a paper exchange's risk management knows of them."""
    hours = InstrumentHours(sessions, instruments)
    return Listing(instruments.get, lambda instrument: hours(instrument).mis_cutoff)
