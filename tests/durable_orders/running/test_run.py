"""A strategy over durable orders: what it is told, and what becomes of its orders when it ends, however it does."""

import asyncio
import threading
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.orders import Orders
from durable_orders.running import OnError, Plan, Why
from durable_orders.running.run import Run
from durable_orders.trading.orders.order import Status, is_closing
from durable_orders.trading.strategies.strategy import StrategyContext
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import NAME, SYMBOL, Script, home_with_ticks, orders_of, run_on, write_ticks


def buy(desk: StrategyContext) -> None:
    desk.buy(SYMBOL, 10)


def rest(desk: StrategyContext) -> None:
    desk.buy(SYMBOL, 10, order_type="LIMIT", price="1400")


def fail(desk: StrategyContext) -> None:
    raise ZeroDivisionError("too clever")


async def test_a_day_is_told_in_order_and_ends_with_the_close(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    script = Script({0: buy, 1: rest, 4: lambda desk: desk.sell(SYMBOL, 10)})
    summary = await run_on(home, script)
    assert script.heard == [
        (f"{NAME}-1", "FILLED", 10),
        (f"{NAME}-2", "PLACED", 10),
        (f"{NAME}-3", "FILLED", 0),
        (f"{NAME}-2", "EXPIRED", 0),
    ]
    assert (summary.ended, summary.failure, summary.ticks, script.stopped) == (Why.CLOSED, None, 7, True)
    assert (summary.orders, summary.fills, summary.units) == ({Status.FILLED: 2, Status.EXPIRED: 1}, 2, 20)
    assert summary.realized_pnl == 35
    assert summary.charges > 0
    assert (summary.holdings, summary.open_orders, summary.notes) == ((), (), ())


async def test_what_is_asked_for_again_is_the_same_order_and_anothers_id_is_refused(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))

    def named(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 1, order_type="LIMIT", price="1400", client_order_id="dip")

    def other(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 2, client_order_id="dip")

    script = Script({0: named, 1: named, 2: lambda desk: desk.cancel("dip"), 3: named, 4: other})
    summary = await run_on(home, script)
    assert summary.failure is not None
    assert "on_tick failed at test_run.py line" in summary.failure
    assert "DuplicateOrder: client_order_id: dip is the id of another order" in summary.failure
    assert [order.status for order in await orders_of(home)] == [Status.CANCELLED]


@pytest.mark.parametrize(
    ("policy", "ends", "held"),
    [
        (OnError.KEEP, [Status.FILLED, Status.PLACED], 10),
        (OnError.CANCEL, [Status.FILLED, Status.CANCELLED], 10),
        (OnError.FLATTEN, [Status.FILLED, Status.CANCELLED, Status.FILLED], 0),
    ],
)
async def test_a_strategy_that_raises_is_stopped_and_its_orders_are_dealt_with(
    policy: OnError, ends: list[Status], held: int, make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    script = Script({0: buy, 1: rest, 2: fail, 3: buy})
    summary = await run_on(home, script, Plan(on_error=policy))
    assert summary.ended == Why.FAILED
    assert summary.failure is not None
    assert summary.failure.endswith("ZeroDivisionError: too clever")
    assert [order.status for order in await orders_of(home)] == ends
    assert sum(holding.quantity for holding in summary.holdings) == held
    assert (len(summary.open_orders), summary.notes) == (int(policy is OnError.KEEP), ())


@pytest.mark.parametrize("leaving", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
async def test_a_strategy_that_leaves_the_program_is_one_that_failed(
    leaving: BaseException, make_home: MakeHome, tmp_path: Path
) -> None:
    def leave(_desk: StrategyContext) -> None:
        raise leaving

    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    summary = await run_on(home, Script({0: buy, 1: rest, 2: leave}), Plan(on_error=OnError.FLATTEN))
    assert (summary.ended, summary.holdings, summary.open_orders) == (Why.FAILED, (), ())
    assert summary.failure is not None
    assert type(leaving).__name__ in summary.failure


async def test_a_callback_that_does_not_return_is_told_about(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    heard = threading.Event()

    def block(_desk: StrategyContext) -> None:
        assert heard.wait(60)

    def warned(words: str) -> None:
        told.append(words)
        heard.set()

    monkeypatch.setattr(Run, "slow_seconds", 0.01)
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    summary = await run_on(home, Script({1: block}), Plan(warned=warned))
    assert summary.ended == Why.CLOSED
    assert any("on_tick has not returned after" in words for words in told)


async def test_at_square_off_it_gets_no_more_ticks_and_is_closed_out(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    script = Script({0: buy, 1: rest, 3: buy})
    summary = await run_on(home, script, Plan(square_off=time(9, 15, 30)))
    assert (summary.ended, summary.holdings, script.ticks, script.stopped) == (Why.SQUARED_OFF, (), 3, True)
    last = (await orders_of(home))[-1]
    assert (last.strategy, last.reason, last.average_price) == (NAME, "square-off", Decimal(1502))
    assert is_closing(last.client_order_id)
    assert summary.left == ()


async def test_a_square_off_closes_in_orders_that_keep_the_limits(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"), guardian={"max_order_quantity": 75})

    def buy_two(desk: StrategyContext) -> None:
        for _ in range(2):
            desk.buy(SYMBOL, 75)

    summary = await run_on(home, Script({0: buy_two}), Plan(square_off=time(9, 15, 30)))
    closing = [order for order in await orders_of(home) if is_closing(order.client_order_id)]
    assert [(order.quantity, order.status) for order in closing] == [(75, Status.FILLED), (75, Status.FILLED)]
    assert (summary.ended, summary.holdings, summary.left) == (Why.SQUARED_OFF, (), ())


async def test_what_cannot_be_closed_is_told_and_closing_goes_on(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The strategy may not order at that hour."""
    monkeypatch.setattr("durable_orders.running.run.OUT_SECONDS", 1.0)
    hours = {"trading_hours": {"start": "09:15", "end": "09:15:25"}}
    home = home_with_ticks(
        make_home, write_ticks(tmp_path / "ticks.csv"), guardian={"strategies": {NAME: {"rules": hours}}}
    )
    summary = await run_on(home, Script({0: buy}), Plan(square_off=time(9, 15, 30)))
    assert summary.left == (f"{NAME} is not flat after 1 s: closing goes on without the run",)
    assert [(holding.symbol, holding.quantity) for holding in summary.holdings] == [(SYMBOL, 10)]


async def test_a_square_off_leaves_what_is_anothers(make_home: MakeHome, tmp_path: Path) -> None:
    """Somebody else holds more of the same, and has an order that rests in it."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def others(orders: Orders) -> None:
        await (await orders.buy(SYMBOL, 25, strategy="other")).placed()
        await (await orders.sell(SYMBOL, 5, order_type="LIMIT", price="1600", strategy="other")).placed()

    async with Orders(home.path) as orders:
        script = Script({0: buy, 1: lambda _desk: asyncio.run_coroutine_threadsafe(others(orders), loop).result()})
        summary = await run_on(home, script, Plan(square_off=time(9, 15, 30)), stop)
        assert (summary.left, summary.holdings) == ((), ())
        assert [(held.quantity) for held in await orders.positions()] == [25]
        assert [(order.strategy, order.quantity) for order in await orders.list(open_only=True)] == [("other", 5)]


async def test_a_square_off_never_sells_what_somebody_else_has_sold(make_home: MakeHome, tmp_path: Path) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    loop = asyncio.get_running_loop()

    async def sold(orders: Orders) -> None:
        await (await orders.sell(SYMBOL, 10, strategy="by-hand")).placed()

    async with Orders(home.path) as orders:
        script = Script({0: buy, 1: lambda _desk: asyncio.run_coroutine_threadsafe(sold(orders), loop).result()})
        await run_on(home, script, Plan(square_off=time(9, 15, 30)))
        assert [held.quantity for held in await orders.positions()] == [0]
        assert len(await orders.list()) == 2


async def test_interrupted_it_leaves_its_orders_and_the_next_run_finds_them(
    make_home: MakeHome, tmp_path: Path
) -> None:
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def interrupt() -> None:
        stop.set()

    first = Script({0: rest, 1: buy, 2: lambda _desk: asyncio.run_coroutine_threadsafe(interrupt(), loop).result()})
    interrupted = await run_on(home, first, stop=stop)
    assert (interrupted.ended, interrupted.open_orders, first.ticks) == (Why.INTERRUPTED, (f"{NAME}-1",), 3)
    second = Script({0: lambda desk: desk.cancel(f"{NAME}-1"), 1: lambda desk: desk.sell(SYMBOL, 10)})
    closed = await run_on(home, second)
    assert second.found == [f"{NAME}-1"]
    assert second.ticks == 4, "the market goes on where it stood"
    assert second.heard == [(f"{NAME}-1", "CANCELLED", 10), (f"{NAME}-3", "FILLED", 0)]
    assert (closed.ended, closed.ticks, closed.orders) == (Why.CLOSED, 4, {Status.FILLED: 1, Status.CANCELLED: 1})


async def test_an_order_that_no_worker_has_taken_yet_is_found_too(make_home: MakeHome, tmp_path: Path) -> None:
    """As after a crash between the start of an order and its first step."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    async with Orders(home.path) as orders:
        await orders.buy(SYMBOL, 10, order_type="LIMIT", price="1400", strategy=NAME, client_order_id=f"{NAME}-1")
    script = Script({0: buy})
    summary = await run_on(home, script)
    assert script.found == [f"{NAME}-1"]
    assert [order.client_order_id for order in await orders_of(home)] == [f"{NAME}-1", f"{NAME}-2"]
    assert (summary.fills, summary.orders) == (1, {Status.FILLED: 1, Status.EXPIRED: 1})
