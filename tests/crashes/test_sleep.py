"""A worker whose machine sleeps with a placement in its hands must not send it when it wakes up: it was given up."""

import signal
from pathlib import Path

from temporalio.api.enums.v1 import EventType

from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Status
from tests.conftest import MakeHome, until
from tests.crashes.conftest import buy, market, market_shows
from tests.crashes.crashing_worker import FLAG, Point
from tests.crashes.orders import MARKETABLE, assert_agree
from tests.crashes.processes import crashing_worker


async def given_up(orders: Orders, order: OrderHandle) -> None:
    """Until the server has missed the placement's heartbeats for too long."""
    history = orders.client.get_workflow_handle(order.order_id).fetch_history_events(wait_new_event=True)
    async for event in history:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            return


async def test_placement_that_was_given_up_is_not_sent_any_more(make_home: MakeHome, steady_ticks: Path) -> None:
    home = make_home(market(steady_ticks))
    note = home.path / FLAG
    async with await Orders.connect(home.path) as orders:
        with crashing_worker(home, Point.ASLEEP_BEFORE_PLACE) as sleeper:
            await market_shows(orders, sleeper)
            order = await orders.place(buy(orders, MARKETABLE))
            await until(note.exists)
            await given_up(orders, order)
            sleeper.send_signal(signal.SIGCONT)
            assert "held up before it could send" in await until(note.read_text)
            ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert_agree(home, ended)
