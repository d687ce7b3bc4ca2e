"""Random schedules of plans and prices in a backtest: never more out than in, at every step that an order takes."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.orders import Ended, Live
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderIntent, plan_of
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.standing import status_of
from durable_orders.trading.plans.state import PlanState, PlanStatus

INFY = "NSE:INFY"
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
SESSION = Session(OPENS.date(), OPENS, OPENS + timedelta(hours=6, minutes=15))
INSTRUMENTS = Instruments.shipped()
PAPERS: list[dict[str, Any]] = [
    {"slippage_enabled": False},
    {"latency_enabled": True, "latency_ms": 1500, "cancel_latency_ms": 400},
    {"volume_limit_enabled": True, "volume_limit": "0.3"},
    {"partial_fill_enabled": True, "partial_fill_probability": 0.6, "seed": 5},
]
OVER = (PlanStatus.CLOSED, PlanStatus.CANCELLED, PlanStatus.REJECTED)
STEPS = st.one_of(
    st.tuples(st.just("price"), st.integers(950, 1060), st.sampled_from([0, 4, 40])),
    st.tuples(st.just("price"), st.integers(985, 1025), st.sampled_from([0, 4, 40])),
    st.tuples(st.just("passes"), st.sampled_from([0.4, 1.1, 5, 31])),
    st.tuples(st.just("plan"), st.sampled_from(["BUY", "SELL"]), st.integers(0, 5), st.sampled_from([None, 0, 5])),
    st.tuples(st.just("cancel"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("amend"), st.integers(0, 3), st.integers(960, 1050)),
    st.tuples(st.just("cancel_exit"), st.integers(0, 3)),
)
OTHERS = st.one_of(STEPS, st.tuples(st.just("sells"), st.integers(1, 20)), st.tuples(st.just("closes")))
SHAPES: list[dict[str, Any]] = [
    {"targets": ({"price": 20},)},
    {"targets": ({"price": 10, "quantity": 5}, {"price": 20})},
    {"trail": 8},
    {"break_even": 9, "targets": ({"price": 30},)},
    {"limit": 1, "targets": ({"price": 20},)},
    {},
]


class World:
    """One account. After every step of an order its plans are looked at, at the exchange and by their own word."""

    def __init__(self, paper: dict[str, Any]) -> None:
        own = Settings.model_validate({"execution": {"paper": paper}})
        self.core = Core(own, INSTRUMENTS, OPENS, {"few"}, self.check)
        self.plans = self.core.driver()
        self.names: list[str] = []
        self.volume = 1000
        self.at = OPENS
        self.tick("1000", 0)

    def check(self, _live: Live | None = None) -> None:
        entered: dict[str, int] = {}
        out: dict[str, int] = {}
        orders: list[Live | Ended] = [*self.core.ended(), *self.core.live()]
        for each in orders:
            plan = plan_of(each.client_order_id)
            if plan is None:
                continue
            filled = sum(fill.quantity for fill in each.fills)
            if each.client_order_id.endswith(".entry"):
                entered[plan] = filled
            else:
                out[plan] = out.get(plan, 0) + (filled if each.status.terminal else max(each.quantity, filled))
        for plan, most in out.items():
            assert most <= entered.get(plan, 0), plan

    def tick(self, price: str, volume: int) -> None:
        self.volume += volume
        self.at += timedelta(milliseconds=200)
        self.pass_time(self.at)
        self.core.on_tick(Tick(INFY, Decimal(price), self.at, self.volume), SESSION)

    def pass_time(self, until: datetime) -> None:
        while self.plans.next_at < until:
            self.core.pass_time(self.plans.next_at)
            self.plans.go_on()

    def happen(self, step: tuple[Any, ...]) -> None:
        what, *told = step
        match what:
            case "price":
                self.tick(str(told[0]), told[1])
            case "passes":
                self.at += timedelta(seconds=told[0])
                self.pass_time(self.at)
                self.core.pass_time(self.at)
            case "plan":
                self.begin(*told)
            case "sells":
                name = f"o-{len(list(self.core.ended())) + len(list(self.core.live()))}-{told[0]}-{self.at:%H%M%S%f}"
                own = {"symbol": INFY, "side": "SELL", "quantity": told[0], "client_order_id": name, "strategy": "few"}
                self.core.send(OrderIntent(**own))
            case "closes":
                self.core.close_out("few", INFY, None, "by hand")
            case _ if self.names:
                getattr(self, what)(self.names[-1 - told[0] % len(self.names)], *told[1:])
        self.plans.go_on()

    def begin(self, side: str, shape: int, limit: int | None) -> None:
        sign, price = (1 if side == "BUY" else -1), int(self.core.exchange.last_price(INFY) or 0)
        entry = {} if limit is None else {"order_type": "LIMIT", "price": price - sign * limit}
        stop: dict[str, Any] = {"trigger_price": price - sign * 12}
        told = SHAPES[shape]
        stop |= {"trail": told["trail"]} if "trail" in told else {}
        stop |= {"break_even": price + sign * told["break_even"]} if "break_even" in told else {}
        stop |= {"limit_price": price - sign * 13} if "limit" in told else {}
        targets = tuple(each | {"price": price + sign * each["price"]} for each in told.get("targets", ()))
        own = {"plan_id": f"p{len(self.names)}", "strategy": "few", "symbol": INFY, "side": side, "quantity": 12}
        running = self.plans.add(PlanIntent(**own, entry=entry, stop=stop, targets=targets))
        assert running is not None
        self.names.append(running.intent.plan_id)
        self.plans.begin(running)

    def cancel(self, plan: str, flatten: bool) -> None:
        self.plans.cancel(plan, "by hand", flatten=flatten)

    def amend(self, plan: str, stop: int) -> None:
        try:
            self.plans.change(plan, PlanChange(stop=Decimal(stop)))
        except InvalidOrder:
            return

    def cancel_exit(self, plan: str) -> None:
        """Somebody takes the stop away."""
        for live in list(self.core.live()):
            if live.client_order_id.startswith(f"{plan}.exit"):
                self.core.withdraw(live, "by hand")

    def settle(self) -> None:
        for plan in self.names:
            self.cancel(plan, flatten=True)
        for _ in range(40):
            self.at += timedelta(seconds=31)
            self.tick("1000", 500)

    @property
    def held(self) -> int:
        """By the plans' own word."""
        return sum(self.state(plan).held * self.state(plan).intent.side.sign for plan in self.names)

    def state(self, plan: str) -> PlanState:
        found = self.plans.state(plan)
        assert isinstance(found, PlanState)
        return found

    @property
    def position(self) -> int:
        return sum(each.quantity for each in self.core.positions())


@settings(max_examples=80)
@given(st.sampled_from(PAPERS), st.lists(STEPS, max_size=40))
def test_never_more_out_than_in_and_the_plans_hold_what_the_account_has(
    paper: dict[str, Any], steps: list[tuple[Any, ...]]
) -> None:
    world = World(paper)
    for step in steps:
        world.happen(step)
        world.check()
        assert world.held == world.position
    world.settle()
    assert world.held == world.position
    for state in map(world.state, world.names):
        assert status_of(state) in ((PlanStatus.LEFT,) if state.held else OVER)


@settings(max_examples=60)
@given(st.sampled_from(PAPERS), st.lists(OTHERS, max_size=40))
def test_whatever_the_strategy_sells_beside_them(paper: dict[str, Any], steps: list[tuple[Any, ...]]) -> None:
    world = World(paper)
    for step in steps:
        world.happen(step)
        world.check()
    world.settle()
    assert all(status_of(world.state(plan)).terminal for plan in world.names)
