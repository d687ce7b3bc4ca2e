"""What a desk asks of the world beside its ledger: candles, prices, funds and margins. Of Kite, or of the recording.

Everything here blocks, in the strategy's own thread. Prices, funds and candles are kept for a moment, as a strategy may
ask for them at every tick; margins are asked for each time.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

from durable_orders.orders import Orders
from durable_orders.running.candles import CandleStore
from durable_orders.trading.config.settings import Feed
from durable_orders.trading.errors import BookUnreadable, DataUnavailable, InvalidSettings
from durable_orders.trading.exchange.sql_rms import PaperRms
from durable_orders.trading.ist import IST
from durable_orders.trading.market.bars import DAY, Bar
from durable_orders.trading.market.calendar import SessionCalendar, SessionSource
from durable_orders.trading.market.feeds import ReplayFeed
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instruments import Instrument
from durable_orders.trading.market.recorded_bars import RecordedBars, earlier_ticks
from durable_orders.trading.market.recorded_ticks import market_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import Account, Mode, Terms

if TYPE_CHECKING:
    from durable_orders.trading.brokers.kite.broker import KiteBroker

FRESH = timedelta(seconds=1)
"""What Kite has said is not asked for again for so long."""
REFUSED = timedelta(seconds=60)
"""After a refusal of quotes, so long nobody asks: Kite's free plan always refuses."""
REMEMBERED = timedelta(minutes=15)
"""A symbol whose price was asked for is in each reading of quotes for so long."""
MOST_QUOTES = 500
BEGINNING = datetime(1990, 1, 1, tzinfo=IST)
"""A paper market's time before its first tick: earlier than all that is recorded of it."""
LONGEST_WAY_BACK = 5000
"""Calendar days."""
NOT_TOLD = timedelta(minutes=5)
"""What Kite has no candles of is not asked for again for so long."""
SETTLING = timedelta(seconds=2)
"""A candle that ended a moment ago may still change."""

NOT_IN_THE_PLAN = "the app's plan does not include it (Kite Connect does, Personal does not)"
ONE = timedelta(days=1)

R = TypeVar("R")


class Source(Protocol):
    """Of one account."""

    warned: Callable[[str], object]
    """Hears of what cannot be had, where the strategy goes on without it."""

    def bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int, now: datetime) -> list[Bar]:
        """Those that have ended by then, since that moment or at least the last so many, oldest first. Raises
        `DataUnavailable`."""

    def quote(self, symbol: str) -> Tick | None:
        """A price of now, where it can be asked for."""

    def funds(self) -> Funds | None:
        """Raises `DataUnavailable`."""

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        """Rupees that these orders, each at its price, would bind together. Raises `DataUnavailable`."""


def source_of(orders: Orders, sessions: SessionSource) -> Source:
    """The account's."""
    is_live = orders.settings.execution.mode is Mode.LIVE
    return KiteSource(orders, sessions) if is_live else PaperSource(orders, sessions)


class PaperSource:
    """The recording that a paper market replays, and its exchange's risk management."""

    def __init__(self, orders: Orders, sessions: SessionSource) -> None:
        self._orders = orders
        self._sessions = sessions
        self._recorded: RecordedBars | None = None
        self._begins = BEGINNING
        settings, instruments = orders.settings, orders.instruments()
        listing = listing_of(sessions, instruments, settings.guardian, settings.market)
        self.warned: Callable[[str], object] = lambda _words: None
        self._rms = PaperRms(Account(settings.account), settings.execution.paper, listing)

    def bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int, now: datetime) -> list[Bar]:
        if self._recorded is None:
            self._recorded, self._begins = self._read()
        return self._recorded.until(symbol, interval, max(now, self._begins))

    def quote(self, symbol: str) -> Tick | None:
        """All that the market shows is in the ledger."""
        return None

    def funds(self) -> Funds | None:
        with self._orders.database.read() as connection:
            return self._rms.funds(connection)

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        with self._orders.database.read() as connection:
            return self._rms.margin(connection, priced)

    def _read(self) -> tuple[RecordedBars, datetime]:
        """What is replayed, day after day, and when that begins; a synthetic feed was recorded nowhere."""
        market, instruments = self._orders.settings.market, self._orders.instruments()
        if market.feed is not Feed.REPLAY:
            return RecordedBars(lambda: iter(()), self._sessions), BEGINNING
        ticks = list(market_ticks(market, instruments, self._sessions, ReadingReport()))  # its worker told of those
        told = ReadingReport()
        earlier = earlier_ticks(market, instruments, self._sessions, ticks[0].at if ticks else None, told)
        for words in told.lines():
            self.warned(words)
        feed = ReplayFeed(ticks, 1.0, self._sessions)
        return RecordedBars(lambda: chain(earlier, (timed.tick for timed in feed)), self._sessions), ticks[0].at


class KiteSource:
    """Kite, through the pace of all that the account asks."""

    def __init__(self, orders: Orders, sessions: SessionSource) -> None:
        self._orders = orders
        self._sessions = sessions
        self._store = CandleStore(orders.home.path / "candles.db")
        self._kite: KiteBroker | None = None
        self._today: dict[tuple[str, timedelta], tuple[datetime, list[Bar]]] = {}
        self._not_told: dict[tuple[str, timedelta, date], tuple[datetime, date]] = {}
        """When Kite was asked for the days before that one, and from which day on it told none."""
        self._quotes: dict[str, tuple[datetime, Tick]] = {}
        self._wanted: dict[str, datetime] = {}
        self._again_from = BEGINNING
        self._trouble = ""
        self._funds: tuple[datetime, Funds | None] | None = None
        self.warned: Callable[[str], object] = lambda _words: None

    def bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int, now: datetime) -> list[Bar]:
        today = now.astimezone(IST).date()
        first = since.astimezone(IST).date() if since is not None else self._first_of(symbol, interval, count, today)
        kept = self._past(symbol, interval, first, today) if first < today else []
        return [bar for bar in (*kept, *self._of_today(symbol, interval, now)) if bar.ends <= now]

    def quote(self, symbol: str) -> Tick | None:
        """Once a second at most, for all symbols that were asked for of late together. `None` where Kite did not tell
        it within this second."""
        now = datetime.now(UTC)
        self._wanted[symbol] = now
        if (known := self._told(symbol, now)) is not None:
            return known
        if now >= self._again_from:
            self._ask_quotes(now)
        return self._told(symbol, now)

    def _told(self, symbol: str, now: datetime) -> Tick | None:
        at, tick = self._quotes.get(symbol, (now, None))
        return tick if now - at < FRESH else None

    def funds(self) -> Funds | None:
        now = datetime.now(UTC)
        if self._funds is None or now - self._funds[0] >= FRESH:
            self._funds = now, self._ask("funds", lambda kite: kite.margins())
        return self._funds[1]

    def margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        return self._ask("margin_of", lambda kite: kite.basket_margin([terms for terms, _ in priced]))

    def _ask_quotes(self, now: datetime) -> None:
        self._wanted = {symbol: at for symbol, at in self._wanted.items() if now - at < REMEMBERED}
        latest = sorted(self._wanted, key=self._wanted.__getitem__, reverse=True)[:MOST_QUOTES]
        try:
            found = self._ask("quote", lambda kite: kite.last_prices(latest))
        except DataUnavailable as error:
            self._again_from = now + (REFUSED if NOT_IN_THE_PLAN in str(error) else FRESH)
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.warned(self._trouble)
            return
        self._trouble = ""
        others = {symbol: told for symbol, told in self._quotes.items() if symbol not in latest}
        self._quotes = others | {tick.symbol: (now, tick) for tick in found}

    def _first_of(self, symbol: str, interval: timedelta, count: int, today: date) -> date:
        """The day from which on there are so many, by the calendar."""
        calendar, day, missing = self._sessions.of(symbol), today, count
        for back in range(1, LONGEST_WAY_BACK):
            day = today - timedelta(days=back)
            session = calendar.session_on(day)
            if session is not None:
                missing -= 1 if interval == DAY else -((session.opens - session.closes) // interval)
            if missing <= 0:
                break
        return day

    def _past(self, symbol: str, interval: timedelta, first: date, today: date) -> list[Bar]:
        """Of the days before today. What the home does not have, or cannot keep, is asked for."""
        try:
            return self._kept(symbol, interval, first, today)
        except sqlite3.Error as error:
            self.warned(f"candles cannot be kept in the home: {error}")
            return self._fetched(symbol, interval, first, today - ONE)

    def _kept(self, symbol: str, interval: timedelta, first: date, today: date) -> list[Bar]:
        """Kite adjusts its candles for splits and the like: if the last day that the home has is another by now, all
        that the home has of the symbol is forgotten. Raises `sqlite3.Error`."""
        known, calendar = self._store.days(symbol, interval), self._sessions.of(symbol)
        missing = [day for day in _traded(calendar, first, today - ONE) if day not in known]
        if missing and not self._was_not_told(symbol, interval, missing[0], today):
            self._not_told.pop((symbol, interval, today), None)
            overlap = max((day for day in known if day < missing[0]), default=missing[0])
            fresh = self._fetched(symbol, interval, overlap, missing[-1])
            if overlap != missing[0] and not self._store.agrees(symbol, interval, overlap, fresh):
                self._store.forget(symbol)
                fresh, overlap = self._fetched(symbol, interval, first, today - ONE), first
            told = max((bar.at.date() for bar in fresh), default=None)
            if told is not None:  # what Kite does not tell yet is asked for again, later
                self._store.keep(symbol, interval, _traded(calendar, overlap, told), fresh)
            if told is None or told < missing[-1]:
                since = missing[0] if told is None else told + ONE
                self._not_told[symbol, interval, today] = datetime.now(UTC), since
        return self._store.bars(symbol, interval, first)

    def _was_not_told(self, symbol: str, interval: timedelta, first: date, today: date) -> bool:
        asked = self._not_told.get((symbol, interval, today))
        return asked is not None and asked[1] <= first and datetime.now(UTC) - asked[0] < NOT_TOLD

    def _of_today(self, symbol: str, interval: timedelta, now: datetime) -> list[Bar]:
        """Asked for anew once another one has ended."""
        session = self._sessions.of(symbol).session_on(now.astimezone(IST).date())
        if session is None or now < session.opens:
            return []
        read_at, bars = self._today.get((symbol, interval), (session.opens, []))
        if read_at < session.opens:  # on another day
            read_at, bars = session.opens, []
        grid = min(now, session.closes)
        ended = session.opens + (grid - session.opens) // interval * interval if now < session.closes else grid
        if ended > session.opens and (read_at < ended + SETTLING and now - read_at >= FRESH):
            bars = self._fetched(symbol, interval, session.date, session.date)
            self._today[symbol, interval] = now, bars
        return bars

    def _fetched(self, symbol: str, interval: timedelta, first: date, last: date) -> list[Bar]:
        from durable_orders.trading.brokers.kite.candles import spans

        instrument = self._orders.instruments().get(symbol)
        if instrument is None:
            return []
        found: list[Bar] = []
        for begins, ends in spans(first, last, interval):
            found += self._ask("history", partial(_candles, instrument, interval, begins, ends))
        return found

    def _ask(self, what: str, ask: "Callable[[KiteBroker], R]") -> R:
        from durable_orders.workers.components import kite_to_ask

        try:
            if self._kite is None:
                orders = self._orders
                self._kite = kite_to_ask(orders.home, orders.settings, orders.database, self._sessions)
            return ask(self._kite)
        except (BookUnreadable, InvalidSettings) as error:
            plan = f"; {NOT_IN_THE_PLAN}" if "PermissionException" in str(error) else ""
            raise DataUnavailable(f"{what}: Kite does not tell: {error}{plan}") from None


def _candles(instrument: Instrument, interval: timedelta, first: date, last: date, kite: "KiteBroker") -> list[Bar]:
    return kite.candles(instrument, interval, first, last)


def _traded(calendar: SessionCalendar, first: date, last: date) -> list[date]:
    """The days from `first` to `last` that have a session."""
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in every if calendar.session_on(day) is not None]
