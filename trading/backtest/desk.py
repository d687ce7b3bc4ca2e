"""A strategy's desk over the core: what it asks for is done when its callback has returned."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.ledger.told_positions import ToldPosition
from durable_orders.trading.market.bars import Bar
from durable_orders.trading.market.contracts import Contracts
from durable_orders.trading.market.recorded_bars import PlayedBars
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import Funds
from durable_orders.trading.orders.order import (
    Amendment,
    ClientOrderId,
    Fill,
    Order,
    OrderIntent,
    Product,
    Terms,
    new_client_order_id,
)
from durable_orders.trading.orders.terms import product_of
from durable_orders.trading.plans.kinds import AnyIntent, view_of
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.state import PlanView
from durable_orders.trading.strategies.desk import AskingDesk, numbered_plan, of_whom
from durable_orders.trading.strategies.state import State
from durable_orders.trading.strategies.timers import Timers


class BacktestDesk(AskingDesk):
    """A `StrategyContext`. `ids` makes the ids of orders without one."""

    def __init__(self, core: Core, strategy: str, account: str, ids: Callable[[], str] = new_client_order_id) -> None:
        self._core = core
        contracts = Contracts(core.instruments, lambda: core.now.date(), core.exchange.last_price, core.freeze)
        own = {"strategy": strategy, "account": account}
        super().__init__(own, ids, lambda: contracts, Timers(), State(), core.sessions)
        self._strategy = strategy
        self._plan_number = 0
        self._asked: deque[Callable[[], None]] = deque()
        self._closes: list[tuple[str | None, Product | None]] = []
        """What is to be closed, and was not begun."""
        self._held, self._wanted = self.state.held, self.targets.wanted
        self.recorded = PlayedBars((), lambda: iter(()), lambda: 0, core.sessions)
        """What has been shown, as bars."""

    @property
    def now(self) -> datetime:
        return self._core.now

    def place(self, intent: OrderIntent) -> ClientOrderId:
        return self.place_named(intent, intent.client_order_id)

    def place_named(self, intent: OrderIntent, name: str) -> ClientOrderId:
        live = self._core.ask(intent, name)
        if live is not None:
            self._asked.append(partial(self._core.submit, live))
        return ClientOrderId(name)

    def cancel(self, client_order_id: str) -> None:
        self._core.find(client_order_id)
        self._asked.append(lambda: self._core.cancel(client_order_id, f"by {self._strategy}"))

    def _watches_since(self) -> datetime | None:
        return self.now if self._core.exchange.session is not None else None

    def _bars(self, symbol: str, interval: timedelta, since: datetime | None, count: int) -> list[Bar]:
        return self.recorded.until(symbol, interval, self.now)

    def funds(self) -> Funds | None:
        return self._core.exchange.funds()

    def _margin(self, priced: Sequence[tuple[Terms, Decimal]]) -> Decimal:
        return self._core.margin(priced)

    def quote(self, symbol: str) -> Tick | None:
        last = self._core.exchange.last(symbol)
        return None if last is None else last.offer.tick

    def orders(self) -> list[Order]:
        return [each.order() for each in self._all()]

    def fills(self) -> list[Fill]:
        """As orders do: those of one moment stay in the order of their orders."""
        return sorted((fill for each in self._all() for fill in each.order().fills), key=lambda fill: fill.at)

    def positions(self, of: str = "strategy") -> list[ToldPosition]:
        guard = self._core.guard
        book = guard.of_strategy(self._strategy) if of_whom(of) == "strategy" else guard.holdings
        held = [each for each in book.positions() if each.quantity]
        told = [ToldPosition.of(own, guard.holdings.position(own.symbol, own.product).quantity) for own in held]
        return sorted(told, key=lambda each: (each.symbol, each.product))

    def open_orders(self) -> list[Order]:
        return [live.order() for live in self._core.live() if self._is_mine(live)]

    def position(self, symbol: str, product: Product | str = Product.MIS) -> ToldPosition:
        of = product_of(product)
        own = self._core.guard.of_strategy(self._strategy).position(symbol, of)
        return ToldPosition.of(own, self._core.guard.holdings.position(symbol, of).quantity)

    def order(self, client_order_id: str) -> Order:
        return self._core.order(client_order_id)

    def _watch(self, symbols: Collection[str], *, wanted: bool) -> None:
        """All that was recorded is shown anyway."""

    def _change(self, client_order_id: str, change: Amendment) -> None:
        self._core.find(client_order_id)
        self._asked.append(lambda: self._core.change(client_order_id, change))

    def _close(self, symbol: str | None, product: Product | None, reason: str) -> None:
        close = symbol, product
        self._closes.append(close)

        def begin() -> None:
            self._closes.remove(close)
            self._core.close_out(self._strategy, symbol, product, reason)

        self._asked.append(begin)

    def is_being_closed(self, symbol: str, product: Product) -> bool:
        is_asked = any(each in (None, symbol) and of in (None, product) for each, of in self._closes)
        return is_asked or self._core.flatten.closes(self._strategy, symbol, product)

    def _start_plan(self, intent: AnyIntent) -> None:
        driver = self._core.driver()
        running = driver.add(intent)
        if running is not None:
            self._plan_number += intent.plan_id == self._next_plan_id()
            self._asked.append(partial(driver.begin, running))

    def _planned(self, plan_id: str) -> AnyIntent | None:
        return self._core.driver().intent(plan_id)

    def _change_plan(self, plan_id: str, change: PlanChange) -> None:
        driver = self._core.driver()
        driver.must_be_possible(plan_id, change)
        self._asked.append(lambda: driver.change(plan_id, change))

    def cancel_plan(self, plan_id: str, *, flatten: bool = False, reason: str = "by the strategy") -> None:
        driver = self._core.driver()
        driver.state(plan_id)
        self._asked.append(lambda: driver.cancel(plan_id, reason, flatten=flatten))

    def plan(self, plan_id: str) -> PlanView:
        return view_of(self._core.driver().state(plan_id))

    def plans(self, *, open_only: bool = True) -> list[PlanView]:
        plans = self._core.plans
        return plans.views(self._strategy, open_only=open_only) if plans is not None else []

    def _next_plan_id(self) -> str:
        return numbered_plan(self._strategy, self._plan_number + 1)

    def _all(self) -> list[Live | Ended]:
        """Oldest first."""
        known: list[Live | Ended] = [*self._core.ended(), *self._core.live()]
        mine = [each for each in known if each.strategy == self._strategy]
        return sorted(mine, key=lambda each: each.number)

    @property
    def is_idle(self) -> bool:
        """Whether a callback has asked for nothing, and keeps nothing."""
        return not (self._asked or self._held or self.state.touched or self._wanted)

    def do_one(self) -> bool:
        """The oldest thing that was asked for; `False` if there is none."""
        if not self._asked:
            return False
        self._asked.popleft()()
        return True

    def _is_mine(self, live: Live) -> bool:
        return live.strategy == self._strategy
