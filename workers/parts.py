"""Builds the real parts of one account out of its settings. Nothing else knows which class stands behind what."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlalchemy as sa
from temporalio.client import Client

from activities.orders import OrderActivities
from activities.paper_feed import ATTENDED, Audience, PaperFeed
from activities.unwinding import UnwindingActivities
from activities.watch import Stream, WatchActivities
from trading.brokers.broker import Broker
from trading.brokers.dry_run import DryRun
from trading.brokers.paper import PaperBroker
from trading.brokers.paper_market import PaperMarket
from trading.errors import InvalidSettings
from trading.guardian.guardian import Guardian
from trading.guardian.hours import OpenHours, listing_of
from trading.guardian.refusal_breaker import RefusalBreaker
from trading.ledger.database import Database
from trading.ledger.migrate import open_database
from trading.ledger.pacing import READS_PER_SECOND, Pacer
from trading.ledger.tables import exchange_markets
from trading.market.calendar import SessionCalendar, calendar_of
from trading.market.feeds import ReplayFeed, SyntheticFeed, Timed
from trading.market.instruments import Instruments
from trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from trading.market.tick_files import read_ticks
from trading.order import Account, Mode
from trading.settings import Feed, Settings
from trading.settings import Guardian as GuardianSettings
from workers.home import Home
from workers.instruments import instruments_of

if TYPE_CHECKING:
    from trading.brokers.kite import KiteBroker

THREADS = 64
"""Blocking calls at once: broker calls and ledger transactions of one account."""
PLACING_THREADS = 16
"""Placements of a live account at once: most of them wait for their turn among its ten requests a second."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that one account's worker needs, ready to run."""

    settings: Settings
    database: Database
    instruments: Instruments
    orders: OrderActivities
    watch: WatchActivities
    unwinding: UnwindingActivities
    executor: ThreadPoolExecutor


def now() -> datetime:
    return datetime.now(UTC)


def build(
    home: Home, settings: Settings, client: Client, *, live: bool = False, audience: Audience | None = None
) -> Parts:
    """Raises what the files behind the settings are found to be worth: `InvalidTicks`, `LedgerUnusable` and so on.

    A live account is only built where both its settings and the caller say so: `InvalidSettings` otherwise. The feed of
    a paper account waits for its `audience`.
    """
    must_agree(settings, live)
    settings = settings if audience is None else _attended(settings)
    calendar = calendar_of(settings.market.calendar)
    instruments = instruments_of(home, settings)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")
    if live:
        edge = _live_edge(home, settings, instruments, executor)
    else:
        edge = _paper_edge(home, settings, calendar, instruments, executor, audience)
    database, broker, stream, ensure_price = edge
    account = Account(settings.account)
    guardian = Guardian(database, instruments, settings, session_end(account, calendar), now)
    commands: Broker = DryRun(broker) if settings.execution.dry_run else broker
    interval = settings.placing.reconciliation_interval
    limits = settings.execution.live
    sends = live and not settings.execution.dry_run
    pacer = Pacer(database, account, limits.orders_per_second, limits.orders_per_minute) if sends else None
    response = settings.guardian.on_trip
    breaker = RefusalBreaker(database, account, limits.identical_refusals, response) if sends else None
    mode, breakers = settings.execution.mode, guardian.breakers
    watch = WatchActivities(
        *(account, mode, commands, database, client, stream, interval, executor, pacer, breakers),
        reads_margin=settings.guardian.require_margin and settings.guardian.enabled is not False,
    )
    placing = ThreadPoolExecutor(PLACING_THREADS, thread_name_prefix="placing") if sends else executor
    orders = OrderActivities(
        *(commands, guardian, database, executor, pacer, breaker, placing, watch.look_now, ensure_price)
    )
    unwinding = UnwindingActivities(settings, database, instruments)
    return Parts(settings, database, instruments, orders, watch, unwinding, executor)


def _attended(settings: Settings) -> Settings:
    """No price grows old while the market's time stands still."""
    paper = settings.execution.paper.model_copy(update={"stale_tick_seconds": ATTENDED.total_seconds()})
    return settings.model_copy(update={"execution": settings.execution.model_copy(update={"paper": paper})})


def must_agree(settings: Settings, live: bool) -> None:
    """Real money takes two decisions: `execution.mode: live` and `--live`. Raises `InvalidSettings` for one alone."""
    mode = settings.execution.mode
    if live and mode is not Mode.LIVE:
        raise InvalidSettings(f"execution.mode: is {mode}, and --live was given; live trading needs both")
    if mode is Mode.LIVE and not live:
        raise InvalidSettings("execution.mode: is live, and --live was not given; live trading needs both")


Edge = tuple[Database, Broker, Stream, Callable[[str], None]]
"""The last of them sees to it that a symbol has a last price."""


def _paper_edge(
    home: Home,
    settings: Settings,
    calendar: SessionCalendar,
    instruments: Instruments,
    executor: Executor,
    audience: Audience | None,
) -> Edge:
    """The paper exchange and its feed. Files are read before the ledger is opened."""
    account = Account(settings.account)
    ticks = tick_source(settings, instruments, calendar)
    database = open_database(home.ledger_url(settings))
    listing = listing_of(settings.market.sessions, instruments)
    broker = PaperBroker(
        database, account, settings.execution.paper, lambda symbol: tick_size(instruments, symbol), listing=listing
    )
    feed = PaperFeed(PaperMarket(broker, database, account), ticks, pace(settings), executor, audience)
    return database, broker, feed, lambda _symbol: None


def _live_edge(home: Home, settings: Settings, instruments: Instruments, executor: Executor) -> Edge:
    """Kite, its order updates and its prices. Their libraries take half of a worker's start, so a paper one leaves them
    out. Where no limit of the guardian is set, no order waits for a price.
    """
    from activities.kite_stream import KiteStream
    from activities.live_prices import LivePrices

    _needs_api_key(settings)
    database = open_database(home.ledger_url(settings))
    broker, token = _kite(home, settings, database, instruments)
    prices = LivePrices(settings.account, database, instruments, broker.last_prices, executor)
    limited = settings.guardian != GuardianSettings()
    return (
        database,
        broker,
        KiteStream(settings.kite, token, prices),
        prices.ensure if limited else lambda _symbol: None,
    )


def _kite(
    home: Home, settings: Settings, database: Database, instruments: Instruments
) -> tuple["KiteBroker", Callable[[], str | None]]:
    """Kite, and what gives the access token of today."""
    from trading.brokers.kite import KiteBroker
    from trading.brokers.kite_session import SessionFile

    token = SessionFile(home.session_file, settings.kite).token
    reads = Pacer(database, f"{settings.account} reads", READS_PER_SECOND, 60 * READS_PER_SECOND)
    is_open = OpenHours(settings.market, instruments)
    quotes = Pacer(database, f"{settings.account} quotes", 1, 60)
    live = settings.execution.live
    commands = Pacer(database, settings.account, live.orders_per_second, live.orders_per_minute)
    return KiteBroker(settings.kite, live, token, is_open, now, reads, quotes, commands), token


def _needs_api_key(settings: Settings) -> None:
    if settings.kite.api_key is None:
        raise InvalidSettings("kite.api_key: live trading needs one")


def book_of(home: Home, settings: Settings, database: Database) -> Broker:
    """The account's broker, to read its book. It sends nothing whatever it is asked, so nobody has to say `--live`."""
    if settings.execution.mode is Mode.LIVE:
        _needs_api_key(settings)
        return DryRun(_kite(home, settings, database, instruments_of(home, settings))[0])
    account = Account(settings.account)
    return DryRun(PaperBroker(database, account, settings.execution.paper, lambda _symbol: None))


def tick_size(instruments: Instruments, symbol: str) -> Decimal | None:
    instrument = instruments.get(symbol)
    return instrument.tick_size if instrument else None


def pace(settings: Settings) -> float:
    """Market seconds per second; a synthetic feed keeps the wall's time."""
    return settings.market.speed if settings.market.feed is Feed.REPLAY else 1.0


def tick_source(
    settings: Settings, instruments: Instruments, calendar: SessionCalendar
) -> Callable[[datetime | None], Iterator[Timed]]:
    """The configured feed, from a moment of market time on. A ticks file is read once, here."""
    market = settings.market
    symbol = market.symbol or (SHIPPED_SYMBOL if market.ticks is None else None)
    instrument = instruments.get(symbol) if symbol else None
    if symbol and instrument is None:
        raise InvalidSettings(f"market.symbol: {symbol} is not in the instrument master")
    step = instrument.tick_size if instrument else Decimal("0.05")
    if market.feed is Feed.SYNTHETIC:
        prices = (
            {instrument.symbol: Decimal(24_000) if instrument.lot_size > 1 else Decimal(1_500)} if instrument else {}
        )
        seed, book = settings.execution.paper.seed, settings.execution.paper.shares_liquidity

        def walk(after: datetime | None) -> Iterator[Timed]:
            start = max(now(), after or now())
            return iter(SyntheticFeed(prices, step, seed, 1.0, start, calendar, with_book=book))

        return walk
    ticks = read_ticks(market.ticks or shipped_day(), symbol, step)
    return lambda after: iter(ReplayFeed(ticks, market.speed, calendar, start_after=after))


def session_end(account: Account, calendar: SessionCalendar) -> Callable[[sa.Connection, datetime], datetime]:
    """The close of the session at a moment: the replayed market's own if it is running, else the calendar's."""

    def closes(connection: sa.Connection, moment: datetime) -> datetime:
        own = connection.execute(
            sa.select(exchange_markets.c.closes_at).where(exchange_markets.c.account == account)
        ).scalar_one_or_none()
        return own if own is not None and own > moment else calendar.session_at_or_after(moment).closes

    return closes
