"""Builds the parts of one sandbox and tells each of the others. Nothing else knows who listens to whom."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from aiohttp import web

from sandbox.book_routes import BookRoutes
from sandbox.control import Control
from sandbox.exchange import Exchange
from sandbox.faults import Faults
from sandbox.instruments_csv import InstrumentRoutes
from sandbox.margin_routes import MarginRoutes
from sandbox.market_feed import MarketFeed, PushedMarket
from sandbox.market_routes import MarketRoutes
from sandbox.middleware import Gate
from sandbox.order_desk import OrderDesk
from sandbox.order_rows import OrderRows
from sandbox.order_updates import OrderUpdates
from sandbox.orders_routes import OrderRoutes
from sandbox.portfolio import Portfolio
from sandbox.portfolio_routes import PortfolioRoutes
from sandbox.postbacks import Postbacks
from sandbox.quotes import Quotes
from sandbox.rate_limits import RateLimits
from sandbox.request_faults import RequestFaults
from sandbox.rms import Rms
from sandbox.session_routes import SessionRoutes
from sandbox.sessions import Sessions
from sandbox.settings import FeedKind, SandboxSettings
from sandbox.store import Store
from sandbox.tally import Tally
from sandbox.ticker import Ticker
from trading.brokers.paper_desk import PaperDesk
from trading.brokers.paper_market import PaperMarket
from trading.ledger.database import Database
from trading.market.calendar import calendar_of
from trading.market.instruments import Instruments
from trading.order import Account


class Parts:
    """To be built inside the event loop that will serve."""

    def __init__(self, settings: SandboxSettings, database: Database, clock: Callable[[], datetime]) -> None:
        """Raises `InvalidInstruments`."""
        self.settings = settings
        self.clock = clock
        self.instruments = Instruments.read(settings.instruments) if settings.instruments else Instruments.shipped()
        self.store = Store(database)
        self.faults = Faults(settings.seed, settings.faults)
        self.tally = Tally(clock)
        self.limits = RateLimits(clock)
        self.sessions = Sessions(settings, clock, self.store)
        self.quotes = Quotes(self.instruments)
        self.rows = OrderRows(settings.user_id, self.instruments)
        self.exchange = self._exchange(database)
        self.portfolio = Portfolio(
            settings.user_id, settings.cash, self.instruments, self.quotes, self.exchange.book.working_rows
        )
        rms = Rms(self.instruments, self.quotes, self.portfolio, lambda: self.exchange.is_open)
        self.desk = OrderDesk(
            self.exchange, rms, self.quotes, self.faults, self.tally, clock, tags_parts=settings.tags_parts
        )
        self.ticker = Ticker(self.sessions, self.quotes, self.faults, settings.user_id, entitled=settings.market_data)
        self.updates = OrderUpdates(self.rows, self.faults)
        self.feed = MarketFeed(self.exchange, self.quotes, self.ticker, clock)
        self.pushed = PushedMarket(self.feed, self.exchange, self.instruments, calendar_of(settings.calendar), clock)
        self.postbacks = self._postbacks()
        self._introduce()

    def app(self) -> web.Application:
        gate = Gate(self.settings, self.sessions, self.limits, RequestFaults(self.faults, self.sessions), self.tally)
        app = web.Application(middlewares=[gate.middleware])
        pushed = self.pushed if self.settings.feed is FeedKind.PUSHED else None
        for routes in (
            SessionRoutes(self.settings, self.sessions, self.clock),
            OrderRoutes(self.desk, self.settings.user_id),
            BookRoutes(self.exchange.book, self.rows, self.faults, self.clock),
            PortfolioRoutes(self.portfolio),
            MarginRoutes(self.instruments, self.quotes, self.portfolio),
            MarketRoutes(self.quotes),
            InstrumentRoutes(self.instruments, self.quotes),
            self.ticker,
            Control(self.faults, self.tally, self.sessions, self.exchange, self.desk, pushed),
        ):
            routes.add_to(app)
        return app

    async def close(self) -> None:
        if self.postbacks is not None:
            await self.postbacks.close()
        self.exchange.close()

    def _exchange(self, database: Database) -> Exchange:
        account = Account(self.settings.user_id)
        desk = PaperDesk(database, account, self.settings.fill_model, self._tick_size, self.clock)
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
        ]
        self.sessions.on_end.append(self.ticker.end)
        self.updates.channels.append(self.ticker.send)
        if self.postbacks is not None:
            self.updates.channels.append(self.postbacks.send)
