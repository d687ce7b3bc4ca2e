"""Plays a strategy over a feed: deterministic, in one thread, as fast as the orders go."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain, count

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.desk import BacktestDesk
from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import StrategyFailed
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_bars import RecordedBars
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order
from durable_orders.trading.strategies.desk import SQUARE_OFF, guarded, numbered_id
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy

MOST_AT_ONCE = 10_000
"""Things that a strategy may ask for between two ticks: one that answers each order with another never ends."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the account was worth at a moment."""

    at: datetime
    profit: Decimal
    """Rupees, realized and not, before charges."""
    bound: Decimal
    """Rupees that the open positions cost, long and short added up."""


@dataclass(slots=True)
class Played:
    """What came of it."""

    strategy: str
    core: Core
    ticks: int = 0
    first: datetime | None = None
    last: datetime | None = None
    marks: list[Mark] = field(default_factory=list)
    """One a minute of market time, and one at the end."""
    prices: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)
    """Of each symbol, the last one of each minute, in rupees."""
    notes: list[str] = field(default_factory=list)
    """What went otherwise than asked for, in words."""
    failure: str | None = None
    """Why the strategy was stopped before the end, if it was."""

    @property
    def orders(self) -> list[Ended]:
        """In the order of their ends."""
        return list(self.core.ended())


class Player:
    """One strategy on one core. What its orders cost is in the core; what a callback costs is the strategy's own."""

    def __init__(
        self,
        loaded: Loaded,
        settings: Settings,
        instruments: Instruments,
        start: datetime,
        earlier: Sequence[Tick] = (),
    ) -> None:
        """`earlier` are ticks from before the feed, which only `history` knows. Raises `InvalidSettings` for a rule of
        the guardian that cannot be had."""
        self._earlier = earlier
        self._strategy: Strategy = loaded.strategy
        self._to_tell: dict[str, Live] = {}
        self._listens = _overrides(loaded.strategy, "on_order")
        core = Core(settings, instruments, start, {loaded.name}, self._note)
        numbers = count(1)
        self._desk = BacktestDesk(core, loaded.name, settings.account, lambda: numbered_id(loaded.name, next(numbers)))
        self._timers = self._desk.timers
        self._timers.begin(core.now)
        self.played = Played(loaded.name, core)

    def play(self, feed: Iterable[Timed], shown: Callable[[Timed], object] = lambda _timed: None) -> Played:
        """From `on_start` to the last tick, the close and `on_stop`. `shown` hears of every tick.

        A strategy that raises is stopped: its open orders are cancelled, and `failure` says why.
        """
        self._desk.recorded = RecordedBars(
            lambda: chain(self._earlier, (timed.tick for timed in feed)), self.played.core.sessions
        )
        try:
            self._call("on_start", lambda: self._strategy.on_start(self._desk))
            for timed in feed:
                if timed.tick.at > self._timers.next_at:
                    self._pass_time(timed.tick.at, timed.session)
                self._tick(timed)
                shown(timed)
            if (session := self.played.core.exchange.session) is not None:
                self._pass_time(session.closes, session)
        except StrategyFailed as error:
            self.played.failure = str(error)
        self._stop()
        return self.played

    def _tick(self, timed: Timed) -> None:
        played, tick = self.played, timed.tick
        self._mark(tick.at)
        played.core.on_tick(tick, timed.session)
        played.ticks += 1
        played.first = played.first or tick.at
        played.last = tick.at
        prices = played.prices.setdefault(tick.symbol, [])
        if prices and _minute(prices[-1][0]) == _minute(tick.at):
            prices[-1] = (tick.at, tick.last_price)
        else:
            prices.append((tick.at, tick.last_price))
        self._desk.see_tick(tick)
        self._tell()
        if self._desk.wants(tick):
            self._call("on_tick", lambda: self._strategy.on_tick(self._desk, tick))

    def _pass_time(self, until: datetime, session: Session) -> None:
        """Call what is due before that moment, each at its own."""
        while (moment := self._timers.next_before(until, session)) is not None:
            self.played.core.pass_time(moment)
            self._tell()
            for timer in self._timers.take(moment):
                if not self._desk.is_quiet(moment) or timer.name == SQUARE_OFF:
                    self._call(timer.name, lambda timer=timer: timer.call(self._desk))  # type: ignore[misc]
        self.played.notes += self._timers.take_missed()

    def _stop(self) -> None:
        core = self.played.core
        if self.played.failure is None:
            core.close()
            try:
                self._tell()
                self._call("on_stop", lambda: self._strategy.on_stop(self._desk))
            except StrategyFailed as error:
                self.played.failure = str(error)
        unseen = [symbol for symbol in sorted(self._desk.subscribed) if core.exchange.last(symbol) is None]
        self.played.notes += [f"subscribed to {symbol}, of which there is no tick" for symbol in unseen]
        for live in list(core.live()):
            core.cancel(live.client_order_id, "the strategy was stopped")
        core.close()
        self._add_mark(core.now)

    def _call(self, name: str, callback: Callable[[], object]) -> None:
        """A callback, and then all that it asked for, each with what the strategy says to its outcome."""
        self._guarded(name, callback)
        self._guarded(f"what {name} keeps", self._desk.state.written)
        for _ in range(MOST_AT_ONCE):
            if self._desk.targets:
                self._guarded("target", self._desk.targets.keep)
            if not self._desk.do_one():
                return
            if self._to_tell:
                self._tell()
        raise StrategyFailed(f"{self.played.strategy}: asked for {MOST_AT_ONCE} things between two ticks")

    def _tell(self) -> None:
        while self._to_tell:
            told, self._to_tell = self._to_tell, {}
            for live in told.values():
                order = live.order()
                self._guarded("on_order", lambda order=order: self._on_order(order))  # type: ignore[misc]

    def _on_order(self, order: Order) -> None:
        self._strategy.on_order(self._desk, order)

    def _guarded(self, name: str, callback: Callable[[], object]) -> None:
        guarded(self.played.strategy, name, callback)

    def _note(self, live: Live) -> None:
        if self._listens and live.strategy == self.played.strategy:
            self._to_tell[live.key] = live

    def _mark(self, at: datetime) -> None:
        """What the account was worth at the end of the minute before, if a new one begins."""
        last = self.played.last
        if last is not None and _minute(last) != _minute(at):
            self._add_mark(last)

    def _add_mark(self, at: datetime) -> None:
        profit = bound = Decimal(0)
        for position in self.played.core.guard.holdings.positions():
            profit += position.realized_pnl
            if position.quantity:
                last = self.played.core.exchange.last_price(position.symbol) or Decimal(0)
                profit += position.unrealized_at(last)
                bound += abs(position.open_value)
        self.played.marks.append(Mark(at, profit, bound))


def _overrides(strategy: Strategy, name: str) -> bool:
    """Whether a callback says something: the protocol's own does not, and needs no `Order` built for it."""
    return getattr(type(strategy), name, None) is not getattr(Strategy, name)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
