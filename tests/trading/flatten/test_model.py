"""The account, proved: whatever happens to positions, a flatten leaves no more exposure than there was, and says flat
only when the broker is flat in all that was asked."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from durable_orders.trading.config.exits import Exits
from durable_orders.trading.config.settings import Guardian
from durable_orders.trading.flatten.closing import Held, Key, closable, closing, targets
from durable_orders.trading.flatten.exits import Quote, WorkingExit
from durable_orders.trading.flatten.flatten import Flatten, Progress, Step
from durable_orders.trading.flatten.request import Difference, FlattenRequest, OrderOutcome
from durable_orders.trading.flatten.snapshot import Snapshot
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Mode, Order, OrderIntent, OrderType, Product, Status

INFY, FUTURE = "NSE:INFY", "NFO:NIFTY26NOVFUT"
KEYS: list[Key] = [(INFY, Product.MIS), (INFY, Product.CNC), (FUTURE, Product.NRML), (FUTURE, Product.MIS)]
STRATEGIES = ("first", "second")
LAGS = 3
"""Seconds that the broker's positions may lag behind its trades."""
SETTLES = 5.0
TICK = Decimal("0.05")
START = datetime(2026, 11, 2, 4, 30, tzinfo=UTC)


@dataclass
class World:
    """What the strategies, the account and the broker have; the ledger learns of what others did, or does not."""

    random: Random
    own: dict[str, Counter[Key]] = field(default_factory=lambda: {name: Counter() for name in STRATEGIES})
    others: Counter[Key] = field(default_factory=Counter)
    """Of the account, and of no strategy: adopted orders."""
    broker: Counter[Key] = field(default_factory=Counter)
    price: Decimal = Decimal(1000)
    shown: list[tuple[datetime, Counter[Key]]] = field(default_factory=list)
    """What the broker had, since when."""
    open: dict[str, Order] = field(default_factory=dict)
    over: dict[str, Order] = field(default_factory=dict)
    now: datetime = START

    def account(self, key: Key) -> int:
        return sum(self.own[name][key] for name in STRATEGIES) + self.others[key]

    # What happens.

    def trade(self) -> None:
        """A strategy buys or sells; delivery is not sold short."""
        name, key = self.random.choice(STRATEGIES), self.random.choice(KEYS)
        quantity = self.random.randint(-10, 10)
        if key[1].is_delivery:
            quantity = max(quantity, -max(min(self.broker[key], self.own[name][key]), 0))
        self.own[name][key] += quantity
        self.broker[key] += quantity

    def by_hand(self) -> None:
        """In the broker's own app; the account's watch adopts it, unless it was down."""
        key, quantity = self.random.choice(KEYS), self.random.randint(-10, 10)
        if key[1].is_delivery:
            quantity = max(quantity, -max(self.broker[key], 0))
        self.broker[key] += quantity
        if self.random.random() < 0.5:
            self.others[key] += quantity

    def converted(self) -> None:
        old, new = self.random.choice([((INFY, Product.MIS), (INFY, Product.CNC)), (KEYS[3], KEYS[2])])
        quantity = self.broker[old]
        if new[1].is_delivery:
            quantity = max(quantity, 0)
        self.broker[old] -= quantity
        self.broker[new] += quantity
        if self.random.random() < 0.3:
            self.others[old] -= quantity
            self.others[new] += quantity

    def squared_off(self) -> None:
        for key in [(INFY, Product.MIS), (FUTURE, Product.MIS)]:
            quantity, self.broker[key] = self.broker[key], 0
            if self.random.random() < 0.5:
                self.others[key] -= quantity

    def expired(self) -> None:
        for product in (Product.NRML, Product.MIS):
            self.broker[FUTURE, product] = 0

    def split(self) -> None:
        self.broker[INFY, Product.CNC] *= 5

    # What a flatten sees, and what comes of its orders.

    def snapshot(self, request: FlattenRequest, placed: list[str], how: Exits) -> Snapshot:
        self.show()
        as_of = self.now - timedelta(seconds=self.random.randint(0, LAGS))
        seen = next((held for at, held in reversed(self.shown) if at <= as_of), self.shown[0][1])
        account = {key: self.account(key) for key in KEYS if self.account(key)}
        own = {name: {key: held for key, held in self.own[name].items() if held} for name in STRATEGIES}
        at_broker = {key: max(seen[key], 0) if key[1].is_delivery else seen[key] for key in KEYS}
        limits = Guardian(max_order_quantity=7)
        quote = Quote(last=self.price, tick_size=TICK, takes_market=self.random.random() < 0.7)
        found = [each for each in targets([request], Held(account, own, at_broker), limits) if each.closable]
        asked = [key for key in KEYS if request.strategy is None or own[request.strategy].get(key)]
        over, self.over = [order for order_id, order in self.over.items() if order_id in placed], {}
        return Snapshot(
            state=AccountState.REDUCING,
            mode=Mode.LIVE,
            closings=tuple(closing(each, limits, None, self.price, None, quote) for each in found),
            over=tuple(str(order.order_id) for order in over),
            outcomes=tuple(OrderOutcome.of(order) for order in over),
            differences=tuple(
                Difference(symbol=key[0], product=key[1], ours=account.get(key, 0), theirs=seen[key])
                for key in asked
                if account.get(key, 0) != seen[key]
            ),
            settle_seconds=SETTLES,
            working=tuple(WorkingExit.of(order) for order in self.open.values()),
            exits=how,
        )

    def show(self) -> None:
        if not self.shown or self.shown[-1][1] != self.broker:
            self.shown.append((self.now, Counter(self.broker)))

    def do(self, step: Step) -> None:
        for cancel in step.cancels:
            order = self.open.pop(cancel.order.order_id, None)
            if order is not None:
                self.over[str(order.order_id)] = order.model_copy(update={"status": Status.CANCELLED})
        for change in step.changes:
            order = self.open[change.order_id]
            if self.random.random() < 0.8:
                terms = change.amendment.model_dump(exclude_none=True)
                self.open[change.order_id] = order.model_copy(update=terms)
        for intent in step.orders:
            self._take(intent)

    def _take(self, intent: OrderIntent) -> None:
        order = Order.from_intent(intent, self.now)
        refused = self.random.random() < 0.1
        status = Status.REJECTED if refused else Status.PLACED
        book = self.over if refused else self.open
        book[str(order.order_id)] = order.model_copy(update={"status": status, "broker_order_id": "1"})

    def trade_exits(self) -> None:
        """Somebody may take a part of what rests. It never makes a position larger, nor turns it around."""
        for order_id, order in list(self.open.items()):
            if self.random.random() < 0.6 and order.order_type is not OrderType.MARKET:
                continue
            quantity = self.random.choice([0, 1, order.remaining])
            if not quantity:
                continue
            key, signed = (order.symbol, order.product), order.side.sign * quantity
            before = self.broker[key]
            assert abs(before + signed) == abs(before) - quantity, f"{order.summary()} against {before}"
            self.broker[key] += signed
            self.show()
            holder = self.own.get(order.strategy, self.others)
            holder[key] += signed
            left = order.remaining - quantity
            del self.open[order_id]
            if left:
                self.open[order_id] = order.model_copy(update={"quantity": left, "status": Status.PLACED})
            else:
                self.over[order_id] = order.model_copy(update={"status": Status.FILLED})

    def moves(self) -> None:
        self.price += TICK * self.random.randint(-40, 40)


HAPPENINGS = ("trade", "trade", "trade", "by_hand", "converted", "squared_off", "expired", "split")


def flattened(world: World, request: FlattenRequest) -> Snapshot:
    """Until it is done: with pauses, in which nobody steps while the market goes on."""
    how = Exits(interval=1, alert_interval=10)
    flatten = Flatten(Progress(requests=(request,)), f"f{world.random.randint(0, 10**9)}")
    for _ in range(5_000):
        world.now += timedelta(seconds=world.random.choice([1, 1, 1, 60]))
        world.moves()
        seen = world.snapshot(request, list(flatten.progress.placed), how)
        step = flatten.step(seen, world.now)
        per_position = Counter((order.symbol, order.product) for order in world.open.values())
        world.do(step)
        assert all(count == 1 for count in per_position.values()), "one working exit of a position at a time"
        if step.is_done:
            assert not world.open
            return seen
        world.trade_exits()
        flatten = Flatten(Progress.model_validate_json(flatten.progress.model_dump_json()), flatten.key)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("seed", range(40))
def test_after_each_flatten_the_broker_is_flat_in_all_that_was_asked_or_it_is_said(seed: int) -> None:
    world = World(Random(seed))
    for number in range(6):
        for _ in range(world.random.randint(1, 6)):
            getattr(world, world.random.choice(HAPPENINGS))()
        strategy = world.random.choice([None, None, *STRATEGIES])
        request = FlattenRequest(
            account="a", reason=f"round {number}", who="a test", flatten=True, until_resumed=False, strategy=strategy
        )
        world.show()
        world.now += timedelta(minutes=1)
        before = Counter(world.broker)
        seen = flattened(world, request)
        for key in KEYS:
            assert abs(world.broker[key]) <= abs(before[key]), "no more exposure than before"
            assert world.broker[key] * before[key] >= 0, "nothing is turned around"
        said = {(each.symbol, each.product) for each in seen.differences}
        for key in KEYS:
            is_left = world.broker[key] > 0 if key[1].is_delivery else world.broker[key] != 0
            if strategy is not None:
                is_left = closable(key[1], world.own[strategy][key], world.account(key), world.broker[key]) != 0
            assert not is_left or key in said, f"{key}: {world.broker[key]} is left, and nobody says so"
