"""Which hours an instrument keeps."""

from functools import cached_property

from trading.market.instruments import Instrument, Instruments
from trading.settings import Hours, Sessions

DERIVATIVES = ("NFO-", "BFO-")
CURRENCY = ("CDS-", "BCD-")
SHARES = ("NSE", "BSE", "INDICES")


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
