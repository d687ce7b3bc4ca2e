"""What every desk of a strategy has in common: how what it asks for becomes an order, and how it is called."""

import dis
import sysconfig
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Unpack

from pydantic import ValidationError

from durable_orders.trading.errors import InvalidStrategy, StrategyFailed
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.told_positions import ToldPosition
from durable_orders.trading.market.bars import KITE_INTERVALS, Bar, BarBuilder, BarsCall, interval_of, name_of
from durable_orders.trading.market.calendar import Session, SessionSource
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import (
    Amendment,
    ClientOrderId,
    Order,
    OrderIntent,
    Product,
    Side,
    Terms,
    is_free,
    plan_of,
)
from durable_orders.trading.orders.terms import TERMS, Changes, OrderTerms, amendment_of, intent_of, product_of
from durable_orders.trading.plans.basket import BasketLeg
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.line_terms import BasketLimits, TwapTerms, asked_basket, asked_twap
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.schedule import ScheduleIntent
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.plans.terms import BracketTerms, ExitTerms, PlanChanges, bracket_of, change_of, oco_of
from durable_orders.trading.strategies.sizing import Number, quantity_for
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.targets import Targets
from durable_orders.trading.strategies.timers import DAY, Grid, TimerCall, Timers, moment_of

SQUARE_OFF = "square-off"
RAISED = (Exception, SystemExit, KeyboardInterrupt)
"""Whatever somebody's code may raise."""
MOST_BARS = 100_000
LONGEST_NAME = 50
"""Of the strategy's name in the ids of its orders, which may have 64 characters."""
LONGEST_OF_PLANS = 36
MOMENTS = {"exit_at", "begins_at", "ends_at"}
"""Terms of plans that may be a time of day."""
PACKAGE = Path(__file__).parents[2]
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))


def numbered_id(strategy: str, number: int) -> str:
    """The id of a strategy's order without one of its own: the same in a backtest, on paper and live."""
    return f"{strategy[:LONGEST_NAME]}-{number}"


class _Asked(NamedTuple):
    """What an order was asked for with, and what it came to."""

    symbol: str
    quantity: int
    terms: OrderTerms
    intent: OrderIntent

    def is_like(self, symbol: str, quantity: int, terms: OrderTerms) -> bool:
        """Whether another one comes to the same: by the very same values, as equal ones may be of other types."""
        if self.symbol != symbol or self.quantity != quantity or type(quantity) is not int:
            return False
        mine: Mapping[str, object] = self.terms
        if not mine or not terms:
            return mine == terms
        return mine.keys() == terms.keys() and all(mine[name] is value for name, value in terms.items())


def numbered_plan(strategy: str, number: int) -> str:
    """The same of a plan, whose id may have 48 characters."""
    return f"{strategy[:LONGEST_OF_PLANS]}-p{number}"


def of_whom(of: str) -> str:
    """Raises `InvalidStrategy` for whom nobody knows positions of."""
    if of not in ("strategy", "account", "broker"):
        raise InvalidStrategy(f"positions: of: must be strategy, account or broker, was {of!r:.40}")
    return of


class AskingDesk(ABC):
    """The part of a `StrategyContext` that is the same wherever a strategy runs."""

    _grace = timedelta()
    """For so long a bar waits for its last ticks."""

    def __init__(
        self,
        own: Mapping[str, Any],
        ids: Callable[[], str],
        instruments: Callable[[], Contracts],
        timers: Timers,
        state: State,
        sessions: SessionSource,
    ) -> None:
        """`own` is what every order has that is asked for by its terms; `ids` makes the ids of those without one."""
        self._own = own
        self._ids = ids
        self._before: dict[Side, _Asked] = {}
        """The last order of each side that was asked for without a name."""
        self._contracts = instruments
        self.timers = timers
        self.state = state
        self._sessions = sessions
        self.builders: list[BarBuilder] = []
        """Of bars: without any, `see_tick` does nothing."""
        self._bar_calls: dict[str, tuple[BarsCall, timedelta, tuple[str, ...]]] = {}
        self._shown: set[str] = set()
        self.muted: set[str] = set()
        """Symbols whose ticks it does not want."""
        self.subscribed: set[str] = set()
        """Those that it has asked for."""
        self.targets = Targets(self)
        self.quiet_until: datetime | None = None
        """Until then it hears of no tick and no timer: it was squared off."""

    @property
    @abstractmethod
    def now(self) -> datetime: ...

    @property
    def _market_time(self) -> datetime | None:
        """The market's own, where it is known."""
        return self.now

    @abstractmethod
    def place(self, intent: OrderIntent) -> ClientOrderId: ...

    def place_named(self, intent: OrderIntent, name: str) -> ClientOrderId:
        """Place an order that is this one but for its name, one that `is_free`."""
        return self.place(intent.named(name))

    @abstractmethod
    def cancel(self, client_order_id: str) -> None: ...

    @abstractmethod
    def open_orders(self) -> list[Order]: ...

    @abstractmethod
    def quote(self, symbol: str) -> Tick | None: ...

    @abstractmethod
    def order(self, client_order_id: str) -> Order:
        """Raises `OrderNotFound`."""

    @abstractmethod
    def position(self, symbol: str, product: Product | str = Product.MIS) -> ToldPosition: ...

    @abstractmethod
    def _bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int) -> list[Bar]:
        """Those that have ended, since that moment or at least so many, oldest first."""

    @abstractmethod
    def funds(self) -> Funds | None: ...

    @abstractmethod
    def _margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        """What these orders, each at its price, would bind together."""

    @abstractmethod
    def _watch(self, symbols: Collection[str], *, wanted: bool) -> None:
        """Ask the market for the ticks of these symbols, or for no more of them."""

    @abstractmethod
    def _change(self, client_order_id: str, change: Amendment) -> None:
        """Ask for a change. Raises `OrderNotFound`."""

    @abstractmethod
    def _close(self, symbol: str | None, product: Product | None, reason: str) -> None:
        """Ask for the strategy's orders to be cancelled and what it holds to be closed: of a symbol, or all."""

    @abstractmethod
    def is_being_closed(self, symbol: str, product: Product) -> bool:
        """Whether a close of it was asked for whose end the position does not show yet."""

    @abstractmethod
    def _start_plan(self, intent: AnyIntent) -> None:
        """Ask for a plan. Raises `DuplicateOrder`."""

    @abstractmethod
    def _planned(self, plan_id: str) -> AnyIntent | None:
        """What a plan is that was asked for under that name, by an earlier run, too."""

    @abstractmethod
    def _change_plan(self, plan_id: str, change: PlanChange) -> None:
        """Ask for a change. Raises `InvalidOrder` and `OrderNotFound`."""

    @abstractmethod
    def cancel_plan(self, plan_id: str, *, flatten: bool = False, reason: str = "by the strategy") -> None: ...

    @abstractmethod
    def plan(self, plan_id: str) -> PlanView: ...

    @abstractmethod
    def plans(self, *, open_only: bool = True) -> list[PlanView]: ...

    @abstractmethod
    def _next_plan_id(self) -> str:
        """Of a plan without one of its own; it is used up once that was started."""

    def bracket(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[BracketTerms]) -> str:
        return self._plan(bracket_of, side, symbol, quantity, dict(terms))

    def oco(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[ExitTerms]) -> str:
        return self._plan(oco_of, side, symbol, quantity, dict(terms))

    def basket(self, *legs: BasketLeg | Mapping[str, Any], **terms: Unpack[BasketLimits]) -> str:
        content: dict[str, Any] = dict(terms)
        own = self._own_plan(content)
        return self._started(asked_basket(legs, content, own))

    def twap(self, side: Side | str, symbol: str, quantity: int, **terms: Unpack[TwapTerms]) -> str:
        content = self._with_moments(dict(terms))
        own = self._own_plan(content)
        if content.get("begins_at") is None:
            content["begins_at"] = self._begin_of(own["plan_id"])
        return self._started(asked_twap(side, symbol, quantity, content, own))

    def _begin_of(self, plan_id: str) -> datetime:
        """Now; of a schedule that is asked for again, when that begins: under its name it is the same one."""
        known = self._planned(plan_id)
        return known.begins_at if isinstance(known, ScheduleIntent) else self._market_now("begins_at")

    def amend_plan(self, plan_id: str, **changes: Unpack[PlanChanges]) -> None:
        self._change_plan(plan_id, change_of(self._with_moments(dict(changes))))

    def _plan(
        self, made: Callable[..., PlanIntent], side: Side | str, symbol: str, quantity: int, terms: dict[str, Any]
    ) -> str:
        own = self._own_plan(terms)
        return self._started(made(side, symbol, quantity, self._with_moments(terms), **own))

    def _own_plan(self, terms: dict[str, Any]) -> dict[str, Any]:
        """What every plan has that is asked for here, with its name, which is taken out of the terms."""
        return {**self._own, "plan_id": terms.pop("plan_id", None) or self._next_plan_id()}

    def _started(self, intent: AnyIntent) -> str:
        self._start_plan(intent)
        return intent.plan_id

    def _with_moments(self, terms: dict[str, Any]) -> dict[str, Any]:
        """With times of day as those of the market's day."""
        for name in MOMENTS & terms.keys():
            if (when := terms[name]) is None:
                continue
            moment = moment_of(name, when)
            if isinstance(moment, time):
                moment = datetime.combine(self._market_now(name).date(), moment, IST)
            terms = terms | {name: moment}
        return terms

    def _market_now(self, field: str) -> datetime:
        """The market's time, IST. Raises `InvalidStrategy` while that is not known."""
        return self.now

    def buy(self, symbol: str, quantity: int, **terms: Unpack[OrderTerms]) -> ClientOrderId:
        return self._ask(Side.BUY, symbol, quantity, terms)

    def sell(self, symbol: str, quantity: int, **terms: Unpack[OrderTerms]) -> ClientOrderId:
        return self._ask(Side.SELL, symbol, quantity, terms)

    def amend(self, client_order_id: str, **terms: Unpack[Changes]) -> None:
        self._change(client_order_id, amendment_of(terms))

    def cancel_all(self, symbol: str | None = None) -> None:
        for order in self.open_orders():
            of_plan = plan_of(order.client_order_id) is not None
            if symbol in (None, order.symbol) and not order.cancel_requested and not of_plan:
                self.cancel(order.client_order_id)

    def close(self, symbol: str, product: Product | str | None = None, *, reason: str = "close") -> None:
        self._close(symbol, None if product is None else product_of(product), reason)

    def target(self, symbol: str, quantity: int, product: Product | str = Product.MIS) -> None:
        self.targets.want(symbol, quantity, product_of(product))

    def subscribe(self, *symbols: str) -> None:
        for symbol in symbols:
            self.instruments.get(symbol)
        self.muted -= set(symbols)
        self.subscribed |= set(symbols)
        self._watch(symbols, wanted=True)

    def unsubscribe(self, *symbols: str) -> None:
        self.muted |= set(symbols)
        self.subscribed -= set(symbols)
        self._watch(symbols, wanted=False)

    def quantity_for(
        self,
        symbol: str,
        *,
        risk: Number | None = None,
        stop: Number | None = None,
        capital: Number | None = None,
        price: Number | None = None,
    ) -> int:
        found = price if price is not None else self.last_price(symbol)
        if found is None:
            raise InvalidStrategy(f"quantity_for: no price of {symbol} yet: subscribe to it, or give price=...")
        return quantity_for(self.instruments.get(symbol), found, risk=risk, stop=stop, capital=capital)

    def history(
        self,
        symbol: str,
        interval: timedelta | str,
        count: int | None = None,
        *,
        since: datetime | date | None = None,
    ) -> list[Bar]:
        span = interval_of("history", interval)
        if span not in KITE_INTERVALS:
            names = ", ".join(map(name_of, KITE_INTERVALS))
            raise InvalidStrategy(f"history: interval: Kite has candles of {names}; was {interval!r:.40}")
        if (count is None) == (since is None):
            raise InvalidStrategy("history: needs count= (how many bars) or since= (a date, or a datetime with a zone)")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= MOST_BARS):
            raise InvalidStrategy(f"history: count: must be a whole number from 1 to {MOST_BARS}, was {count!r:.40}")
        self.instruments.get(symbol)
        begins = _begin_of(since)
        found = self._bars(symbol, span, begins, count or 0)
        if begins is not None:
            return [bar for bar in found if bar.at >= begins]
        return found[-(count or 0) :]

    def margin_of(self, *orders: OrderIntent) -> Decimal:
        if not orders:
            raise InvalidStrategy("margin_of: needs an order, as in margin_of(OrderIntent(...), OrderIntent(...))")
        return self._margin([(order, self._price_for(order)) for order in orders])

    def _price_for(self, order: Terms) -> Decimal:
        price = order.price or order.trigger_price or self.last_price(order.symbol)
        if price is None:
            words = "subscribe to it, or ask for an order with a price"
            raise InvalidStrategy(f"margin_of: no price of {order.symbol} yet: {words}")
        self.instruments.get(order.symbol)
        return price

    def last_price(self, symbol: str) -> Decimal | None:
        found = self.quote(symbol)
        return None if found is None else found.last_price

    @property
    def instruments(self) -> Contracts:
        return self._contracts()

    def at(
        self, when: object, callback: TimerCall, *, late: bool = False, again: bool = False, name: str | None = None
    ) -> None:
        self.timers.at(when, callback, name, self._market_time, late=late, again=again)

    def every(self, interval: timedelta, callback: TimerCall, *, name: str | None = None) -> None:
        self.timers.every(interval, callback, name, self._market_time)

    def bars(self, interval: timedelta | str, callback: BarsCall, *symbols: str, name: str | None = None) -> None:
        every, now = interval_of("bars", interval), self._market_time
        if not callable(callback):
            raise InvalidStrategy(f"bars: callback: must take context and bars, was {callback!r:.40}")
        for symbol in symbols:
            self.instruments.get(symbol)
        if len({each.opens for each in self._hours(symbols, self.now.date())}) > 1:
            words = f"must open at one time, to be in step: ask for those that do not apart, was {', '.join(symbols)}"
            raise InvalidStrategy(f"bars: symbols: {words:.200}")
        what = getattr(callback, "__name__", type(callback).__name__)
        name = name or f"bars {interval} {' '.join(symbols)} {what}"
        if name in self._bar_calls:
            if self._bar_calls[name] != (callback, every, symbols):
                raise InvalidStrategy(f"bars: {name!r} is the name of other bars; give these their own: name=...")
            return
        self._bar_calls[name] = callback, every, symbols
        builder = BarBuilder(every, symbols, self._sessions, self._watches_since())
        self.builders.append(builder)
        grid = Grid(lambda day: self._shortest(symbols, day), builder.owes, self._grace)
        self.timers.bars(every, partial(_tell_bars, builder, callback), name, now, grid)

    @abstractmethod
    def _watches_since(self) -> datetime | None:
        """From when on ticks are seen; `None` if from the beginning."""

    def _hours(self, symbols: Collection[str], day: date) -> list[Session]:
        found = (self._sessions.of(symbol).session_on(day) for symbol in symbols)
        return [session for session in found if session is not None]

    def _shortest(self, symbols: Collection[str], day: date) -> Session | None:
        """Of all that have been shown, where none were named."""
        return min(self._hours(symbols or self._shown, day), key=lambda each: each.closes, default=None)

    def see_tick(self, tick: Tick) -> None:
        """It is in the bars that follow, whether the strategy wants to hear of it or not."""
        if self.builders:
            self._shown.add(tick.symbol)
            for builder in self.builders:
                builder.show(tick)

    def square_off_at(self, when: object) -> None:
        self.timers.at(when, AskingDesk._square_off, SQUARE_OFF, self._market_time, late=True, again=True)

    def _square_off(self) -> None:
        self.quiet_until = start_of_day(self.now) + DAY
        self.targets.forget()
        self._close(None, None, SQUARE_OFF)

    def wants(self, tick: Tick) -> bool:
        """Whether the strategy is told of it."""
        if self.muted and tick.symbol in self.muted:
            return False
        return self.quiet_until is None or not self.is_quiet(tick.at)

    def is_quiet(self, at: datetime) -> bool:
        """Whether it is squared off for the rest of that day."""
        if self.quiet_until is not None and at >= self.quiet_until:
            self.quiet_until = None
        return self.quiet_until is not None

    def _ask(self, side: Side, symbol: str, quantity: int, terms: OrderTerms) -> ClientOrderId:
        """Many differ from the one before in nothing but their name: the terms of those are not checked again."""
        if terms.get("client_order_id"):
            return self.place(intent_of(side, symbol, quantity, terms, TERMS, **self._own))
        name, before = self._ids(), self._before.get(side)
        if before is not None and before.is_like(symbol, quantity, terms) and is_free(name):
            return self.place_named(before.intent, name)
        intent = intent_of(side, symbol, quantity, terms, TERMS, **self._own, client_order_id=name)
        self._before[side] = _Asked(symbol, quantity, terms, intent)
        return self.place(intent)


def _begin_of(since: object) -> datetime | None:
    """Raises `InvalidStrategy` for what is neither a day nor a moment."""
    if since is None:
        return None
    if isinstance(since, datetime) and since.utcoffset() is not None:
        return since.astimezone(IST)
    if isinstance(since, date) and not isinstance(since, datetime):
        return datetime.combine(since, time.min, IST)
    raise InvalidStrategy(f"history: since: must be a date, or a datetime with a zone, was {since!r:.60}")


def _tell_bars(builder: BarBuilder, callback: BarsCall, desk: AskingDesk) -> None:
    """The last bar of a day is told a moment before the close."""
    for bars in builder.take(desk.now + timedelta.resolution):
        callback(desk, bars)


def guarded(strategy: str, callback: str, call: Callable[[], object]) -> None:
    """Call a callback of somebody's code. Raises `StrategyFailed`, one line that says where it failed.

    `sys.exit()` in there or `raise KeyboardInterrupt` ends the strategy, not the program around it, which has orders
    to look after. Ctrl-C comes to the main thread, and is nobody's failure.
    """
    try:
        call()
    except RAISED as error:
        raise_failed(strategy, callback, error)


def raise_failed(strategy: str, callback: str, error: BaseException) -> NoReturn:
    """What `guarded` makes of what was raised, of `RAISED`, to be called while it is handled."""
    if isinstance(error, KeyboardInterrupt) and not _was_raised(error):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    where = ([frame for frame in frames if not _is_library(frame.filename)] or frames)[-1]
    place = f"{Path(where.filename).name} line {where.lineno}"
    said = explained(error) if isinstance(error, ValidationError) else error
    words = f"{strategy}: {callback} failed at {place}: {type(error).__name__}{f': {said}' if str(said) else ''}"
    raise StrategyFailed(words) from error


def _was_raised(error: BaseException) -> bool:
    """Whether a `raise` of somebody's code did it. Ctrl-C comes between any two instructions of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return True
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def _is_library(file: str) -> bool:
    """Whether it is of this project, of Python or of an installed package, and not of who is called."""
    return any(Path(file).is_relative_to(place) for place in (PACKAGE, *LIBRARIES))
