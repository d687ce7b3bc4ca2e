"""Plans in a backtest: `PlanWorkflow` in memory.

What is to be done is said by the plan's own process, as it is there. Here nobody has to be waited for: a plan goes on
as far as it can whenever an order of its has moved, a price is traded that concerns it, or its time has come.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.backtest.plan_lines import Lines
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.flatten.closing import closable
from durable_orders.trading.flatten.excess import closing_of
from durable_orders.trading.ist import IST
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderIntent, Product, Side
from durable_orders.trading.plans import actions, claims, news, standing
from durable_orders.trading.plans.kinds import (
    AnyIntent,
    AnyState,
    closes_by_itself,
    concerns,
    recordable,
    refreshed,
    state_of,
    status_of,
    view_of,
)
from durable_orders.trading.plans.lines import UNCHANGEABLE, LinesProcess
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.process import PlanProcess
from durable_orders.trading.plans.processes import process_of
from durable_orders.trading.plans.state import FRESH, PlanState, PlanView

if TYPE_CHECKING:
    from durable_orders.trading.backtest.core import Core

Process = PlanProcess | LinesProcess
OF_LINES = ""
"""In place of a symbol."""
NEVER = datetime.max.replace(tzinfo=UTC)
MOMENT = timedelta.resolution
Place = tuple[str, Product, Side]
"""Where plans share a position."""


@dataclass(slots=True, eq=False)
class Running:
    """A plan."""

    number: int
    process: Process
    has_begun: bool = False
    heard: dict[str, Live] = field(default_factory=dict)
    """Its orders that stand differently."""
    is_to_be_synced: bool = False
    """Whether somebody else may have closed what it holds."""
    due: datetime = NEVER
    below: Decimal | None = None
    above: Decimal | None = None
    ended_at: datetime | None = None

    @property
    def intent(self) -> AnyIntent:
        return self.process.state.intent

    @property
    def place(self) -> Place | None:
        """`None` of one of several lines: what it holds is its own."""
        intent = self.intent
        return (intent.symbol, intent.product, intent.side) if isinstance(intent, PlanIntent) else None

    def is_reached(self, price: Decimal) -> bool:
        return (self.below is not None and price <= self.below) or (self.above is not None and price >= self.above)


class PlanDriver:
    """Those of one account. It hears of every order that stands differently, and acts when it is asked to go on."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._numbers = count(1)
        self._known: dict[str, Running] = {}
        self._open: dict[str, dict[int, Running]] = {}
        """By symbol, oldest first; those of several lines are not by theirs."""
        self._lines = Lines(core)
        self._of_late: dict[Place, list[Running]] = {}
        """Those that have ended since the oldest open one of their place began."""
        self._owners: dict[str, Running] = {}
        """By the client order ids of their orders."""
        self._waiting: dict[int, Running] = {}
        self._busy = self._is_over = False
        self.next_at = NEVER
        """The next moment at which time alone has a plan do something."""
        self.changed: dict[str, AnyState] = {}
        """Those that stand differently than they were told; whoever tells of them takes them out."""
        self.alerts: list[tuple[datetime, str]] = []

    # What a desk asks for.

    def add(self, intent: AnyIntent) -> Running | None:
        """Enter a plan, PENDING; `None` if it exists already. Raises `DuplicateOrder` for other content."""
        known = self._known.get(intent.plan_id)
        if known is not None:
            if known.intent.fingerprint() != intent.fingerprint():
                summary = known.intent.summary()
                raise DuplicateOrder(f"plan_id: {intent.plan_id} is the id of another plan: {summary}")
            return None
        running = Running(next(self._numbers), process_of(state_of(intent, self._core.now)))
        self._known[intent.plan_id] = running
        return running

    def begin(self, running: Running) -> None:
        """Have it checked, and go on with it."""
        running.has_begun = True
        self._open.setdefault(_shelf(running.intent), {})[running.number] = running
        self._wake(running)

    def cancel(self, plan_id: str, reason: str, *, flatten: bool) -> None:
        """Of one that has ended it changes nothing. Raises `OrderNotFound`."""
        running = self._find(plan_id)
        if running.ended_at is None:
            running.process.hear(news.CancelAsked(reason, flatten))
            self._wake(running)

    def change(self, plan_id: str, change: PlanChange) -> None:
        """Raises `InvalidOrder` with the field and the rule, and `OrderNotFound`."""
        running = self._find(plan_id)
        self._must_fit(running.process.state, change)
        running.process.hear(news.ChangeAsked(change))
        self._wake(running)

    def must_be_possible(self, plan_id: str, change: PlanChange) -> None:
        """Raises `InvalidOrder` with the field and the rule, and `OrderNotFound`."""
        state = self.state(plan_id)
        self._must_fit(state, change)
        if not isinstance(state, PlanState):
            return
        asked = state.intent.model_copy(update={"exit_at": change.exit_at})
        for problem in self._core.guard.judge_exit_time(asked, self._core.now):
            raise InvalidOrder(problem)

    def _must_fit(self, state: AnyState, change: PlanChange) -> None:
        if not isinstance(state, PlanState):
            raise InvalidOrder(UNCHANGEABLE)
        price = self._core.exchange.last_price(state.intent.symbol)
        now = self._core.now
        problem = standing.problem_with(state, change, price) or standing.undone_at_once(state, change, price, now)
        if problem is not None:
            raise InvalidOrder(problem)

    def close_out(self, strategy: str, symbol: str | None, product: Product | None, reason: str) -> None:
        """Have the strategy's open plans of a symbol and a product, or of all, close what they hold."""
        products = tuple(Product) if product is None else (product,)
        for running in list(self._all_open()):
            intent = running.intent
            if intent.strategy == strategy and concerns(intent, symbol, products):
                self.cancel(intent.plan_id, reason, flatten=closes_by_itself(intent))
        self.go_on()

    def intent(self, plan_id: str) -> AnyIntent | None:
        """What a plan is that was asked for; `None` if there is none of that name."""
        known = self._known.get(plan_id)
        return None if known is None else known.intent

    def state(self, plan_id: str) -> AnyState:
        """Raises `OrderNotFound`."""
        return self._find(plan_id).process.state

    def views(self, strategy: str, *, open_only: bool) -> list[PlanView]:
        """How a strategy's plans stand, oldest first."""
        states = (each.process.state for each in self._known.values() if each.intent.strategy == strategy)
        found = [state for state in states if not (open_only and status_of(state).terminal)]
        return [view_of(state) for state in found]

    # What it hears.

    def heard(self, live: Live) -> None:
        """Nothing is done yet: the exchange may be in the middle of a tick."""
        running = self._owners.get(live.client_order_id)
        if running is not None:
            running.heard[live.key] = live
            if running.ended_at is None:
                self._wake(running)
        elif live.fills and (open_here := self._open.get(live.symbol)):
            for each in open_here.values():
                if isinstance(each.intent, PlanIntent) and each.intent.product is live.product:
                    each.is_to_be_synced = True
                    self._wake(each)

    def show(self, tick: Tick) -> None:
        """The market moved: those that the price concerns, and those whose time has come, go on."""
        if here := self._open.get(tick.symbol):
            for running in here.values():
                if running.is_reached(tick.last_price):
                    self._wake(running)
        self.go_on()

    def end(self) -> None:
        """The last session is over: nothing is asked for any more."""
        self._is_over = True

    def go_on(self) -> None:
        """As far as it can be done now."""
        if self._busy:
            return  # it is its own order that moved
        if not self._waiting and self._core.now < self.next_at:
            return
        self._busy = True
        try:
            if self._core.now >= self.next_at:
                for running in self._all_open():
                    if self._core.now >= running.due:
                        self._wake(running)
            while self._waiting:
                running = self._waiting.pop(min(self._waiting))
                if self._is_over:
                    self._refresh(running)
                else:
                    self._run(running)
        finally:
            self._busy = False
        self.next_at = min((each.due for each in self._all_open()), default=NEVER)

    def _wake(self, running: Running) -> None:
        self._waiting[running.number] = running

    def _all_open(self) -> Iterator[Running]:
        return (running for here in self._open.values() for running in here.values())

    def _find(self, plan_id: str) -> Running:
        running = self._known.get(plan_id)
        if running is None:
            raise OrderNotFound(f"no plan {plan_id[:64]!r}")
        return running

    # What the process says.

    def _run(self, running: Running) -> None:
        process, core = running.process, self._core
        if running.is_to_be_synced:
            self._sync(running)
        self._take_heard(running)
        if isinstance(process, PlanProcess):
            last = core.exchange.last(process.state.intent.symbol)
            if last is not None and core.now - last.at <= FRESH:
                process.hear(news.Priced(last.price))
        while True:
            action = process.next(core.now)
            if isinstance(action, actions.Wait):
                if not (running.heard or process.is_interrupted):
                    break
            elif isinstance(action, actions.Done):
                self._end(running)
                return
            else:
                self._perform(running, action)
            self._take_heard(running)
        due = process.due
        running.due = NEVER if due is None else max(due.astimezone(IST), core.now + MOMENT)
        running.below, running.above = process.band

    def _take_heard(self, running: Running) -> None:
        while running.heard:
            running.process.hear(news.Seen(running.heard.pop(next(iter(running.heard))).order()))

    def _perform(self, running: Running, action: actions.Action) -> None:
        process, core = running.process, self._core
        match action:
            case actions.Place(intent):
                self._place(running, intent)
            case actions.Amend(own, change):
                core.change(own, change, lambda refusal: self._answered(running, own, refusal))
            case actions.Cancel(own, reason):
                core.cancel(own, reason)
            case actions.Record():
                process.to_record()
                self.changed[running.intent.plan_id] = process.state
            case actions.Alert(words):
                self.alerts.append((core.now, words))
            case actions.Admit():
                self._admit(running)
            case actions.Sync():
                self._sync(running)
            case _ if isinstance(process, PlanProcess):
                self._look_at_position(running, process, action)
            case _:
                self._look_at_lines(process, action)

    def _look_at_position(self, running: Running, process: PlanProcess, action: actions.Action) -> None:
        match action:
            case actions.Survey():
                process.hear(self._survey(process.state))
            case actions.CloseExcess(quantity, number):
                self._close_excess(running, process, quantity, number)

    def _look_at_lines(self, process: LinesProcess, action: actions.Action) -> None:
        match action:
            case actions.Quote(symbols):
                process.quoted(self._lines.prices(symbols))
            case actions.CloseLine():
                process.closing_seen(action, self._lines.close(self, process.state, action), self._core.now)

    def _place(self, running: Running, intent: OrderIntent) -> None:
        self._owners[intent.client_order_id] = running
        self._core.send(intent)

    def _answered(self, running: Running, own: str, refusal: str | None) -> None:
        running.process.hear(news.Answered(own, refusal))
        self._wake(running)

    def _admit(self, running: Running) -> None:
        process = running.process
        if isinstance(process, PlanProcess):
            refusals = self._problems(process.state.intent)
            instrument = self._core.instruments().get(process.state.intent.symbol)
            process.hear(news.Admitted(refusals, instrument.tick_size if instrument is not None else None))
        else:
            refusals = self._lines.problems(process.state)
            process.hear(news.LinesAdmitted(refusals, tuple(piece.terms for piece in process.state.pieces)))
        if refusals:
            words = f"plan {running.intent.plan_id} was refused: {'; '.join(refusals)}"
            self.alerts.append((self._core.now, words))

    def _problems(self, intent: PlanIntent) -> tuple[str, ...]:
        refusals = [*self._core.guard.judge_plan(intent, self._core.now)]
        if intent.entry is None:
            ours = self.net(intent)
            held = max(closable(intent.product, ours) * intent.side.sign, 0)
            problem = claims.claim_problem(self, intent, held)
            refusals += [problem] if problem else []
        return tuple(dict.fromkeys(refusals))

    def _sync(self, running: Running) -> None:
        """Its orders are told as they move, and what was traded is known at once."""
        running.is_to_be_synced = False
        state = running.process.state
        by_others = claims.closed_by_others(self, state) if isinstance(state, PlanState) else claims.ByOthers()
        found = news.Recalled(
            orders=tuple(child.order for child in state.children()),
            missing=by_others.missing,
            oversold=by_others.oversold,
            book_read_at=NEVER,
            version=state.version,
        )
        running.process.synced(found, self._core.now)

    def _survey(self, state: PlanState) -> news.Surveyed:
        now = self._core.now
        opens = self._core.sessions.of(state.intent.symbol).session_at_or_after(now).opens
        missing = claims.closed_by_others(self, state).missing
        return news.Surveyed(missing=missing, opens_at=opens if opens > now else None)

    def _close_excess(self, running: Running, process: PlanProcess, quantity: int, number: int) -> None:
        intent = process.state.intent
        left, ours = claims.excess_left(self, intent, quantity), self.net(intent)
        closing = closing_of(intent, number, left, ours, ours)
        process.excess_seen(news.ExcessSeen(left=left, closing=closing), self._core.now)
        if closing is not None:
            self._place(running, closing)

    def _end(self, running: Running) -> None:
        running.ended_at, running.due = self._core.now, NEVER
        self._open[_shelf(running.intent)].pop(running.number, None)
        if running.place is None:
            return
        same = [each for each in self._all_open() if each.place == running.place]
        if same:
            self._of_late.setdefault(running.place, []).append(running)
        else:
            self._of_late.pop(running.place, None)

    def _refresh(self, running: Running) -> None:
        """How its orders stand at the end."""
        state = running.process.state
        before = recordable(state)
        refreshed(state, [live.order() for live in running.heard.values()])
        running.heard = {}
        if recordable(state) != before:
            self.changed[running.intent.plan_id] = state

    # `claims.Books`: what there is in the account.

    def plans(self, intent: PlanIntent, side: Side, since: datetime | None = None) -> list[PlanState]:
        place = (intent.symbol, intent.product, side)
        found = (each for each in self._open.get(intent.symbol, {}).values() if each.process.is_admitted)
        alike = [each for each in found if each.place == place]
        if since is not None:
            of_late = self._of_late.get(place, ())
            alike += [each for each in of_late if each.ended_at is not None and each.ended_at >= since]
        states = [each.process.state for each in alike]
        return [state for state in states if isinstance(state, PlanState) and not state.refusals]

    def refreshed(self, state: PlanState) -> PlanState:
        return state

    def net(self, intent: PlanIntent) -> int:
        return self._core.guard.holdings.position(intent.symbol, intent.product).quantity

    def others(self, intent: claims.Claim, since: datetime, until: datetime) -> int:
        whose, since = (*claims.BY_HAND, intent.strategy), since.replace(microsecond=0)
        closed = 0
        for each in self._orders():
            if each.symbol != intent.symbol or each.product is not intent.product or each.strategy not in whose:
                continue
            own = each.client_order_id
            trades, reason = (each.fills, each.intent.reason) if isinstance(each, Live) else (each.trades, each.reason)
            if trades and not claims.is_of_a_plan(own, reason):
                traded = sum(trade.quantity for trade in trades if since <= trade.at <= until)
                closed += traded if each.side is intent.exit_side else -traded
        return closed

    def open_exits(self, intent: PlanIntent) -> dict[str, int]:
        found = (live for live in self._core.live() if live.symbol == intent.symbol and live.product is intent.product)
        exits = (live for live in found if live.side is intent.exit_side)
        return {live.order_id: live.quantity - sum(fill.quantity for fill in live.fills) for live in exits}

    def _orders(self) -> Iterator[Live | Ended]:
        yield from self._core.ended()
        yield from self._core.live()


def _shelf(intent: AnyIntent) -> str:
    return intent.symbol if isinstance(intent, PlanIntent) else OF_LINES
