"""The Temporal server, or a worker that only follows, is killed while orders are open."""

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Status
from durable_orders.workers import server
from durable_orders.workers.ports import ANY
from tests.conftest import MakeHome, write_home
from tests.crashes.conftest import buy, market, market_shows
from tests.crashes.orders import MARKETABLE, assert_agree, cancelled, filled_by_an_amendment, resting
from tests.crashes.processes import kill, kill_server, worker


async def test_worker_killed_while_it_follows(make_home: MakeHome, steady_ticks: Path) -> None:
    home = make_home(market(steady_ticks))
    async with await Orders.connect(home.path) as orders:
        with worker(home) as process:
            await market_shows(orders, process)
            amended, withdrawn, native = [await resting(orders) for _ in range(3)]
            kill(process)
            await orders.client.get_workflow_handle(native.order_id).cancel()
        with worker(home):
            stopped = await native.result()
            assert (stopped.status, stopped.filled_quantity) == (Status.CANCELLED, 0)
            assert_agree(home, stopped, await filled_by_an_amendment(amended), await cancelled(withdrawn))


async def reaped(pid: int) -> None:
    """Until nothing is left of a child of ours: a killed process holds its ports until the last of its threads ends."""
    with suppress(ChildProcessError):
        await asyncio.to_thread(os.waitpid, pid, 0)


async def test_server_killed_while_orders_are_open(tmp_path: Path, steady_ticks: Path) -> None:
    home = write_home(tmp_path / "home", market(steady_ticks))
    address = await server.start(home, ANY, ANY)
    async with AsyncExitStack() as stack:
        stack.callback(kill_server, home)
        orders = await stack.enter_async_context(await Orders.connect(home.path))
        await market_shows(orders, stack.enter_context(worker(home)))
        amended, withdrawn = [await resting(orders) for _ in range(2)]
        in_flight = await orders.place(buy(orders, MARKETABLE))
        kill_server(home)
        await reaped(address.pid)

        again = await server.start(home, address.port, address.ui_port)
        assert again.target == address.target
        ended = await in_flight.result()
        assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
        assert_agree(home, ended, await filled_by_an_amendment(amended), await cancelled(withdrawn))
        assert_agree(home, await (await orders.place(buy(orders, MARKETABLE))).result())
