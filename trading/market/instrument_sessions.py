"""Which hours an instrument keeps: every question about time is one about an instrument's session."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime
from functools import cached_property, lru_cache

from durable_orders.trading.config.sessions import MarketSegment, WindowKind
from durable_orders.trading.config.settings import Calendar, Market
from durable_orders.trading.market.calendar import Session, SessionCalendar, segment_calendar
from durable_orders.trading.market.instruments import SHARES, Instrument, Instruments
from durable_orders.trading.market.session_data import session_file

DERIVATIVES = ("NFO", "BFO")
CURRENCY = ("CDS", "BCD")
FUTURE = "FUT"
LETTERS = re.compile("[A-Z]*")
"""With which the tradingsymbol of a commodity begins: its underlying's name."""
DAYS_KEPT = 64
PRE_OPEN_DAYS = 5
"""In so many days of trading before an expiry the futures of the next one have a pre-open too (NSE/FAOP/71092)."""


class InstrumentSessions:
    """The sessions of each symbol, by the settings. What the master does not have keeps the hours of its exchange;
    without a master, all shares are taken for such as have no futures and options."""

    def __init__(self, market: Market, instruments: Instruments | None = None) -> None:
        self._market = market
        self._instruments = instruments if instruments is not None else Instruments()
        self._is_always_open = market.calendar is Calendar.ALWAYS_OPEN
        self._known: dict[str, SessionCalendar] = {}
        self._version = self._instruments.version
        self._ends: dict[date, Collection[datetime]] = {}

    def of(self, symbol: str) -> SessionCalendar:
        if self._version != self._instruments.version:
            self._forget()
        found = self._known.get(symbol)
        if found is None:
            found = self._known[symbol] = self._calendar(symbol)
        return found

    def _forget(self) -> None:
        """The master was renewed: what is of which underlying, and expires when, is looked up anew."""
        self._version = self._instruments.version
        self._known = {}
        for name in ("_underlyings", "_expiries"):
            self.__dict__.pop(name, None)

    def ends(self, day: date) -> Collection[datetime]:
        found = self._ends.get(day)
        if found is None:
            calendars = [segment_calendar(segment, self._market) for segment in MarketSegment]
            found = self._ends[day] = {end for calendar in calendars for end in calendar.ends(day)}
        return found

    def _calendar(self, symbol: str) -> SessionCalendar:
        segment = self.segment(symbol)
        calendar = segment_calendar(segment, self._market)
        if segment is not MarketSegment.EQUITY_FUTURES or self._is_always_open:
            return calendar
        return SessionCalendar(lru_cache(DAYS_KEPT)(self._future_session_on(symbol, calendar)))

    def segment(self, symbol: str) -> MarketSegment:
        exchange, _, name = symbol.partition(":")
        if exchange in SHARES:
            return MarketSegment.AUCTION_EQUITY if name in self._underlyings else MarketSegment.EQUITY
        if exchange in DERIVATIVES:
            is_future = name.endswith(FUTURE)
            return MarketSegment.EQUITY_FUTURES if is_future else MarketSegment.EQUITY_OPTIONS
        if exchange in CURRENCY:
            return MarketSegment.CURRENCY
        return _of_commodity(self._underlying(symbol))

    def _underlying(self, symbol: str) -> str:
        instrument = self._instruments.get(symbol)
        if instrument is not None and instrument.name:
            return instrument.name
        return LETTERS.match(symbol.partition(":")[2])[0]  # type: ignore[index]

    @cached_property
    def _underlyings(self) -> frozenset[str]:
        """What futures and options are of: in Kite's master a derivative has its underlying's tradingsymbol as name."""
        return frozenset(each.name for each in self._instruments if _is_equity_derivative(each))

    @cached_property
    def _expiries(self) -> dict[tuple[str, str], list[date]]:
        """Of the futures of each exchange and underlying."""
        found = defaultdict[tuple[str, str], set[date]](set)
        for each in self._instruments:
            if each.instrument_type == FUTURE and each.expiry is not None and _is_equity_derivative(each):
                found[each.segment, each.name].add(each.expiry)
        return {key: sorted(expiries) for key, expiries in found.items()}

    def _future_session_on(self, symbol: str, calendar: SessionCalendar) -> Callable[[date], Session | None]:
        """A future's own sessions: far months have no pre-open."""

        def session_on(day: date) -> Session | None:
            session = calendar.session_on(day)
            if session is None or self._has_pre_open(symbol, day, calendar):
                return session
            kept = tuple(window for window in session.windows if window.kind is not WindowKind.PRE_OPEN)
            return replace(session, windows=kept)

        return session_on

    def _has_pre_open(self, symbol: str, day: date, calendar: SessionCalendar) -> bool:
        instrument = self._instruments.get(symbol)
        if instrument is None or instrument.expiry is None:
            return False
        ahead = [each for each in self._expiries.get((instrument.segment, instrument.name), ()) if each >= day]
        if not ahead or instrument.expiry == ahead[0]:
            return bool(ahead)
        left = sum(1 for _ in calendar.sessions(day, (ahead[0] - day).days + 1))
        return ahead[1:2] == [instrument.expiry] and left <= PRE_OPEN_DAYS


def _is_equity_derivative(instrument: Instrument) -> bool:
    return instrument.symbol.partition(":")[0] in DERIVATIVES


def _of_commodity(underlying: str) -> MarketSegment:
    file = session_file()
    if underlying in file.agri.names:
        return MarketSegment.AGRI
    return MarketSegment.AGRI_INTERNATIONAL if underlying in file.agri_international.names else MarketSegment.COMMODITY
