"""Plays a strategy over a feed: deterministic, in one thread, as fast as the orders go."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count, islice

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.desk import BacktestDesk
from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.backtest.plans import PlanDriver
from durable_orders.trading.backtest.trail import Mark, Marks, PriceLine
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidTicks, StrategyFailed
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_bars import PlayedBars
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order
from durable_orders.trading.plans.kinds import view_of
from durable_orders.trading.strategies.desk import RAISED, SQUARE_OFF, guarded, numbered_id, raise_failed
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import Strategy, has_own

EARLIEST = datetime(1900, 1, 1, tzinfo=IST)
MINUTE = timedelta(minutes=1)
AT_ONCE = 1000
"""Ticks that one strategy is shown before another is."""
MOST_AT_ONCE = 10_000
"""Things that a strategy may ask for between two ticks: one that answers each order with another never ends."""
MOST_ALERTS = 20
"""Of plans, that are among the notes."""


@dataclass(slots=True)
class Played:
    """What came of it."""

    strategy: str
    core: Core
    ticks: int = 0
    first: datetime | None = None
    last: datetime | None = None
    marks: Marks = field(default_factory=Marks)
    """One a minute of market time, and one at the end."""
    prices: dict[str, PriceLine] = field(default_factory=dict)
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
        earlier: Iterable[Tick] = (),
    ) -> None:
        """`earlier` are ticks from before the feed, which only `history` knows. Raises `InvalidSettings` for a rule of
        the guardian that cannot be had."""
        self._earlier = earlier
        self._prices_until = EARLIEST
        self._minute_ends = EARLIEST
        self._strategy: Strategy = loaded.strategy
        self._to_tell: dict[str, Live] = {}
        self._listens = _overrides(loaded.strategy, "on_order")
        self._hears_of_plans = has_own(loaded.strategy, "on_plan")
        core = Core(settings, instruments, start, {loaded.name}, self._note)
        numbers = count(1)
        self._desk = BacktestDesk(core, loaded.name, settings.account, lambda: numbered_id(loaded.name, next(numbers)))
        self._timers = self._desk.timers
        self._timers.begin(core.now)
        self.played = Played(loaded.name, core)

    def play(self, feed: Iterable[Timed]) -> Played:
        """From `on_start` to the last tick, the close and `on_stop`. For a `history` the feed is iterated anew.

        A strategy that raises is stopped: its open orders are cancelled, and `failure` says why. So is a run whose feed
        cannot be read any further (`InvalidTicks`) once something was played.
        """
        play_together([self], feed)
        return self.played

    def begin(self, feed: Iterable[Timed]) -> None:
        """`on_start`."""
        self._desk.recorded = PlayedBars(
            self._earlier,
            lambda: (timed.tick for timed in feed),
            lambda: self.played.ticks,
            self.played.core.sessions,
        )
        with self._noting_failure():
            self._call("on_start", lambda: self._strategy.on_start(self._desk))

    def show(self, some: Sequence[Timed]) -> None:
        """The next ticks; none any more once the strategy has failed."""
        if self.played.failure is None:
            with self._noting_failure():
                self._show(some)

    def end(self, problem: InvalidTicks | None = None) -> None:
        """The close and `on_stop`. `problem` says why there are no more ticks, if that is not the end of them."""
        played, session = self.played, self.played.core.exchange.session
        if problem is not None and played.failure is None:
            until = "" if played.last is None else f"; played until {played.last:%d %b %Y %H:%M:%S} IST"
            played.failure = f"{problem}{until}, {played.ticks} ticks"
        if played.failure is None and session is not None:
            with self._noting_failure():
                self._pass_time(session.closes, session)
        self._stop()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except StrategyFailed as error:
            self.played.failure = str(error)

    def _show(self, some: Sequence[Timed]) -> None:
        """The loop over the ticks: what need not be done for every one is asked for with one comparison."""
        played, desk, timers, bars = self.played, self._desk, self._timers, self._desk.recorded
        builders = desk.builders
        core, on_tick = played.core, self._strategy.on_tick
        meet = core.on_tick
        for timed in some:
            tick, session = timed.tick, timed.session
            at = tick.at
            if at > timers.next_at or ((core.plans is not None or core.locks is not None) and core.next_at < at):
                self._pass_time(at, session)
            if at >= self._minute_ends:
                self._end_minute()
                played.first = played.first or at
                self._minute_ends = at.replace(second=0, microsecond=0) + MINUTE
            meet(tick, session)
            played.ticks += 1
            played.last = at
            if bars.is_asked:
                bars.show(tick)
            if builders:
                desk.see_tick(tick)
            if self._to_tell or (core.plans is not None and core.plans.changed):
                self._tell_and_do()
            if not (desk.muted or desk.quiet_until) or desk.wants(tick):
                try:
                    on_tick(desk, tick)
                except RAISED as error:
                    raise_failed(played.strategy, "on_tick", error)
                if not desk.is_idle:
                    self._do_asked("on_tick")

    def _pass_time(self, until: datetime, session: Session) -> None:
        """Call what is due before that moment, each at its own."""
        while (moment := self._next_before(until, session)) is not None:
            self.played.core.pass_time(moment)
            self._go_on()
            self._tell_and_do()
            for timer in self._timers.take(moment):
                if not self._desk.is_quiet(moment) or timer.name == SQUARE_OFF:
                    self._call(timer.name, lambda timer=timer: timer.call(self._desk))  # type: ignore[misc]
        self.played.notes += self._timers.take_missed()

    def _next_before(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before then at which the strategy is to be called, or the core has something to do."""
        moment, due = self._timers.next_before(until, session), self.played.core.next_at
        if due >= min(until, session.closes):
            return moment
        return due if moment is None else min(moment, due)

    def _go_on(self) -> None:
        if self.played.core.plans is not None:
            self.played.core.plans.go_on()

    def _stop(self) -> None:
        core = self.played.core
        if self.played.failure is None:
            core.close()
            self._go_on()
            try:
                self._tell()
                self._call("on_stop", lambda: self._strategy.on_stop(self._desk))
            except StrategyFailed as error:
                self.played.failure = str(error)
        unseen = [symbol for symbol in sorted(self._desk.subscribed) if core.exchange.last(symbol) is None]
        self.played.notes += [f"subscribed to {symbol}, of which there is no tick" for symbol in unseen]
        if core.plans is not None:
            core.plans.end()
        for live in list(core.live()):
            core.cancel(live.client_order_id, "the strategy was stopped")
        core.close()
        self._go_on()
        self._note_alerts()
        self._end_prices()
        self._add_mark(core.now)

    def _call(self, name: str, callback: Callable[[], object]) -> None:
        """A callback, and then all that it asked for, each with what the strategy says to its outcome."""
        self._guarded(name, callback)
        self._do_asked(name)

    def _do_asked(self, name: str) -> None:
        self._guarded(f"what {name} keeps", self._desk.state.written)
        for _ in range(MOST_AT_ONCE):
            if self._desk.targets:
                self._guarded("target", self._desk.targets.keep)
            if not self._desk.do_one():
                return
            if self.played.core.plans is not None:
                self.played.core.plans.go_on()
                self._tell()
            elif self._to_tell:
                self._tell()
        raise StrategyFailed(f"{self.played.strategy}: asked for {MOST_AT_ONCE} things between two ticks")

    def _tell(self) -> None:
        while self._to_tell:
            told, self._to_tell = self._to_tell, {}
            for live in told.values():
                order = live.order()
                self._guarded("on_order", lambda order=order: self._on_order(order))  # type: ignore[misc]
        if self.played.core.plans is not None:
            self._tell_of_plans(self.played.core.plans)

    def _tell_and_do(self) -> None:
        """And what it asks for then."""
        self._tell()
        if not self._desk.is_idle:
            self._do_asked("on_order")

    def _tell_of_plans(self, plans: PlanDriver) -> None:
        changed, plans.changed = plans.changed, {}
        for state in changed.values() if self._hears_of_plans else ():
            view = view_of(state)
            self._guarded("on_plan", lambda view=view: self._strategy.on_plan(self._desk, view))  # type: ignore[misc]

    def _note_alerts(self) -> None:
        plans = self.played.core.plans
        alerts = plans.alerts if plans is not None else []
        self.played.notes += [f"{at.astimezone(IST):%d %b %H:%M:%S} {words}" for at, words in alerts[:MOST_ALERTS]]
        if len(alerts) > MOST_ALERTS:
            self.played.notes.append(f"and {len(alerts) - MOST_ALERTS} more alerts of plans")

    def _on_order(self, order: Order) -> None:
        self._strategy.on_order(self._desk, order)

    def _guarded(self, name: str, callback: Callable[[], object]) -> None:
        guarded(self.played.strategy, name, callback)

    def _note(self, live: Live) -> None:
        if self._listens and live.strategy == self.played.strategy:
            self._to_tell[live.key] = live

    def _end_minute(self) -> None:
        """Keep what the account was worth at the end of the minute of the last tick, and its prices."""
        last = self.played.last
        if last is None:
            return
        self._end_prices()
        self._add_mark(last)

    def _end_prices(self) -> None:
        """Of what was shown since this was called last, which is once a minute."""
        since, prices = self._prices_until, self.played.prices
        for tick in self.played.core.exchange.last_ticks():
            if tick.at >= since:
                line = prices.get(tick.symbol)
                if line is None:
                    line = prices[tick.symbol] = PriceLine()
                line.add(tick.at, tick.last_price)
        if (last := self.played.last) is not None:
            self._prices_until = last.replace(second=0, microsecond=0) + MINUTE

    def _add_mark(self, at: datetime) -> None:
        profit = bound = Decimal(0)
        for position in self.played.core.guard.holdings.positions():
            profit += position.realized_pnl
            if position.quantity:
                last = self.played.core.exchange.last_price(position.symbol) or Decimal(0)
                profit += position.unrealized_at(last)
                bound += abs(position.open_value)
        self.played.marks.add(Mark(at, profit, bound))


def play_together(players: Sequence[Player], feed: Iterable[Timed]) -> None:
    """Several strategies, each on an account of its own, over one feed that is gone through once.

    Raises `InvalidTicks` where nothing at all can be played.
    """
    for player in players:
        player.begin(feed)
    problem, ticks = None, iter(feed)
    while problem is None:
        some: list[Timed] = []
        try:
            some.extend(islice(ticks, AT_ONCE))  # keeps those before the error
        except InvalidTicks as error:
            problem = error
        if not some:
            break
        for player in players:
            player.show(some)
    if problem is not None and not any(player.played.ticks for player in players):
        raise problem
    for player in players:
        player.end(problem)


def _overrides(strategy: Strategy, name: str) -> bool:
    """Whether a callback says something: the protocol's own does not, and needs no `Order` built for it."""
    return getattr(type(strategy), name, None) is not getattr(Strategy, name)
