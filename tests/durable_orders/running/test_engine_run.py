"""`run --engines`: a strategy over an engine, for one session of the market on durable orders."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from durable_orders.engines import SessionEngine
from durable_orders.running import Plan, Why
from durable_orders.trading.orders.order import Order, Status, is_closing
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import (
    NAME,
    OPENS,
    SYMBOL,
    EngineScript,
    home_with_ticks,
    orders_of,
    run_on,
    wanted,
    write_ticks,
)

RESTING: dict[str, Any] = {"order_type": "LIMIT", "price": 1400.0}


def placing(own_id: str, side: str = "BUY", **terms: Any) -> Callable[[SessionEngine], Awaitable[Order]]:
    return lambda engine: engine.place_order(wanted(own_id, side, **terms))


async def names(home: Home) -> list[str]:
    found = (order.client_order_id for order in await orders_of(home))
    return ["closing" if is_closing(name) else name for name in found]


async def test_a_session_begins_with_its_first_tick_and_ends_squared_off(make_home: MakeHome, tmp_path: Path) -> None:
    """What is intraday is closed with the last tick, what is for delivery stays, and nothing comes after it."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    script = EngineScript({0: placing("a"), 1: placing("b", **RESTING), 2: placing("c", tags={"product": "CNC"})})
    summary = await run_on(home, script, Plan(engines=True))
    assert script.began_at == OPENS
    assert [(order.status, order.average_price) for order in script.answers] == [
        (Status.FILLED, Decimal(1500)),
        (Status.PLACED, None),
        (Status.FILLED, Decimal(1499)),
    ]
    assert (summary.ended, summary.ticks, script.ticks) == (Why.SQUARED_OFF, 7, 6)
    assert [(held.product, held.quantity) for held in summary.holdings] == [("CNC", 10)]
    assert (summary.orders, summary.realized_pnl) == ({Status.FILLED: 3, Status.CANCELLED: 1}, Decimal(10))
    closing = (await orders_of(home))[-1]
    assert (closing.strategy, closing.side, closing.reason) == (NAME, "SELL", "square-off")
    assert is_closing(closing.client_order_id)
    assert script.last_answer is not None
    assert (script.last_answer.status, script.last_answer.message) == (
        Status.REJECTED,
        "Guardian blocked: the session is over",
    )
    assert script.heard == [("a", "FILLED"), ("b", "PLACED"), ("c", "FILLED")]


async def test_no_entry_comes_after_the_square_off(make_home: MakeHome, tmp_path: Path) -> None:
    """Not even from a task that the strategy has left running."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    over = asyncio.Event()
    tasks: list[asyncio.Task[Order]] = []

    async def later(engine: SessionEngine) -> Order:
        async def enter() -> Order:
            await asyncio.wait_for(over.wait(), 60)
            return await engine.place_order(wanted("from-a-task"))

        tasks.append(asyncio.create_task(enter()))
        return await engine.place_order(wanted("a"))

    class Busy(EngineScript):
        async def on_stop(self, engine: SessionEngine) -> None:
            over.set()
            await tasks[0]

    script = Busy({0: later})
    summary = await run_on(home, script, Plan(engines=True, square_off=time(9, 15, 30)))
    assert (summary.ended, summary.holdings, script.ticks) == (Why.SQUARED_OFF, (), 3)
    assert tasks[0].result().status is Status.REJECTED
    assert await names(home) == ["a", "closing"]


async def test_run_again_it_finds_its_orders_and_its_position(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    async def interrupt(engine: SessionEngine) -> Order:
        loop.call_soon_threadsafe(stop.set)
        return await engine.place_order(wanted("b", **RESTING))

    first = EngineScript({0: placing("a"), 1: interrupt})
    interrupted = await run_on(home, first, Plan(engines=True), stop)
    assert (interrupted.ended, interrupted.open_orders, first.ticks) == (Why.INTERRUPTED, ("b",), 2)

    async def the_same(engine: SessionEngine) -> Order:
        held = await engine.position(SYMBOL)
        assert held.quantity == 10
        return await engine.place_order(wanted("a"))

    second = EngineScript({0: the_same, 1: lambda engine: engine.cancel_order("b")})
    summary = await run_on(home, second, Plan(engines=True))
    assert second.found == ["b"]
    assert [order.status for order in second.answers] == [Status.FILLED, Status.CANCELLED]
    assert await names(home) == ["a", "b", "closing"]
    assert (summary.ended, summary.holdings) == (Why.SQUARED_OFF, ())


async def test_an_order_of_another_strategy_stops_it_and_its_orders_are_dealt_with(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    script = EngineScript({0: placing("b", **RESTING), 1: placing("a", strategy="other")})
    summary = await run_on(home, script, Plan(engines=True))
    assert summary.ended == Why.FAILED
    assert summary.failure is not None
    assert "on_tick failed at stage.py line" in summary.failure
    assert "InvalidOrder: strategy: must be that of the run, few, was other" in summary.failure
    assert [order.status for order in await orders_of(home)] == [Status.CANCELLED]


async def test_an_order_that_cannot_be_expressed_is_one_line(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    summary = await run_on(home, EngineScript({0: placing("a", qty=0)}), Plan(engines=True))
    assert summary.failure is not None
    assert summary.failure.endswith("qty: must be greater than 0, was 0")
    assert "on_tick failed at stage.py line" in summary.failure
    assert len(summary.failure.splitlines()) == 1
