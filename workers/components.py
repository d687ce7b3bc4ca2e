"""Builds the real parts of one account out of its settings. Nothing else knows which class stands behind what."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client

from durable_orders.activities.account_book import AccountBook
from durable_orders.activities.day_close import DayClose
from durable_orders.activities.day_closing import DayClosing
from durable_orders.activities.exit_quotes import ExitQuotes
from durable_orders.activities.flatten import FlattenActivities
from durable_orders.activities.gtt import GttActivities
from durable_orders.activities.gtt_watch import GttWatch
from durable_orders.activities.orders import OrderActivities
from durable_orders.activities.other_homes import OtherHomes
from durable_orders.activities.paper_feed import ATTENDED, Audience, PaperFeed
from durable_orders.activities.physical_settlement import PhysicalDeliveries
from durable_orders.activities.plan_lines import BasketMargins
from durable_orders.activities.plans import PlanActivities
from durable_orders.activities.positions import PositionReader
from durable_orders.activities.reconciling import PositionReconciliation
from durable_orders.activities.tradebook_close import TradebookClose
from durable_orders.activities.watch import Stream, WatchActivities
from durable_orders.trading.brokers.broker import Broker, ContractNotes, DropsTags, GttBroker
from durable_orders.trading.brokers.dry_run import DryRun
from durable_orders.trading.config.settings import Calendar, Feed, Settings
from durable_orders.trading.config.settings import Guardian as GuardianSettings
from durable_orders.trading.errors import InvalidSettings, LedgerUnusable, WrongAccount
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.guardian.catalogue import day_locks
from durable_orders.trading.guardian.guardian import Guardian, SessionEnd
from durable_orders.trading.guardian.refusal_breaker import RefusalBreaker
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.homes import fix_mark
from durable_orders.trading.ledger.identity import fix_mode, fix_user, must_be_user
from durable_orders.trading.ledger.migrate import cause_of
from durable_orders.trading.ledger.rate_limiter import HISTORY_PER_SECOND, READS_PER_SECOND, RateLimiter
from durable_orders.trading.ledger.state_files import check_state
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.feeds import ReplayFeed, SyntheticFeed, Timed
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.hours import listing_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_ticks import TICK_SIZE, market_ticks, symbol_of
from durable_orders.trading.market.rules import ExchangeRules
from durable_orders.trading.orders.order import Account, Mode, Order
from durable_orders.trading.reconciliation.expiries import Expiries
from durable_orders.trading.reconciliation.whole_book import ReceivedToday
from durable_orders.workers.home import Home
from durable_orders.workers.instruments import Master, instruments_of

if TYPE_CHECKING:
    from durable_orders.trading.brokers.kite.broker import KiteBroker
    from durable_orders.trading.brokers.kite.session_user import MustBe

THREADS = 64
"""Blocking calls at once: broker calls and ledger transactions of one account."""
CANCELLING_THREADS = 16
"""Cancels of a live account at once."""
PLACING_THREADS = 16
"""Placements of a live account at once: most of them wait for their turn among its ten requests a second."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Brought:
    """A broker that the process brings along, in place of a session with Kite, and what goes with it."""

    broker: Callable[[Database, str], Broker]
    """Over the opened ledger, with the home's mark."""
    has_book: bool
    """Whether it can show its orders at all."""
    instruments: Instruments
    stream: Stream


@dataclass(frozen=True, slots=True)
class Components:
    """Everything that one account's worker needs, ready to run."""

    settings: Settings
    database: Database
    instruments: Instruments
    orders: OrderActivities
    watch: WatchActivities
    flatten: FlattenActivities
    plans: PlanActivities
    gtts: GttActivities
    executor: ThreadPoolExecutor
    closing: DayClosing | None = None
    """Of a live account: what closes its days."""
    mark: str | None = None
    """The home's, of a live account."""
    master: Master | None = None
    """What renews the instruments while the worker runs."""


def now() -> datetime:
    return datetime.now(UTC)


def build(
    home: Home,
    settings: Settings,
    client: Client,
    *,
    live: bool = False,
    audience: Audience | None = None,
    brought: Brought | None = None,
) -> Components:
    """Raises what the files behind the settings are found to be worth: `InvalidTicks`, `LedgerUnusable` and so on.

    A live account is only built where both its settings and the caller say so: `InvalidSettings` otherwise; and one of
    the other mode never: `WrongAccount`. The feed of
    a paper account waits for its `audience`. A live one has the broker that is `brought`, or goes to Kite.
    """
    check_mode(settings, live, needs_key=brought is None)
    settings = settings if audience is None else _attended(settings)
    master = None if brought is not None else Master(home, settings)
    instruments = _instruments(master, brought)
    sessions = InstrumentSessions(settings.market, instruments)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="blocking")
    if brought is not None:
        edge = _brought_edge(home, settings, brought)
    elif live:
        edge = _live_edge(home, settings, sessions, instruments, executor)
    else:
        edge = _paper_edge(home, settings, sessions, instruments, executor, audience)
    database, broker, stream, ensure_price, book, others = edge
    ensure = _ensuring(master, ensure_price)
    account = Account(settings.account)
    mark = others.mark if others is not None else None
    session = session_end(account, sessions, _speed(settings, audience))
    guardian = Guardian(database, instruments, settings, session, now, mark=mark)
    commands: Broker = DryRun(broker) if settings.execution.dry_run else broker
    interval = settings.placing.reconciliation_interval
    limits = settings.execution.live
    sends = live and not settings.execution.dry_run
    pacer = RateLimiter(database, account, limits.orders_per_second, limits.orders_per_minute) if sends else None
    response = settings.guardian.on_trip
    breaker = RefusalBreaker(database, account, limits.identical_refusals, response) if sends else None
    mode, breakers = settings.execution.mode, guardian.breakers
    positions = PositionReader(account, commands, database)
    gtt_broker = broker if isinstance(broker, GttBroker) else None
    watch = WatchActivities(
        *(account, mode, commands, database, client, stream, interval, executor, pacer, breakers),
        reads_margin=settings.guardian.require_margin and settings.guardian.enabled is not False,
        book=book,
        settle_window=settings.placing.settle_window,
        others=others,
        positions=None
        if brought is not None
        else _reconciliation(settings, positions, database, Expiries(instruments, sessions)),
        physical=PhysicalDeliveries(settings, database, instruments, sessions, now),
        day_locks=day_locks(settings),
        gtts=GttWatch(settings.account, database, gtt_broker, interval, executor) if gtt_broker is not None else None,
    )
    placing = _threads(sends, "placing", PLACING_THREADS, executor)
    cancelling = _threads(sends, "cancelling", CANCELLING_THREADS, executor)
    orders = OrderActivities(
        *(commands, guardian, database, executor, pacer, breaker, placing, cancelling, watch.look_now, ensure),
        positions=positions,
        broker_redeems=not live,
        book=book,
        at_once=_at_once(settings, instruments, live=live),
        could_be=broker.could_be if isinstance(broker, DropsTags) else _none,
    )
    rules = ExchangeRules(instruments.get, sessions, settings.guardian)
    quotes = ExitQuotes(settings, instruments, sessions, rules)
    flatten = FlattenActivities(settings, database, client, positions, quotes)
    margins = broker if isinstance(broker, BasketMargins) else None
    plans = PlanActivities(settings, database, guardian, instruments, sessions, positions, ensure, margins)
    gtts = GttActivities(settings, database, guardian, gtt_broker, executor, ensure)
    closes = live and brought is None
    closing = DayClosing(account, database, lambda: day_close_of(home, settings, database)) if closes else None
    return Components(
        settings, database, instruments, orders, watch, flatten, plans, gtts, executor, closing, mark, master
    )


def _instruments(master: Master | None, brought: Brought | None) -> Instruments:
    found = master if master is not None else brought
    assert found is not None  # noqa: S101
    return found.instruments


def _ensuring(master: Master | None, ensure_price: Callable[[str], None]) -> Callable[[str], None]:
    """Sees to it that a symbol is known, and has a last price."""

    def ensure(symbol: str) -> None:
        if master is not None:
            master.ensure(symbol)
        ensure_price(symbol)

    return ensure


def _threads(sends: bool, name: str, count: int, shared: ThreadPoolExecutor) -> ThreadPoolExecutor:
    """Those of a live account's placements, or its cancels, which nothing else holds up; else the shared ones."""
    return ThreadPoolExecutor(count, thread_name_prefix=name) if sends else shared


def _none(_order: Order) -> tuple[str, ...]:
    """A tag is never dropped."""
    return ()


def _reconciliation(
    settings: Settings, positions: PositionReader, database: Database, expiries: Expiries
) -> PositionReconciliation:
    return PositionReconciliation(
        *(Account(settings.account), database, positions),
        is_of_one_day=settings.execution.mode is Mode.LIVE,
        window=settings.placing.positions_window,
        interval=settings.placing.reconciliation_interval,
        expiries=expiries,
    )


def _at_once(settings: Settings, instruments: Instruments, *, live: bool) -> Callable[[str], bool]:
    """Whether an order of a symbol is a matter of the ledger alone: on paper, where no latency is played and no master
    has to be asked for the symbol."""
    waits = live or settings.execution.paper.latency_enabled
    return lambda symbol: not waits and instruments.get(symbol) is not None


def _attended(settings: Settings) -> Settings:
    """No price grows old while the market's time stands still."""
    paper = settings.execution.paper.model_copy(update={"stale_tick_seconds": ATTENDED.total_seconds()})
    return settings.model_copy(update={"execution": settings.execution.model_copy(update={"paper": paper})})


def check_mode(settings: Settings, live: bool, *, needs_key: bool = True) -> None:
    """Real money takes two decisions: `execution.mode: live` and `--live`; and the key of an app at Kite, without which
    nothing is asked of anybody, unless the broker is another. Raises `InvalidSettings`."""
    mode = settings.execution.mode
    if live and mode is not Mode.LIVE:
        raise InvalidSettings(f"execution.mode: is {mode}, and --live was given; live trading needs both")
    if mode is Mode.LIVE and not live:
        raise InvalidSettings("execution.mode: is live, and --live was not given; live trading needs both")
    if live and needs_key:
        _needs_api_key(settings)


Edge = tuple[Database, Broker, Stream, Callable[[str], None], AccountBook, OtherHomes | None]
"""The fourth sees to it that a symbol has a last price."""


def _opened(home: Home, settings: Settings) -> Database:
    """The ledger, in which the account is of the settings' mode, and has a mark if it is live. It may do no more than
    was said of it last, also where the ledger has forgotten that."""
    database = home.open_ledger(settings)
    try:
        fix_mode(database, settings.account, settings.execution.mode, now())
        if settings.execution.mode is Mode.LIVE:
            fix_mark(database, settings.account, now())
        check_state(database, settings.account)
    except WrongAccount:
        database.close()
        raise
    except SQLAlchemyError as error:  # it is locked, or the disk is full
        database.close()
        raise LedgerUnusable(f"ledger {database.place}: {cause_of(error, database.url)}") from None
    return database


def _paper_edge(
    home: Home,
    settings: Settings,
    sessions: SessionSource,
    instruments: Instruments,
    executor: Executor,
    audience: Audience | None,
) -> Edge:
    """The paper exchange and its feed. Files are read before the ledger is opened."""
    account = Account(settings.account)
    ticks = tick_source(settings, instruments, sessions)
    database = _opened(home, settings)
    listing = listing_of(sessions, instruments, settings.guardian, settings.market)
    broker = PaperBroker(
        database,
        account,
        settings.execution.paper,
        lambda symbol: tick_size(instruments, symbol),
        listing=listing,
        sessions=sessions,
    )
    feed = PaperFeed(PaperMarket(broker, database, account), ticks, pace(settings), executor, audience)
    return database, broker, feed, lambda _symbol: None, AccountBook(broker, database), None


def _live_edge(
    home: Home, settings: Settings, sessions: SessionSource, instruments: Instruments, executor: Executor
) -> Edge:
    """Kite, its order updates and its prices. Their libraries take half of a worker's start, so a paper one leaves them
    out. Where no limit of the guardian is set, no order waits for a price.
    """
    from durable_orders.activities.kite_stream import KiteStream
    from durable_orders.activities.live_prices import LivePrices

    database = _opened(home, settings)
    mark = fix_mark(database, settings.account, now())
    broker, token = _kite(home, settings, database, sessions)
    prices = LivePrices(settings.account, database, instruments, broker.last_prices, executor)
    limited = settings.guardian != GuardianSettings()
    others = OtherHomes(Account(settings.account), database, mark)
    return (
        database,
        broker,
        KiteStream(settings.kite, token, prices),
        prices.ensure if limited else lambda _symbol: None,
        AccountBook(broker, database, ReceivedToday(settings.account), broker.odd_rows, others=others),
        others,
    )


def _brought_edge(home: Home, settings: Settings, brought: Brought) -> Edge:
    """The process's own broker. One that shows no book is taken at its word, as nothing else tells."""
    account, database = Account(settings.account), _opened(home, settings)
    mark = fix_mark(database, account, now())
    broker = brought.broker(database, mark)
    others = OtherHomes(account, database, mark)
    received = ReceivedToday(account) if brought.has_book else None
    book = AccountBook(broker, database, received, others=others)
    return database, broker, brought.stream, lambda _symbol: None, book, others


def _kite(
    home: Home, settings: Settings, database: Database, sessions: SessionSource, must_be: "MustBe | None" = None
) -> tuple["KiteBroker", Callable[[], str | None]]:
    """Kite, and what gives the access token of today. Without `must_be`, the account's user is who logs in first."""
    from durable_orders.trading.brokers.kite.broker import KiteBroker
    from durable_orders.trading.brokers.kite.session import SessionFile

    token = SessionFile(home.session_file, settings.kite).token
    reads = RateLimiter(database, f"{settings.account} reads", READS_PER_SECOND, 60 * READS_PER_SECOND)
    quotes = RateLimiter(database, f"{settings.account} quotes", 1, 60)
    live = settings.execution.live
    commands = RateLimiter(database, settings.account, live.orders_per_second, live.orders_per_minute)

    def sizes_told(sizes: Mapping[str, int]) -> None:
        try:
            fresh = home.learn_sizes(settings, sizes)
        except OSError as error:
            log.warning("what Kite's positions tell of contract sizes cannot be kept: %s", error)
            return
        for underlying, size in fresh.items():
            words = f"one lot of {underlying} is {size} units of its price, as Kite's positions tell"
            alert(database, settings.account, f"{words}; trades before this count so after a rebuild", now())

    own = must_be or (lambda user: fix_user(database, settings.account, user, now()))
    history = RateLimiter(database, f"{settings.account} history", HISTORY_PER_SECOND, 60 * HISTORY_PER_SECOND)
    return KiteBroker(
        *(settings.kite, live, token, sessions, now, reads, quotes, commands, sizes_told, own, history)
    ), token


def kite_to_ask(home: Home, settings: Settings, database: Database, sessions: SessionSource) -> "KiteBroker":
    """Kite, for a program that only asks: for candles, quotes, funds and margins."""
    _needs_api_key(settings)
    return _kite(home, settings, database, sessions)[0]


def _needs_api_key(settings: Settings) -> None:
    if settings.kite.api_key is None:
        raise InvalidSettings("kite.api_key: live trading needs the key of your app at Kite (docs/first-live-day.md)")


def book_of(home: Home, settings: Settings, database: Database) -> Broker:
    """The account's broker, to read its book. It sends nothing whatever it is asked, so nobody has to say `--live`."""
    return book_and_notes_of(home, settings, database)[0]


def book_and_notes_of(home: Home, settings: Settings, database: Database) -> tuple[Broker, ContractNotes | None]:
    """The same, and who tells what its orders cost; `None` for paper, which is billed by our own sheet alone."""
    if settings.execution.mode is Mode.LIVE:
        _needs_api_key(settings)
        sessions = InstrumentSessions(settings.market, instruments_of(home, settings))
        kite = _kite(home, settings, database, sessions)[0]
        return DryRun(kite), kite
    account = Account(settings.account)
    return DryRun(PaperBroker(database, account, settings.execution.paper, lambda _symbol: None)), None


def day_close_of(home: Home, settings: Settings, database: Database) -> DayClose:
    """What closes a day of the account. It reads, and sends nothing. A market that never closes has no evening of its
    own."""
    broker, notes = book_and_notes_of(home, settings, database)
    sessions = _closing_sessions(home, settings)
    return DayClose(Account(settings.account), settings.execution.mode, broker, notes, database, sessions, now)


def tradebook_close_of(home: Home, settings: Settings, database: Database) -> TradebookClose:
    """What holds a day of the account against a tradebook."""
    return TradebookClose(Account(settings.account), database, _closing_sessions(home, settings), now)


def _closing_sessions(home: Home, settings: Settings) -> SessionSource | None:
    if settings.market.calendar is Calendar.ALWAYS_OPEN:
        return None
    return InstrumentSessions(settings.market, instruments_of(home, settings))


def broker_for_cancels(home: Home, settings: Settings, database: Database) -> tuple[Broker, RateLimiter | None]:
    """The account's broker, and its pace, for a program that cancels and reads and does nothing else: it goes without
    the instruments, so how long a session lasts is not known."""
    account, live = Account(settings.account), settings.execution.live
    if settings.execution.mode is Mode.LIVE:
        _needs_api_key(settings)

        def must_be(user: str) -> None:
            with suppress(SQLAlchemyError, LedgerUnusable):  # then it is not known whose it is, and a cancel goes out
                must_be_user(database, account, user)

        broker: Broker = _kite(home, settings, database, InstrumentSessions(settings.market), must_be)[0]
        pacer = RateLimiter(database, account, live.orders_per_second, live.orders_per_minute)
        return (DryRun(broker), None) if settings.execution.dry_run else (broker, pacer)
    broker = PaperBroker(database, account, settings.execution.paper, lambda _symbol: None)
    return (DryRun(broker) if settings.execution.dry_run else broker), None


def tick_size(instruments: Instruments, symbol: str) -> Decimal | None:
    instrument = instruments.get(symbol)
    return instrument.tick_size if instrument else None


def pace(settings: Settings) -> float:
    """Market seconds per second; a synthetic feed keeps the wall's time."""
    return settings.market.speed if settings.market.feed is Feed.REPLAY else 1.0


def tick_source(
    settings: Settings, instruments: Instruments, sessions: SessionSource
) -> Callable[[datetime | None], Iterator[Timed]]:
    """The configured feed, from a moment of market time on. Files of ticks are read once, here."""
    market = settings.market
    if market.feed is Feed.SYNTHETIC:
        symbol = symbol_of(market)
        instrument = instruments.get(symbol) if symbol else None
        if symbol and instrument is None:
            raise InvalidSettings(f"market.symbol: {symbol} is not in the instrument master")
        step = instrument.tick_size if instrument else TICK_SIZE
        prices = (
            {instrument.symbol: Decimal(24_000) if instrument.lot_size > 1 else Decimal(1_500)} if instrument else {}
        )
        seed, book = settings.execution.paper.seed, settings.execution.paper.shares_liquidity

        def walk(after: datetime | None) -> Iterator[Timed]:
            start = max(now(), after or now())
            return iter(SyntheticFeed(prices, step, seed, 1.0, start, sessions, with_book=book))

        return walk
    report = ReadingReport()
    ticks = list(market_ticks(market, instruments, sessions, report))
    for words in report.lines():
        log.warning("recorded ticks: %s", words)
    return lambda after: iter(ReplayFeed(ticks, market.speed, sessions, start_after=after))


def _speed(settings: Settings, audience: Audience | None) -> float | None:
    """Market seconds per second of the account's own market; `None` where there is none, or where its time waits."""
    has_market = settings.execution.mode is Mode.PAPER and audience is None
    return pace(settings) if has_market else None


def session_end(account: Account, sessions: SessionSource, speed: float | None = None) -> SessionEnd:
    """The end of the session that an order is for, on the wall's clock: in the account's own market while that is open,
    where `speed` says how fast its time goes, else by the calendar."""

    def ends(connection: sa.Connection, order: Order) -> datetime:
        calendar = sessions.of(order.symbol)
        market = read_market(connection, account)
        if market is None or market.closes_at is None or market.closes_at <= order.created_at:
            return calendar.deadline(order.created_at)
        if speed is None or market.session is None or market.market_at is None or market.wall_at is None:
            return market.closes_at
        session = calendar.session_on(market.session)
        if session is None or market.market_at >= session.closes:
            return market.closes_at
        return min(market.closes_at, market.wall_at + (session.closes - market.market_at) / speed)

    return ends
