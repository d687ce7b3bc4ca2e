"""A strategy's desk over durable orders: what it asks for is done when its callback has returned."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from durable_orders.orders import Orders
from durable_orders.running.sources import BEGINNING, FRESH, source_of
from durable_orders.running.view import View
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, InvalidStrategy, OrderNotFound
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.last_ticks import last_offer
from durable_orders.trading.ledger.plans import find_plan, orders_of_plan, views_of_strategy
from durable_orders.trading.ledger.reading import find_order, fingerprint_of, list_orders
from durable_orders.trading.ledger.strategy_states import (
    KeptChange,
    KeptClose,
    KeptOrders,
    KeptPlanCancel,
    KeptPlanChange,
)
from durable_orders.trading.ledger.told_positions import ToldPosition, told_positions
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import (
    Account,
    Amendment,
    ClientOrderId,
    Fill,
    Mode,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Status,
    Terms,
    order_id,
)
from durable_orders.trading.orders.terms import product_of
from durable_orders.trading.plans import kinds, standing
from durable_orders.trading.plans.kinds import AnyIntent, AnyState
from durable_orders.trading.plans.lines import UNCHANGEABLE
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.state import PlanState, PlanView
from durable_orders.trading.strategies.desk import AskingDesk, numbered_id, numbered_plan, of_whom
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.timers import Timers

LATE_TICKS = timedelta(seconds=1)
"""A live bar waits so long for ticks of its last moment: they are of the second in which the exchange sent them."""


@dataclass(frozen=True, slots=True)
class Place:
    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class Cancel:
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Amend:
    client_order_id: str
    change: Amendment


@dataclass(frozen=True, slots=True)
class Watch:
    """Of the ticks of these symbols: all from now on, or none."""

    symbols: tuple[str, ...]
    wanted: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Of a symbol and a product, or of all where that is `None`."""

    symbol: str | None
    product: Product | None
    reason: str

    def covers(self, symbol: str, product: Product) -> bool:
        return self.symbol in (None, symbol) and self.product in (None, product)


@dataclass(frozen=True, slots=True)
class StartPlan:
    intent: AnyIntent


@dataclass(frozen=True, slots=True)
class CancelPlan:
    plan_id: str
    reason: str
    flatten: bool


@dataclass(frozen=True, slots=True)
class ChangePlan:
    plan_id: str
    change: PlanChange


Asked = Place | Cancel | Amend | Close | Watch | StartPlan | CancelPlan | ChangePlan
IN_HAND = Amend | Close | StartPlan | CancelPlan | ChangePlan
"""What the server may not have yet when it is being done."""


class RunDesk(AskingDesk):
    """A `StrategyContext`. Its methods are called by the strategy, in the thread of its callbacks."""

    def __init__(
        self,
        orders: Orders,
        strategy: str,
        view: View,
        last_number: int,
        timers: Timers,
        state: State,
        last_plan: int = 0,
    ) -> None:
        """`last_number` is that of the strategy's last order that has a number for an id, `last_plan` that of such a
        plan; `timers` and `state` are as an earlier run has left them."""
        settings = orders.settings
        own = {"strategy": strategy, "account": settings.account, "mode": settings.execution.mode}
        freeze = settings.guardian.freeze_quantity
        contracts = Contracts(orders.instruments, lambda: self.now.date(), self.last_price, freeze)
        sessions = InstrumentSessions(settings.market, orders.instruments())
        super().__init__(own, self._next_id, lambda: contracts, timers, state, sessions)
        self.source = source_of(orders, sessions)
        self._is_live = settings.execution.mode is Mode.LIVE
        self._grace = LATE_TICKS if self._is_live else timedelta()
        self._orders = orders
        self._strategy = strategy
        self._number = last_number
        self._plan_number = last_plan
        self._new_plans: dict[str, AnyState] = {}
        """Plans that the ledger may not have yet."""
        self._asked: deque[Asked] = deque()
        self._in_hand: list[Asked] = []
        """What the server may not have yet."""
        self._closes: list[Close] = []
        """Those whose end the view does not show yet."""
        self.ended: list[Close] = []
        """Those of them that have ended."""
        self._intents: dict[str, str] = {}
        self._unrecorded: dict[str, Order] = {}
        self.view = view
        self.market_time: datetime | None = None
        self.begins_at: datetime | None = None
        """When a live market begins that shows what was recorded."""
        self.seen: dict[str, Tick] = {}
        """The last tick of each symbol that the run was shown."""

    def _next_id(self) -> str:
        return numbered_id(self._strategy, self._number + 1)

    @property
    def now(self) -> datetime:
        return (self.market_time or datetime.now(UTC)).astimezone(IST)

    @property
    def _market_time(self) -> datetime | None:
        """Before its first tick a market that replays may be of any day."""
        return self.market_time

    def place(self, intent: OrderIntent) -> ClientOrderId:
        intent = self._of_this_account(intent)
        known = self._intents.get(intent.client_order_id) or self._recorded(intent)
        if known is None:
            self._enter(intent)
        elif known != intent.fingerprint():
            raise DuplicateOrder(f"client_order_id: {intent.client_order_id} is the id of another order")
        return ClientOrderId(intent.client_order_id)

    def cancel(self, client_order_id: str) -> None:
        if self._is_open(client_order_id):
            self._asked.append(Cancel(client_order_id))

    def _change(self, client_order_id: str, change: Amendment) -> None:
        if self._is_open(client_order_id):
            self._asked.append(Amend(client_order_id, change))

    def _watch(self, symbols: Collection[str], *, wanted: bool) -> None:
        if not wanted:
            for symbol in symbols:
                self.seen.pop(symbol, None)
        self.ask(Watch(tuple(symbols), wanted))

    def order(self, client_order_id: str) -> Order:
        for order in self.open_orders():
            if order.client_order_id == client_order_id:
                return order
        with self._orders.database.read() as connection:
            found = find_order(connection, order_id(self._orders.settings.account, client_order_id))
        if found is None:
            raise OrderNotFound(f"no order {client_order_id}")
        return found

    def _close(self, symbol: str | None, product: Product | None, reason: str) -> None:
        self.ask(Close(symbol, product, reason))

    def _is_open(self, client_order_id: str) -> bool:
        """Raises `OrderNotFound`."""
        if any(order.client_order_id == client_order_id for order in self.open_orders()):
            return True
        with self._orders.database.read() as connection:
            found = find_order(connection, order_id(self._orders.settings.account, client_order_id))
        if found is None and client_order_id not in self._intents:
            raise OrderNotFound(f"no order {client_order_id}")
        return found is None or not found.status.terminal

    def quote(self, symbol: str) -> Tick | None:
        goes_on = self._is_live and self.begins_at is None
        if (seen := self.seen.get(symbol)) is not None and (not goes_on or _is_fresh(seen)):
            return seen
        with self._orders.database.read() as connection:
            found = last_offer(connection, self._orders.settings.account, symbol)
        kept = None if found is None else found[0].tick
        if not self._is_live or (kept is not None and _is_fresh(kept)):
            return kept
        asked = self.source.quote(symbol)
        if asked is None:  # an older price would be taken for that of now
            return None
        return max((each for each in (asked, seen, kept) if each is not None), key=lambda tick: tick.at)

    def _bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int) -> list[Bar]:
        at = self.market_time or self.begins_at
        if at is None:
            at = self.now if self._is_live else self._market_at() or BEGINNING
        return self.source.bars(symbol, interval, since, count, at)

    def _watches_since(self) -> datetime | None:
        if self.market_time is not None or self.begins_at is not None:
            return self.market_time
        return self.now if self._is_live else self._market_at()

    def _market_at(self) -> datetime | None:
        """The time of a paper market that goes on already."""
        with self._orders.database.read() as connection:
            market = read_market(connection, Account(self._orders.settings.account))
        return market.market_at if market is not None else None

    def funds(self) -> Funds | None:
        return self.source.funds()

    def _margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        return self.source.margin(priced)

    def orders(self) -> list[Order]:
        account = self._orders.settings.account
        with self._orders.database.read() as connection:
            found = list_orders(connection, account, strategy=self._strategy, newest_first=False)
        return [*found, *self._unrecorded.values()]

    def fills(self) -> list[Fill]:
        return sorted((fill for order in self.orders() for fill in order.fills), key=lambda fill: fill.at)

    def positions(self, of: str = "strategy") -> list[ToldPosition]:
        account = self._orders.settings.account
        if of_whom(of) == "strategy":
            held = [self.view.told(account, key) for key in sorted(self.view.positions)]
            return [each for each in held if each.quantity]
        with self._orders.database.read() as connection:
            found = told_positions(connection, account)
        if of == "broker":
            return [each for each in found if each.at_broker]
        return [each for each in found if each.quantity]

    def kept_asked(self, asked_at: datetime) -> KeptOrders:
        """What is asked for now, so that a run that dies before it was done leaves it behind. What trades at the market
        is not sent any more when it would be too late for it now."""
        to_do = self.to_do
        within = asked_at + timedelta(seconds=self._orders.settings.placing.market_deadline)
        placed = [each.intent for each in to_do if isinstance(each, Place)]
        return KeptOrders(
            placed=tuple(
                intent.model_copy(update={"place_by": within})
                if intent.place_by is None and intent.order_type in (OrderType.MARKET, OrderType.SL_M)
                else intent
                for intent in placed
            ),
            cancelled=tuple(each.client_order_id for each in to_do if isinstance(each, Cancel)),
            changed=tuple(
                KeptChange(client_order_id=each.client_order_id, change=each.change)
                for each in to_do
                if isinstance(each, Amend)
            ),
            closed=tuple(
                KeptClose(symbol=each.symbol, product=each.product, reason=each.reason)
                for each in to_do
                if isinstance(each, Close)
            ),
            plans=tuple(kinds.begun_by(each.intent, within) for each in to_do if isinstance(each, StartPlan)),
            plans_cancelled=tuple(
                KeptPlanCancel(plan_id=each.plan_id, reason=each.reason, flatten=each.flatten)
                for each in to_do
                if isinstance(each, CancelPlan)
            ),
            plans_changed=tuple(
                KeptPlanChange(plan_id=each.plan_id, change=each.change)
                for each in to_do
                if isinstance(each, ChangePlan)
            ),
        )

    def _start_plan(self, intent: AnyIntent) -> None:
        known = self._known_plan(intent.plan_id)
        if known is not None:
            if known.intent.fingerprint() != intent.fingerprint():
                raise DuplicateOrder(f"plan_id: {intent.plan_id} is the id of another plan: {known.intent.summary()}")
            return
        self.start_again(intent)

    def _planned(self, plan_id: str) -> AnyIntent | None:
        known = self._known_plan(plan_id)
        return None if known is None else known.intent

    def start_again(self, intent: AnyIntent) -> None:
        """Ask for a plan that is new, or that an earlier run was to start and may not have."""
        self._plan_number += intent.plan_id == self._next_plan_id()
        self._new_plans[intent.plan_id] = kinds.state_of(intent, self.now)
        self._asked.append(StartPlan(intent))

    def _change_plan(self, plan_id: str, change: PlanChange) -> None:
        state = self._state_of_plan(plan_id)
        if not isinstance(state, PlanState):
            raise InvalidOrder(UNCHANGEABLE)
        tick = self.seen.get(state.intent.symbol)
        if (problem := standing.problem_with(state, change, tick.last_price if tick is not None else None)) is not None:
            raise InvalidOrder(problem)
        self._asked.append(ChangePlan(plan_id, change))

    def cancel_plan(self, plan_id: str, *, flatten: bool = False, reason: str = "by the strategy") -> None:
        if not kinds.status_of(self._state_of_plan(plan_id)).terminal:
            self._asked.append(CancelPlan(plan_id, reason, flatten))

    def plan(self, plan_id: str) -> PlanView:
        return kinds.view_of(self._state_of_plan(plan_id))

    def plans(self, *, open_only: bool = True) -> list[PlanView]:
        account = self._orders.settings.account
        with self._orders.database.read() as connection:
            found = views_of_strategy(connection, account, self._strategy, open_only=False)
        recorded = {view.plan_id for view in found}
        new = [kinds.view_of(state) for own, state in self._new_plans.items() if own not in recorded]
        return [view for view in (*found, *new) if not (open_only and view.status.terminal)]

    def _next_plan_id(self) -> str:
        return numbered_plan(self._strategy, self._plan_number + 1)

    def _market_now(self, field: str) -> datetime:
        if self._market_time is None and not self._is_live:
            words = "the market's time is not known before its first tick: give a datetime, or ask later"
            raise InvalidStrategy(f"{field}: {words}")
        return self.now

    def _known_plan(self, plan_id: str) -> AnyState | None:
        """As it is recorded, with its orders as they are; or as it was asked for."""
        with self._orders.database.read() as connection:
            found = find_plan(connection, self._orders.settings.account, plan_id)
            if found is not None:
                return kinds.refreshed(found[0], orders_of_plan(connection, found[0].intent))
        return self._new_plans.get(plan_id)

    def _state_of_plan(self, plan_id: str) -> AnyState:
        found = self._known_plan(plan_id)
        if found is None:
            raise OrderNotFound(f"no plan {plan_id[:64]!r}")
        return found

    def open_orders(self) -> list[Order]:
        return [*self.view.open, *self._unrecorded.values()]

    def position(self, symbol: str, product: Product | str = Product.MIS) -> ToldPosition:
        return self.view.told(self._orders.settings.account, (symbol, product_of(product)))

    def is_being_closed(self, symbol: str, product: Product) -> bool:
        return any(each.covers(symbol, product) for each in tuple(self._closes))

    def see_ends(self, ended: Sequence[Close]) -> None:
        """The view shows what these closes have come to."""
        for each in ended:
            self._closes.remove(each)
            self.ended.remove(each)

    def ask(self, asked: Asked) -> None:
        if isinstance(asked, Close):
            self._closes.append(asked)
        self._asked.append(asked)

    def next_asked(self) -> Asked | None:
        """The oldest thing that was asked for, once."""
        if not self._asked:
            return None
        asked = self._asked.popleft()
        if isinstance(asked, IN_HAND):
            self._in_hand.append(asked)
        return asked

    def drop_orders(self) -> list[str]:
        """Of what was asked for, leave out the orders and changes that were not sent yet. Gives the orders' ids."""
        unsent = (Place, Amend, StartPlan, ChangePlan)
        dropped = [each for each in self._asked if isinstance(each, unsent)]
        self._asked = deque(each for each in self._asked if not isinstance(each, unsent))
        placed = [each.intent.client_order_id for each in dropped if isinstance(each, Place)]
        for own in placed:
            self.forget(own)
        plans = [each.intent.plan_id for each in dropped if isinstance(each, StartPlan)]
        for own in plans:
            self.forget_plan(own)
        return [*placed, *(f"plan {own}" for own in plans)]

    def forget_plan(self, plan_id: str) -> None:
        """It is not a plan of this run after all."""
        self._new_plans.pop(plan_id, None)

    def taken(self, asked: IN_HAND) -> None:
        """The server has it, or it came to nothing and that was told."""
        if asked in self._in_hand:
            self._in_hand.remove(asked)

    @property
    def to_do(self) -> tuple[Asked, ...]:
        """What the server does not have yet, as far as it matters to the next run."""
        return tuple(each for each in (*self._in_hand, *self._asked) if not isinstance(each, Watch))

    def see(self, view: View) -> None:
        """Show the strategy how things stand now."""
        self.view = view
        for own in view.recorded:
            self._unrecorded.pop(own, None)

    def adopt(self, order: Order) -> None:
        """An order of the strategy that the ledger does not have yet."""
        if order.strategy == self._strategy and not order.status.terminal:
            self._unrecorded.setdefault(order.client_order_id, order)

    def forget(self, client_order_id: str) -> None:
        """It is not an order of this run after all."""
        self._unrecorded.pop(client_order_id, None)

    @property
    def is_asking(self) -> bool:
        """Whether anything was asked for that was not begun."""
        return bool(self._asked)

    @property
    def has_asked(self) -> bool:
        """Whether anything was asked for that is not done."""
        return bool(self._asked or self._in_hand)

    @property
    def is_waiting(self) -> bool:
        """Whether anything that was asked for is not done, or an order of the strategy is on its way: none is that
        rests at the exchange, as it was recorded."""
        return bool(self._unrecorded) or self.has_asked or not all(map(_rests, self.view.open))

    @property
    def unrecorded(self) -> list[str]:
        """Client order ids of orders that the ledger does not have yet."""
        return list(self._unrecorded)

    def _enter(self, intent: OrderIntent) -> None:
        if intent.client_order_id == self._next_id():
            self._number += 1
        self._intents[intent.client_order_id] = intent.fingerprint()
        self.adopt(Order.from_intent(intent, datetime.now(UTC)))
        self._asked.append(Place(intent))

    def _of_this_account(self, intent: OrderIntent) -> OrderIntent:
        """An intent that does not say whose it is is this account's. Raises `InvalidOrder` for another's."""
        own = {name: self._own[name] for name in ("account", "mode")}
        for name, value in own.items():
            if name in intent.model_fields_set and getattr(intent, name) != value:
                raise InvalidOrder(f"{name}: must be that of the run, {value}, was {getattr(intent, name)}")
        return intent.model_copy(update=own)

    def _recorded(self, intent: OrderIntent) -> str | None:
        with self._orders.database.read() as connection:
            return fingerprint_of(connection, intent.order_id)


def _rests(order: Order) -> bool:
    return order.status in (Status.PLACED, Status.PARTIAL) and not order.cancel_requested


def _is_fresh(tick: Tick) -> bool:
    """Whether it came less than a second ago: its time is that of the second in which the exchange sent it."""
    return datetime.now(UTC) - tick.at < FRESH + LATE_TICKS
