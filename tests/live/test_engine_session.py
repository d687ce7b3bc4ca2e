"""`run --engines --live`: a session over the live engine against the sandbox, interrupted, and squared off."""

import asyncio
from datetime import time

from chaos.venue import INFY
from durable_orders.engines import SessionEngine
from durable_orders.orders import Orders
from durable_orders.running import Plan, Summary, Why
from durable_orders.running.kite_market import KiteMarket
from durable_orders.running.session import Market, perform, run_of
from durable_orders.trading.orders.order import Mode, Order, Side, Status
from durable_orders.trading.strategies.files import Loaded
from tests.conftest import until
from tests.durable_orders.running.stage import NAME, EngineScript, wanted
from tests.live.desk import Desk

LATE, EARLY = time.max, time(0, 0, 1)


async def session(desk: Desk, script: EngineScript, square_off: time, stop: asyncio.Event) -> Summary:
    plan = Plan(live=True, engines=True, square_off=square_off)
    loaded = Loaded(script, NAME)  # type: ignore[arg-type]
    run = run_of(plan, desk.orders, Orders(desk.home.path), loaded, waits=False)
    try:
        return await perform(run, Market(source=KiteMarket(desk.home, desk.settings, (INFY,)).follow), plan, stop)
    finally:
        await run.close()


async def test_a_session_is_ended_begun_again_and_squared_off(desk: Desk) -> None:
    async def both(engine: SessionEngine) -> Order:
        await engine.place_order(wanted("rests", order_type="LIMIT", price=1400.0))
        return await engine.place_order(wanted("bought", order_type="LIMIT", price=1500.0))

    first, stop = EngineScript({0: both}), asyncio.Event()
    running = asyncio.create_task(session(desk, first, LATE, stop))
    await until(lambda: ("bought", "FILLED") in first.heard, "the fill is told")
    stop.set()
    interrupted = await running
    assert (interrupted.ended, interrupted.mode, interrupted.open_orders) == (Why.INTERRUPTED, Mode.LIVE, ("rests",))
    second = EngineScript({})
    summary = await session(desk, second, EARLY, asyncio.Event())
    assert second.found == ["rests"]
    assert (summary.ended, summary.holdings, summary.open_orders) == (Why.SQUARED_OFF, (), ())
    assert summary.orders == {Status.FILLED: 1, Status.CANCELLED: 1}
    assert second.last_answer is not None
    assert second.last_answer.status is Status.REJECTED
    assert [row.side for row in desk.venue.rows()] == [Side.BUY, Side.BUY, Side.SELL]
