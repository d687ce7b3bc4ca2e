"""What moves the sandbox's market: a synthetic or replayed feed, or the control endpoint alone."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.exc import SQLAlchemyError

from durable_orders.sandbox.candle_routes import Shown
from durable_orders.sandbox.exchange import Exchange
from durable_orders.sandbox.gtt_desk import GttDesk
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.settings import START_PRICES, FeedKind, SandboxSettings
from durable_orders.sandbox.ticker import Ticker
from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidSettings, InvalidTicks
from durable_orders.trading.market.calendar import Session, SessionCalendar
from durable_orders.trading.market.feeds import ReplayFeed, SyntheticFeed, Timed
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import INDEX_TICK, Instruments
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.market.ticks import Tick

TICK_INTERVAL = 0.25
CATCH_UP = 1.0
"""Seconds: a feed further behind than this (the machine slept) goes on from now instead of racing after the clock."""
DAY = timedelta(days=1)

log = logging.getLogger(__name__)


class MarketFeed:
    """Brings ticks to the exchange, the quotes, the ticker and the GTTs."""

    def __init__(
        self,
        exchange: Exchange,
        quotes: Quotes,
        ticker: Ticker,
        shown: Shown,
        gtts: GttDesk,
        clock: Callable[[], datetime],
    ) -> None:
        self._exchange = exchange
        self._quotes = quotes
        self._ticker = ticker
        self._shown = shown
        self._gtts = gtts
        self._clock = clock

    async def show(self, tick: Tick, session: Session, closes_at: datetime) -> None:
        """`closes_at` is on the wall's clock."""
        await self._exchange.show(tick, session, closes_at)
        self._shown.show(tick)
        if (quote := self._quotes.show(tick)) is not None:
            self._ticker.show(quote)
        await self._gtts.follow(tick)

    async def play(self, ticks: Iterator[Timed], speed: float) -> None:
        """At their pace, for ever. A database that fails costs a tick, not the feed."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for timed in ticks:
            due = max(due + timed.wait, loop.time() - CATCH_UP)
            await asyncio.sleep(max(due - loop.time(), 0))
            left = (timed.session.closes - timed.tick.at) / speed
            try:
                await self.show(timed.tick, timed.session, self._clock() + left)
            except SQLAlchemyError as error:
                log.warning("a tick of %s is lost: %s", timed.tick.symbol, type(error).__name__)


class PushedMarket:
    """A market that only the control endpoint moves: it is open until it is closed, whatever the time of day."""

    def __init__(
        self,
        feed: MarketFeed,
        exchange: Exchange,
        instruments: Instruments,
        calendar: SessionCalendar,
        clock: Callable[[], datetime],
    ) -> None:
        self._feed = feed
        self._exchange = exchange
        self._instruments = instruments
        self._calendar = calendar
        self._clock = clock
        self._session: Session | None = None

    async def begin(self, after: datetime | None) -> None:
        """Open the session of this moment, or the next one; after a restart, not one before the last."""
        moment = self._clock() if after is None else max(after, self._clock())
        self._session = self._calendar.session_at_or_after(moment)
        await self._exchange.open(self._session, self._clock() + DAY)

    async def push(self, symbol: str, last_price: Decimal, volume: int) -> None:
        """Raises `InvalidTicks`. A push opens a closed session again."""
        if self._instruments.get(symbol) is None:
            raise InvalidTicks(f"{symbol}: not in the instrument master")
        session = self._current()
        at = min(max(self._clock(), session.opens), session.closes)
        await self._feed.show(Tick(symbol, last_price, at, volume), session, self._clock() + DAY)

    async def close(self) -> None:
        await self._exchange.close_session()

    async def next_day(self) -> Session:
        """End the session if it has not been closed, and open the next."""
        self._session = self._calendar.next_session(self._current().date)
        await self._exchange.open(self._session, self._clock() + DAY)
        return self._session

    def _current(self) -> Session:
        if self._session is None:
            raise RuntimeError("the pushed market has not begun")
        return self._session


def earlier_ticks(settings: SandboxSettings) -> Sequence[Tick]:
    """Those of `history`. Raises `InvalidTicks`."""
    return read_ticks(settings.history, settings.symbol, INDEX_TICK) if settings.history else ()


def ticks_of(
    settings: SandboxSettings, instruments: Instruments, now: datetime
) -> Callable[[datetime | None], Iterator[Timed]]:
    """The feed of the settings, from a moment of market time on. A ticks file is read once, here.

    Raises `InvalidTicks` and `InvalidSettings`.
    """
    sessions = InstrumentSessions(Market(calendar=settings.calendar), instruments)
    if settings.feed is FeedKind.SYNTHETIC:
        prices = settings.prices or {symbol: START_PRICES[symbol] for symbol in START_PRICES if instruments.get(symbol)}
        step = max(_tick_size(instruments, symbol) for symbol in prices)
        pause = settings.tick_interval or TICK_INTERVAL
        return lambda after: iter(SyntheticFeed(prices, step, settings.seed, pause, max(now, after or now), sessions))
    symbol = settings.symbol or (SHIPPED_SYMBOL if settings.ticks is None else None)
    step = _tick_size(instruments, symbol) if symbol else Decimal("0.05")
    recorded = read_ticks(settings.ticks or shipped_day(), symbol, step)
    return lambda after: iter(ReplayFeed(recorded, settings.speed or 1.0, sessions, start_after=after))


def _tick_size(instruments: Instruments, symbol: str) -> Decimal:
    instrument = instruments.get(symbol)
    if instrument is None:
        raise InvalidSettings(f"{symbol}: not in the instrument master")
    return instrument.tick_size
