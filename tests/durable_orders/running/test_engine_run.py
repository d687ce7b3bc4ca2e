"""`run --engines`: a strategy over an engine, for one session of the market on durable orders."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.engines import SessionEngine
from durable_orders.running import Plan, Why
from durable_orders.trading.errors import InvalidOrder
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
            async with asyncio.timeout(60):
                await over.wait()
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


async def test_a_target_is_brought_about_beside_orders_that_are_awaited(make_home: MakeHome, tmp_path: Path) -> None:
    """What an order has just filled counts; a target is turned, put right after a sale, and not entered again once
    the session is over."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))

    async def with_an_order(engine: SessionEngine) -> Order:
        await engine.target(SYMBOL, 30)
        return await engine.place_order(wanted("a"))

    async def turned(engine: SessionEngine) -> Order:
        assert (await engine.position(SYMBOL)).quantity == 30
        await engine.target(SYMBOL, -10)
        return wanted("none")

    async def too_late(engine: SessionEngine) -> None:
        with pytest.raises(InvalidOrder, match=r"target: NSE:INFY: the session is over"):
            await engine.target(SYMBOL, 5)

    script = EngineScript({0: with_an_order, 1: turned, 2: placing("c", "SELL")})
    script.on_stop = too_late  # type: ignore[method-assign]
    summary = await run_on(home, script, Plan(engines=True))

    assert summary.failure is None
    found = [order.side.sign * order.quantity for order in await orders_of(home)]
    assert found == [10, 20, -40, -10, 10, 10]
    assert [name for name, _ in script.heard] == ["a", "few-1", "few-2", "c", "few-3"]
    assert (summary.ended, summary.holdings) == (Why.SQUARED_OFF, ())


@pytest.mark.parametrize("has_target", [True, False])
async def test_one_that_answers_each_order_with_another_is_stopped(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_target: bool
) -> None:
    for module in ("run", "engine_run"):
        monkeypatch.setattr(f"durable_orders.running.{module}.MOST_AT_ONCE", 5)
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))

    async def begin(engine: SessionEngine) -> Order:
        if has_target:
            await engine.target(SYMBOL, 30)
        return await engine.place_order(wanted("a"))

    async def another(engine: SessionEngine, order: Order) -> None:
        if order.status is Status.FILLED:
            await engine.place_order(wanted(f"{order.client_order_id}a"))

    script = EngineScript({0: begin})
    script.on_order = another  # type: ignore[method-assign]
    summary = await run_on(home, script, Plan(engines=True))
    assert summary.failure == "few: was told of 5 things at once, and asked for more each time"
    assert len(await names(home)) < 12


async def test_a_target_that_is_refused_is_given_up_and_what_is_no_quantity_is_said(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"), guardian={"max_order_quantity": 100})

    def to(quantity: Any) -> Callable[[SessionEngine], Awaitable[None]]:
        return lambda engine: engine.target(SYMBOL, quantity)

    summary = await run_on(home, EngineScript({0: to(20), 2: to(500), 4: to(0), 5: to(0.5)}), Plan(engines=True))

    assert summary.failure is not None
    assert "InvalidStrategy: target: quantity: must be a whole number, below 0 for short, was 0.5" in summary.failure
    found = [(order.side.sign * order.quantity, order.status.value) for order in await orders_of(home)]
    assert found == [(20, "FILLED"), (480, "REJECTED"), (-20, "FILLED")]


async def test_an_order_that_cannot_be_expressed_is_one_line(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    summary = await run_on(home, EngineScript({0: placing("a", qty=0)}), Plan(engines=True))
    assert summary.failure is not None
    assert summary.failure.endswith("qty: must be greater than 0, was 0")
    assert "on_tick failed at stage.py line" in summary.failure
    assert len(summary.failure.splitlines()) == 1
