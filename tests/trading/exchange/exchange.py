"""A paper exchange to test with: a ledger in a file, a clock that a test moves, and short ways to say things."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.hours import Listing
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.approval import Approved, grant
from durable_orders.trading.orders.book import BrokerOrder, OrderReport
from durable_orders.trading.orders.order import Account, BrokerOrderId, Order, OrderIntent, OrderType, Side
from durable_orders.trading.orders.outcome import Accepted, Outcome, Refused

ACCOUNT = Account("paper")
INFY = "NSE:INFY"
TCS = "NSE:TCS"
TICK_SIZE = Decimal("0.05")
PLAIN = Paper(slippage_enabled=False)
"""Fills all at once at the last price."""
HALVES = Paper(slippage_enabled=False, partial_fill_enabled=True, partial_fill_probability=1)
"""Every round fills half of what remains."""
OPENS = datetime(2026, 1, 5, 9, 15, tzinfo=IST)
HOURS = timedelta(hours=6, minutes=15)


def tick_size(symbol: str) -> Decimal | None:
    return TICK_SIZE if symbol in (INFY, TCS) else None


def session_of(day: date) -> Session:
    opens = datetime.combine(day, OPENS.timetz())
    return Session(day, opens, opens + HOURS)


class Clock:
    """The wall's clock, as a test sets it."""

    def __init__(self) -> None:
        self.now = OPENS

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


class Exchange:
    """One process's view: a broker and, if it takes over, the owner of the market. Market time is the clock's."""

    def __init__(
        self, url: str, settings: Paper = PLAIN, clock: Clock | None = None, listing: Listing | None = None
    ) -> None:
        self.url = url
        self.settings = settings
        self.clock = clock or Clock()
        self.database = Database(url)
        self.listing = listing
        self.broker = PaperBroker(self.database, ACCOUNT, settings, tick_size, self.clock, listing=listing)
        self.market = PaperMarket(self.broker, self.database, ACCOUNT)
        self._others: list[Exchange] = []

    def again(self) -> "Exchange":
        """Another process on the same database, or this one after a restart. Owns nothing yet."""
        self._others.append(Exchange(self.url, self.settings, self.clock, self.listing))
        return self._others[-1]

    def slowed(self, sleep: Callable[[float], None], latency_ms: int) -> "Exchange":
        """Another process, whose orders take so long to the exchange."""
        other = self.again()
        settings = self.settings.model_copy(update={"latency_enabled": True, "latency_ms": latency_ms})
        other.broker = PaperBroker(other.database, ACCOUNT, settings, tick_size, self.clock, sleep)
        return other

    def show(self, *prices: str | Decimal, symbol: str = INFY, **seen: Any) -> list[BrokerOrderId]:
        """Ticks of today's session, a second later, and the orders that changed. `seen` is what else they show."""
        self.clock.advance(seconds=1)
        day = self.clock.now.astimezone(IST).date()
        return self.show_at([Decimal(price) for price in prices], symbol, day, **seen)

    def show_at(self, prices: Sequence[Decimal], symbol: str, day: date, **seen: Any) -> list[BrokerOrderId]:
        session = session_of(day)
        at = datetime.combine(day, self.clock.now.astimezone(IST).timetz())
        ticks = [Tick(symbol, price, at, **seen) for price in prices]
        return self.market.on_ticks(ticks, session, session.closes)

    def place(self, **terms: Any) -> OrderReport:
        return accepted(self.broker.place(approved(**terms)))

    def row(self, broker_order_id: BrokerOrderId) -> BrokerOrder:
        return next(row for row in self.broker.order_book() if row.broker_order_id == broker_order_id)

    def statuses(self, broker_order_id: BrokerOrderId) -> list[str]:
        return [str(row.status) for row in self.broker.order_history(broker_order_id)]

    def close(self) -> None:
        for other in self._others:
            other.close()
        self.database.close()


Opened = Callable[[Paper], Exchange]
"""The fixture `opened`."""


def approved(**terms: Any) -> Approved:
    """A MARKET order to buy 10 INFY, or whatever the terms say."""
    defaults: dict[str, Any] = {"symbol": INFY, "side": Side.BUY, "quantity": 10, "order_type": OrderType.MARKET}
    return grant(Order.from_intent(OrderIntent(**defaults | terms), OPENS))


def limit(price: str, **terms: Any) -> dict[str, Any]:
    return {"order_type": OrderType.LIMIT, "price": Decimal(price)} | terms


def stop(trigger: str, price: str | None = None, **terms: Any) -> dict[str, Any]:
    """SL with a price, SL-M without."""
    kind = OrderType.SL if price else OrderType.SL_M
    return {
        "order_type": kind,
        "trigger_price": Decimal(trigger),
        "price": Decimal(price) if price else None,
    } | terms


def accepted(outcome: Outcome) -> OrderReport:
    assert isinstance(outcome, Accepted), outcome
    assert outcome.report is not None
    assert outcome.report.row.broker_order_id == outcome.broker_order_id
    return outcome.report


def refusal(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    assert outcome.evidence.http_status == 400
    return outcome.evidence.message
