"""What is done to the system, and when: a schedule that hangs on its seed alone.

The timing of what follows from it does not: processes are as fast as the machine lets them be.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from chaos.faults import some_faults
from chaos.operators import Act, BackUp, Operate, some_acts
from chaos.venue import INFY, SBIN
from durable_orders.sandbox import FaultRule
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.orders.order import Amendment, OrderType, Product, Side, Validity

RELIANCE = "NSE:RELIANCE"
NIFTY = "NFO:NIFTY25MAYFUT"
SHARES = {INFY: Decimal(1500), SBIN: Decimal(810), RELIANCE: Decimal(1400)}
PRICES = SHARES | {NIFTY: Decimal(24400)}
"""NIFTY is for autoslice: shares have no freeze quantity."""
STEP = {INFY: Decimal("0.1"), SBIN: Decimal("0.05"), RELIANCE: Decimal("0.1"), NIFTY: Decimal("0.5")}
LOT, MOST_LOTS = 75, 60
"""Of NIFTY; Kite takes 24 lots in one order, so that the largest are three slices."""
BAND = Decimal("0.05")
"""Prices stay so near to where they began: no order is refused for its distance."""
LIMIT, MARKET, SL, SL_M = OrderType.LIMIT, OrderType.MARKET, OrderType.SL, OrderType.SL_M
PRODUCTS = (Product.MIS, Product.MIS, Product.MIS, Product.CNC)
"""Kite rejects a sale by delivery of what is not held, after its receipt."""
SHORT, LONG = (5.0, 15.0, 30.0), (8.0, 60.0, 3600.0)
"""Seconds from placing to deadline: of what fires at the market, and of the rest."""
TYPES, WEIGHTS = (LIMIT, MARKET, SL, SL_M), (55, 25, 12, 8)


@dataclass(frozen=True, slots=True)
class Place:
    number: int
    terms: dict[str, Any]
    lives: timedelta
    """From its placing to its deadline."""


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class Amend:
    number: int
    change: Amendment


@dataclass(frozen=True, slots=True)
class Move:
    symbol: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class Arm:
    rule: FaultRule


@dataclass(frozen=True, slots=True)
class Disarm:
    kind: FaultKind


@dataclass(frozen=True, slots=True)
class KillWorker:
    which: int
    away: float
    """Seconds until it is started again."""


@dataclass(frozen=True, slots=True)
class KillServer:
    away: float


Step_ = Place | Cancel | Amend | Move | Arm | Disarm | KillWorker | KillServer | Operate | BackUp


@dataclass(frozen=True, slots=True)
class Moment:
    at: float
    """Seconds from the beginning."""
    step: Step_


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule is made of."""

    seed: int
    orders: int
    faults: int
    worker_kills: int
    server_kills: int
    workers: int = 1
    orders_per_second: float = 3.0
    acts: int = 0
    """Of operators."""
    only: frozenset[Act] = frozenset()
    """Kinds of acts; all of them if none is named."""


def schedule(plan: Plan) -> list[Moment]:
    """The same for the same plan, always. Sorted by time."""
    random = Random(f"{plan.seed}")
    lasts = plan.orders / plan.orders_per_second
    moments = [*_market(random, lasts), *_orders(random, plan.orders, lasts), *_faults(random, plan.faults, lasts)]
    moments += _spread(
        random, plan.worker_kills, lasts, lambda: KillWorker(random.randrange(plan.workers), random.uniform(0, 2))
    )
    moments += _spread(random, plan.server_kills, lasts, lambda: KillServer(random.uniform(0, 2)))
    acts = some_acts(random, plan.acts, plan.orders, plan.workers, lasts, plan.only)
    moments += [Moment(at, step) for at, step in acts]
    return sorted(moments, key=lambda moment: moment.at)


def _market(random: Random, lasts: float) -> Iterator[Moment]:
    """Each price takes a step of up to ten ticks some twice a second."""
    prices = dict(PRICES)
    at = 0.0
    while at < lasts + 5:
        symbol = random.choice(list(PRICES))
        start = PRICES[symbol]
        moved = prices[symbol] + random.randint(-10, 10) * STEP[symbol]
        prices[symbol] = min(max(moved, _on_tick(start * (1 - BAND), symbol)), _on_tick(start * (1 + BAND), symbol))
        yield Moment(at, Move(symbol, prices[symbol]))
        at += random.expovariate(2.0)


def _orders(random: Random, count: int, lasts: float) -> Iterator[Moment]:
    for number, at in enumerate(sorted(random.uniform(0, lasts) for _ in range(count))):
        order_type = random.choices(TYPES, WEIGHTS)[0]
        terms = _terms(random, order_type)
        if order_type in (LIMIT, MARKET) and random.random() < 0.15:
            terms = _split(random, order_type)
        lives = random.choice(SHORT if order_type in (MARKET, SL_M) else LONG)
        yield Moment(at, Place(number, terms, timedelta(seconds=lives)))
        if random.random() < 0.3:
            yield Moment(at + random.choice((0.0, 0.2, random.uniform(0, 8))), Cancel(number))
        if random.random() < 0.25:
            yield Moment(at + random.uniform(0.1, 6), Amend(number, _change(random, terms)))


def _terms(random: Random, order_type: OrderType) -> dict[str, Any]:
    symbol = random.choice(list(SHARES))
    side = random.choice((Side.BUY, Side.SELL))
    near = PRICES[symbol] + random.randint(-30, 30) * STEP[symbol]
    content: dict[str, Any] = {"symbol": symbol, "side": side, "order_type": order_type}
    content |= {"quantity": random.randint(1, 60), "product": random.choice(PRODUCTS)}
    if order_type.has_trigger:
        content["trigger_price"] = near
    if order_type.has_price:
        content["price"] = near + side.sign * (5 * STEP[symbol] if order_type.has_trigger else 0)
    if not order_type.has_trigger and random.random() < 0.1:
        content["validity"] = Validity.IOC
    return content


def _split(random: Random, order_type: OrderType) -> dict[str, Any]:
    """An order of which Kite makes several: an iceberg, or one above the freeze quantity, sometimes."""
    if order_type is LIMIT and random.random() < 0.5:
        legs, size = random.randint(2, 4), random.randint(3, 20)
        content = _terms(random, LIMIT) | {"quantity": legs * size - random.randint(0, size - 1)}
        return content | {"validity": Validity.DAY, "instructions": {"iceberg_legs": legs, "iceberg_quantity": size}}
    content = {"symbol": NIFTY, "side": random.choice((Side.BUY, Side.SELL)), "order_type": order_type}
    content |= {"quantity": LOT * random.randint(1, MOST_LOTS), "instructions": {"autoslice": True}}
    near = PRICES[NIFTY] + random.randint(-30, 30) * STEP[NIFTY]
    return content | ({"price": near} if order_type is LIMIT else {})


def _change(random: Random, terms: dict[str, Any]) -> Amendment:
    """A new total, or another price; not all of them are possible, as with people."""
    if terms.get("price") is None or random.random() < 0.4:
        return Amendment(quantity=random.randint(1, 120))
    return Amendment(price=terms["price"] + random.randint(-20, 20) * STEP[terms["symbol"]])


def _faults(random: Random, count: int, lasts: float) -> Iterator[Moment]:
    """At least so many: some come in pairs."""
    armed = 0
    while armed < count:
        at, rules = random.uniform(0, lasts), some_faults(random)
        armed += len(rules)
        for rule in rules:
            yield Moment(at, Arm(rule))
            if rule.probability is not None:
                yield Moment(at + random.uniform(1, 6), Disarm(rule.kind))


def _spread(random: Random, count: int, lasts: float, make: Callable[[], Step_]) -> list[Moment]:
    return [Moment(random.uniform(0.1, 0.9) * lasts, make()) for _ in range(count)]


def _on_tick(price: Decimal, symbol: str) -> Decimal:
    return (price / STEP[symbol]).to_integral_value() * STEP[symbol]
