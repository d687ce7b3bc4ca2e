"""What a tick reaches, asked of the working orders in memory, is what the exchange's table says of it; and ticks that
reach nothing, shown together, are as if each had been shown alone."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange import rows
from durable_orders.trading.exchange.reach import Waiting
from durable_orders.trading.ledger.plans import record_plan
from durable_orders.trading.market.ticks import Depth, Level, Tick
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.state import PlanState
from tests.trading.exchange.exchange import (
    ACCOUNT,
    INFY,
    OPENS,
    TCS,
    Exchange,
    Opened,
    approved,
    limit,
    session_of,
    stop,
)

MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "spread": {"spread_enabled": True, "spread_bps": 12},
    "depth": {"depth_enabled": True},
    "queue": {"queue_enabled": True, "depth_enabled": True},
    "parts": {"partial_fill_enabled": True, "partial_fill_probability": 0.3},
}
HALF = Decimal("0.025")


def tick_of(chance: random.Random, second: int) -> Tick:
    """Around 1500, some with a quote, a book, or one of which a side is empty."""
    price = 1500 + Decimal(chance.randint(-80, 80)) / 20
    at, symbol = OPENS + timedelta(seconds=second), chance.choice((INFY, INFY, TCS))
    kind = chance.choice(("bare", "quoted", "book", "thin"))
    below, above = price - Decimal("0.05"), price + Decimal("0.05")
    if kind == "quoted":
        return Tick(symbol, price, at, 100 * second, below, above)
    if kind == "bare":
        return Tick(symbol, price + (HALF if chance.random() < 0.2 else 0), at)
    asks = () if kind == "thin" else (Level(above, chance.randint(1, 40)),)
    return Tick(symbol, price, at, 100 * second, depth=Depth((Level(below, chance.randint(1, 40)),), asks))


def place_some(exchange: Exchange, chance: random.Random) -> None:
    """Under ids that are the same each time: on them hangs which part of an order is filled."""
    for _ in range(6):
        side, symbol = chance.choice(("BUY", "SELL")), chance.choice((INFY, TCS))
        price = f"{1500 + Decimal(chance.randint(-60, 60)) / 20}"
        terms = chance.choice((limit(price), stop(price), limit(price), {}))
        if terms.get("trigger_price") is not None and chance.random() < 0.5:
            terms = stop(price, f"{Decimal(price) + (1 if side == 'BUY' else -1)}")
        own = f"own-{chance.getrandbits(64)}"
        exchange.broker.place(approved(symbol=symbol, side=side, client_order_id=own, **terms))


@pytest.mark.parametrize("models", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_a_tick_reaches_what_the_table_says(opened: Opened, models: dict[str, Any], seed: int) -> None:
    exchange, chance = opened(Paper(slippage_enabled=False, **models)), random.Random(seed)
    exchange.show("1500")
    place_some(exchange, chance)
    found = set[bool]()
    for second in range(2, 150):
        tick = tick_of(chance, second)
        with exchange.database.read() as connection:
            waiting = Waiting(rows.working_orders(connection, ACCOUNT), exchange.settings)
            reached = rows.candidates(connection, ACCOUNT, tick, exchange.settings)
        assert waiting.is_reached(tick) is bool(reached)
        found.add(bool(reached))
        if second % 10 == 0:
            exchange.market.on_ticks([tick], session_of(OPENS.date()), session_of(OPENS.date()).closes)
            place_some(exchange, chance)
    assert found == {True, False}


@pytest.mark.parametrize("models", MODELS.values(), ids=MODELS.keys())
def test_idle_ticks_change_nothing_and_the_next_one_may(opened: Opened, models: dict[str, Any]) -> None:
    exchange, chance = opened(Paper(slippage_enabled=False, **models)), random.Random(7)
    session = session_of(OPENS.date())
    exchange.show("1500")
    counts = list[int]()
    for begin in range(2, 400, 20):
        place_some(exchange, chance)
        ticks = [tick_of(chance, begin + number) for number in range(20)]
        idle = exchange.market.idle_for(ticks, session)
        book = exchange.broker.order_book()
        counts.append(idle)
        if idle:
            assert exchange.market.on_ticks(ticks[:idle], session, session.closes) == []
            assert exchange.broker.order_book() == book
        if idle < len(ticks):
            exchange.market.on_ticks(ticks[idle : idle + 1], session, session.closes)
    assert any(counts)
    assert any(count < 20 for count in counts)


def test_no_tick_is_idle_for_an_open_plan_but_for_one_that_is_minded(opened: Opened) -> None:
    exchange = opened(Paper())
    session, ticks = session_of(OPENS.date()), [Tick(INFY, Decimal(1500), OPENS + timedelta(seconds=2))]
    exchange.show("1500")
    with exchange.database.write() as connection:
        for own in ("mine", "others"):
            terms: dict[str, Any] = {"symbol": INFY, "side": "BUY", "quantity": 1, "entry": {}}
            plan = PlanIntent(plan_id=own, strategy="s", account=ACCOUNT, stop={"trigger_price": "1400"}, **terms)
            record_plan(connection, PlanState.of(plan, OPENS), None, None, OPENS)
    minded = [exchange.market.idle_for(ticks, session, each) for each in ((), ("mine",), ("mine", "others"))]
    assert minded == [0, 0, 1]
