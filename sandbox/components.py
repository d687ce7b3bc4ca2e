"""Builds the parts of one sandbox and tells each of the others. Nothing else knows who listens to whom."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from aiohttp import web

from durable_orders.sandbox.account_control import AccountControl
from durable_orders.sandbox.account_events import AccountEvents
from durable_orders.sandbox.book_routes import BookRoutes
from durable_orders.sandbox.candle_routes import CandleRoutes, Shown
from durable_orders.sandbox.charge_routes import ChargeRoutes
from durable_orders.sandbox.control import Control
from durable_orders.sandbox.exchange import Exchange
from durable_orders.sandbox.falsified import Falsified
from durable_orders.sandbox.faults import Faults
from durable_orders.sandbox.gtt_desk import GttDesk
from durable_orders.sandbox.gtt_routes import GttRoutes
from durable_orders.sandbox.instruments_csv import InstrumentRoutes
from durable_orders.sandbox.margin_routes import MarginRoutes
from durable_orders.sandbox.market_feed import MarketFeed, PushedMarket, earlier_ticks
from durable_orders.sandbox.market_routes import MarketRoutes
from durable_orders.sandbox.middleware import Gate
from durable_orders.sandbox.order_desk import OrderDesk
from durable_orders.sandbox.order_rows import OrderRows
from durable_orders.sandbox.order_updates import OrderUpdates
from durable_orders.sandbox.orders_routes import OrderRoutes
from durable_orders.sandbox.portfolio import Portfolio
from durable_orders.sandbox.portfolio_routes import PortfolioRoutes
from durable_orders.sandbox.postbacks import Postbacks
from durable_orders.sandbox.quotes import Quotes
from durable_orders.sandbox.rate_limits import RateLimits
from durable_orders.sandbox.request_faults import RequestFaults
from durable_orders.sandbox.rms import Rms
from durable_orders.sandbox.session_routes import SessionRoutes
from durable_orders.sandbox.sessions import Sessions
from durable_orders.sandbox.settings import FeedKind, SandboxSettings
from durable_orders.sandbox.store import Store
from durable_orders.sandbox.tally import Tally
from durable_orders.sandbox.ticker import Ticker
from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.config.settings import Market
from durable_orders.trading.exchange.oms import PaperOms
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.market.calendar import ALWAYS_OPEN, segment_calendar
from durable_orders.trading.market.expiry import expiry_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.rules import ExchangeRules
from durable_orders.trading.orders.order import Account


class Components:
    """To be built inside the event loop that will serve."""

    def __init__(self, settings: SandboxSettings, database: Database, clock: Callable[[], datetime]) -> None:
        """Raises `InvalidInstruments`."""
        self.settings = settings
        self._market = Market(calendar=settings.calendar)
        self.clock = clock
        masters = settings.instruments or ()
        paths = masters if isinstance(masters, tuple) else (masters,)
        self.instruments = Instruments.read(*paths) if paths else Instruments.shipped()
        self.store = Store(database)
        self.faults = Faults(settings.seed, settings.faults)
        self.falsified = Falsified()
        self.tally = Tally(clock)
        self.limits = RateLimits(clock)
        self.sessions = Sessions(settings, clock, self.store)
        self.quotes = Quotes(self.instruments)
        self.rows = OrderRows(settings.user_id, self.instruments)
        self.exchange = self._exchange(database)
        self.portfolio = Portfolio(
            settings.user_id,
            settings.cash,
            self.instruments,
            self.quotes,
            self.exchange.book.working_rows,
            settings.ddpi,
        )
        rules = ExchangeRules(self.instruments.get, InstrumentSessions(self._market, self.instruments))
        rms = Rms(
            self.instruments,
            self.quotes,
            self.portfolio,
            lambda: self.exchange.is_open,
            rules,
            lambda: self.exchange.day,
            clock,
            settings.market_within,
        )
        self.desk = OrderDesk(
            self.exchange, rms, self.quotes, self.faults, self.tally, clock, tags_parts=settings.tags_parts
        )
        self.gtts = GttDesk(settings.user_id, self.desk, self.store, self.faults, clock)
        expiry = expiry_of(self.instruments.get, self._market)
        self.events = AccountEvents(self.portfolio, self.exchange, self.desk, expiry)
        self.ticker = Ticker(self.sessions, self.quotes, self.faults, settings.user_id, entitled=settings.market_data)
        self.updates = OrderUpdates(self.rows, self.faults)
        self.shown = Shown(earlier_ticks(settings))
        self.feed = MarketFeed(self.exchange, self.quotes, self.ticker, self.shown, self.gtts, clock)
        shares = segment_calendar(MarketSegment.EQUITY, self._market)
        self.pushed = PushedMarket(self.feed, self.exchange, self.instruments, shares, clock)
        self.postbacks = self._postbacks()
        self._introduce()

    def app(self) -> web.Application:
        gate = Gate(self.settings, self.sessions, self.limits, RequestFaults(self.faults, self.sessions), self.tally)
        app = web.Application(middlewares=[gate.middleware])
        pushed = self.pushed if self.settings.feed is FeedKind.PUSHED else None
        for routes in (
            SessionRoutes(self.settings, self.sessions, self.clock),
            OrderRoutes(self.desk, self.settings.user_id),
            GttRoutes(self.gtts, self.instruments),
            BookRoutes(self.exchange.book, self.rows, self.faults, self.falsified, self.clock),
            PortfolioRoutes(self.portfolio, self.events, self.falsified),
            ChargeRoutes(self.falsified, self.clock),
            MarginRoutes(self.instruments, self.quotes, self.portfolio),
            MarketRoutes(self.quotes),
            CandleRoutes(self.instruments, self.shown, InstrumentSessions(self._market, self.instruments)),
            InstrumentRoutes(self.instruments, self.quotes),
            self.ticker,
            AccountControl(self.events),
            Control(self.faults, self.falsified, self.tally, self.sessions, self.exchange, self.desk, pushed),
        ):
            routes.add_to(app)
        return app

    async def close(self) -> None:
        if self.postbacks is not None:
            await self.postbacks.close()
        self.exchange.close()

    def _exchange(self, database: Database) -> Exchange:
        account = Account(self.settings.user_id)
        # A pushed market is open until it is closed, whatever the time of day.
        is_pushed = self.settings.feed is FeedKind.PUSHED
        sessions = ALWAYS_OPEN if is_pushed else InstrumentSessions(self._market, self.instruments)
        desk = PaperOms(database, account, self.settings.fill_model, self._tick_size, self.clock, sessions=sessions)
        market = PaperMarket(desk, database, account)
        return Exchange(desk, market, self.store, self.settings.user_id, self.clock)

    def _tick_size(self, symbol: str) -> Decimal | None:
        instrument = self.instruments.get(symbol)
        return instrument.tick_size if instrument else None

    def _postbacks(self) -> Postbacks | None:
        url = self.settings.postback_url
        return Postbacks(url, self.settings.user_id, self.settings.api_secret.get_secret_value()) if url else None

    def _introduce(self) -> None:
        """The portfolio comes first: who hears of a fill may look at the positions."""
        self.exchange.on_change += [self.portfolio.follow, self.updates.follow]
        self.exchange.on_new_day += [
            self.portfolio.begin_day,
            lambda _session, _held: self.quotes.turn_day(),
            lambda _session, _held: self.limits.turn_day(),
            lambda session, _held: self.gtts.turn_day(session.date),
        ]
        self.exchange.on_session_end.append(self.events.end_day)
        self.sessions.on_end.append(self.ticker.end)
        self.updates.channels.append(self.ticker.send)
        if self.postbacks is not None:
            self.updates.channels.append(self.postbacks.send)
