"""What a strategy keeps and had asked for when its run ended: the next run goes on with it, and once."""

import asyncio
from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.running import OnError, Plan, Why
from durable_orders.running.desk import Close
from durable_orders.running.run import Run
from durable_orders.trading.errors import ServerUnreachable
from durable_orders.trading.ledger.strategy_states import Kept, keep, kept_of
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.strategies.strategy import StrategyContext
from durable_orders.workers.home import Home
from durable_orders.workflows import names
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import (
    NAME,
    SYMBOL,
    Script,
    home_with_ticks,
    orders_of,
    run_on,
    staffed,
    write_ticks,
)


async def test_what_was_asked_for_with_its_state_is_done_by_the_next_run(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run dies after its callback was kept, before any order of it was started: as a kill there would leave it."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))

    class Died(Exception):
        pass

    async def dies(_run: Run, _asked: object) -> None:
        raise Died

    def enter(desk: StrategyContext) -> None:
        desk.state["entered"] = [desk.buy(SYMBOL, 10), desk.sell(SYMBOL, 10, order_type="LIMIT", price="1600")]

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", dies)
        with pytest.raises(Died):
            await run_on(home, Script({0: enter}))
    assert await orders_of(home) == []
    next_run = Script({0: lambda desk: desk.buy(SYMBOL, 1)})
    await run_on(home, next_run)
    ids = [f"{NAME}-{number}" for number in (1, 2, 3)]
    assert next_run.found == ids[1:2]
    assert [order.client_order_id for order in await orders_of(home)] == ids
    heard = [(own, status) for own, status, _ in next_run.heard]
    assert heard == [(ids[0], "FILLED"), (ids[1], "PLACED"), (ids[2], "FILLED"), (ids[1], "EXPIRED")]


async def test_what_became_of_its_orders_meanwhile_is_told_once(make_home: MakeHome, tmp_path: Path) -> None:
    """Its limit fills while it does not run. What it had heard before is not told again."""
    home = home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def rest(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10)
        desk.buy(SYMBOL, 10, order_type="LIMIT", price="1499.5")

    first = Script({0: rest, 1: lambda _desk: loop.call_soon_threadsafe(stop.set)})
    await run_on(home, first, stop=stop)
    async with staffed(home) as market, Orders(home.path) as orders:  # the market goes on without it
        market.leave()
        assert (await orders.handle(f"{NAME}-2").result()).status is Status.FILLED

    class Missing(Script):
        missed: tuple[str, ...] = ()

        def on_missed(self, desk: StrategyContext, orders: Sequence[Order]) -> None:
            self.missed = tuple(f"{order.client_order_id} {order.status}" for order in orders)
            desk.sell(SYMBOL, 10, client_order_id="answer")

    second, third = Missing({}), Missing({})
    await run_on(home, second)
    await run_on(home, third)
    assert [own for own, _, _ in first.heard] == [f"{NAME}-1", f"{NAME}-2"]
    assert second.missed == (f"{NAME}-2 FILLED",)
    assert second.heard[-1] == ("answer", "FILLED", 10)
    assert (third.heard, third.missed) == ([], ())


class Unreachable:
    """A server that does not answer whoever asks for a flatten, so many times."""

    def __init__(self, patched: pytest.MonkeyPatch, times: int) -> None:
        self.times = times
        start = Client.start_workflow

        async def started(client: Client, workflow: Any, *args: Any, **kwargs: Any) -> Any:
            if workflow == names.FLATTEN_WORKFLOW and self.times:
                self.times -= 1
                raise RPCError("nobody there", RPCStatusCode.UNAVAILABLE, b"")
            return await start(client, workflow, *args, **kwargs)

        patched.setattr(Client, "start_workflow", started)
        patched.setattr("durable_orders.retrying.SERVER_SECONDS", 0.0)
        patched.setattr("durable_orders.retrying.SERVER_EVERY", 0.0)
        patched.setattr("durable_orders.running.run.SERVER_EVERY", 0.01)


def buy_and_close(desk: StrategyContext) -> None:
    desk.buy(SYMBOL, 10)
    desk.close(SYMBOL)


async def test_a_close_is_asked_for_until_the_server_has_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Unreachable(monkeypatch, 3)
    summary = await run_on(home, Script({0: buy_and_close}))
    assert (server.times, summary.holdings, summary.failure) == (0, (), None)
    assert any("is not being closed yet (close)" in words for words in summary.notes)


async def test_a_close_that_the_server_never_had_is_told_and_done_by_the_next_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    with monkeypatch.context() as patched:
        Unreachable(patched, -1)
        patched.setattr("durable_orders.running.run.OUT_SECONDS", 0.2)
        steps = {0: buy_and_close, 2: lambda _desk: loop.call_soon_threadsafe(stop.set)}
        summary = await run_on(home, Script(steps), stop=stop)
    assert (summary.ended, [held.quantity for held in summary.holdings]) == (Why.INTERRUPTED, [10])
    assert any("may not be flat (close)" in words for words in summary.notes)
    assert (await run_on(home, Script({}))).holdings == ()


async def test_a_square_off_that_cannot_be_asked_for_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    Unreachable(monkeypatch, -1)
    summary = await run_on(home, Script({0: lambda desk: desk.buy(SYMBOL, 10)}), Plan(square_off=time(9, 15, 30)))
    assert summary.ended == Why.SQUARED_OFF
    assert [words.partition(": ")[0] for words in summary.left] == [f"{NAME} may not be flat (square-off)"]


async def test_a_change_that_cannot_be_asked_for_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> None:
        raise ServerUnreachable("nobody there")

    def change(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10, order_type="LIMIT", price="1400", client_order_id="dip")
        desk.amend("dip", price="1401")

    monkeypatch.setattr("durable_orders.retrying.SERVER_SECONDS", 0.0)
    monkeypatch.setattr("durable_orders.retrying.SERVER_EVERY", 0.0)
    monkeypatch.setattr(OrderHandle, "amend", unreachable)
    summary = await run_on(home, Script({0: change}))
    assert (summary.ended, summary.failure) == (Why.CLOSED, None)
    assert summary.notes == ("dip: not known to be changed (price 1401): nobody there",)


async def test_what_a_failed_strategy_had_asked_for_is_not_placed_by_the_next_run(home: Home) -> None:
    """Its first order's outcome is told before its second is placed, and it fails over that."""

    class Upset(Script):
        def on_order(self, desk: StrategyContext, order: Order) -> None:
            raise RuntimeError("not as I thought")

    def two(desk: StrategyContext) -> None:
        desk.buy(SYMBOL, 10, client_order_id="first")
        desk.buy(SYMBOL, 10, order_type="LIMIT", price="1400", client_order_id="second")

    summary = await run_on(home, Upset({0: two}), Plan(on_error=OnError.FLATTEN))
    assert summary.failure is not None
    assert [words for words in summary.notes if "second" in words] == ["not placed (the strategy failed): second"]
    await run_on(home, Script({}))
    async with await Orders.connect(home.path) as orders:
        assert "second" not in {order.client_order_id for order in await orders.list()}


async def test_a_close_is_kept_though_nothing_else_has_changed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(Exception):
        pass

    do = Run._do

    async def dies(run: Run, asked: Any) -> None:
        if isinstance(asked, Close):
            raise Died
        await do(run, asked)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "_do", dies)
        with pytest.raises(Died):
            await run_on(home, Script({0: lambda desk: desk.buy(SYMBOL, 10), 2: lambda desk: desk.close(SYMBOL)}))
    assert (await run_on(home, Script({}))).holdings == ()


async def kept(home: Home) -> Kept:
    async with Orders(home.path) as orders:
        found = await orders.read(lambda connection: kept_of(connection, orders.settings.account, NAME))
        assert found is not None
        return found


async def test_what_was_done_is_not_left_to_the_next_run(home: Home) -> None:
    def close(desk: StrategyContext) -> None:
        desk.state["closed"] = True
        desk.close(SYMBOL)

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    await run_on(home, Script({0: close, 1: lambda _desk: loop.call_soon_threadsafe(stop.set)}), stop=stop)
    assert (await kept(home)).asked.closed == ()


async def test_on_the_second_day_the_first_orders_fate_is_told_too(home: Home) -> None:
    """The run of that day dies before it has heard of it."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def remember(desk: StrategyContext) -> None:
        desk.state["day"] = 1
        loop.call_soon_threadsafe(stop.set)

    await run_on(home, Script({0: remember}), stop=stop)
    async with Orders(home.path) as orders:
        before = await kept(home)
        yesterday = before._replace(updated_at=before.updated_at - timedelta(days=1))
        with orders.database.write() as connection:
            keep(connection, orders.settings.account, NAME, yesterday)

    class Deaf(Script):
        def on_order(self, desk: StrategyContext, order: Order) -> None:
            raise ZeroDivisionError

    deaf = await run_on(home, Deaf({0: lambda desk: desk.buy(SYMBOL, 10)}), Plan(on_error=OnError.KEEP))
    assert deaf.ended == Why.FAILED
    await run_on(home, hears := Script({}))
    assert [(own, status) for own, status, _ in hears.heard] == [(f"{NAME}-1", "FILLED")]
