"""The login that ends in mid-session: orders wait for the next one, and no longer than they may."""

from datetime import UTC, datetime, timedelta

from chaos.account import log_in
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import OrderType, Status
from durable_orders.trading.orders.steps import BACKOFF_LIMIT
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import FAR, LAST, Desk, story

ENDED = "the broker's session has ended"


async def noticed(desk: Desk, times: int = 3) -> None:
    """Until the watch has been turned away so often."""

    async def turned_away() -> bool:
        requests = (await desk.venue.tally())["requests"]
        turned_away = sum(int(requests.get(route, {}).get("403", 0)) for route in ("order_book", "profile"))
        return turned_away >= times

    assert await eventually(turned_away, "readings without a login")


async def test_new_login_lets_a_waiting_order_go_on(desks: Desks) -> None:
    desk = await desks(live={"retry_delay": 30})
    await desk.venue.flush_tokens()
    await noticed(desk)
    order = await desk.place(OrderType.LIMIT)
    waiting = await desk.told(order.order_id, "not sent: Incorrect `api_key` or `access_token`.")
    assert (await order.now()).status is Status.PENDING
    await log_in(desk.home)
    assert (await order.result()).status is Status.FILLED
    filled = await desk.told(order.order_id, "10 filled")
    assert filled.at - waiting.at < BACKOFF_LIMIT, "the watch woke it"
    assert len(desk.at_the_broker(order)) == 1


async def test_one_alert_however_long_it_lasts(desk: Desk) -> None:
    await desk.venue.flush_tokens()
    orders = [await desk.place(price=FAR) for _ in range(3)]
    for order in orders:
        await desk.told(order.order_id, "not sent")
    await noticed(desk, 5)
    assert [ENDED in words for words in await desk.alerts()] == [True]
    await log_in(desk.home)
    await desk.alerted("the order book can be read again")
    assert {(await desk.recorded(order, Status.PLACED)).status for order in orders} == {Status.PLACED}


async def test_what_is_past_its_deadline_is_refused(desk: Desk) -> None:
    await desk.venue.flush_tokens()
    order = await desk.place(OrderType.MARKET, place_by=datetime.now(UTC) + timedelta(seconds=2))
    ended = await order.result()
    assert ended.status is Status.REJECTED
    assert ended.reasons[-1].startswith("TOO_LATE: not sent before ")
    await log_in(desk.home)
    await desk.alerted("the order book can be read again")
    assert desk.at_the_broker(order) == []


async def test_flushed_by_the_very_request(desk: Desk) -> None:
    await desk.venue.fault(Fault.TOKEN_FLUSHED, routes=["place"])
    order = await desk.place(OrderType.LIMIT)
    await desk.alerted(ENDED)
    await log_in(desk.home)
    assert (await order.result()).status is Status.FILLED
    assert len(desk.at_the_broker(order)) == 1


async def test_lost_answer_is_looked_for_after_the_next_login(desks: Desks) -> None:
    desk = await desks(live={"settle_window": 6})
    await desk.venue.fault(Fault.ORDER_HIDDEN, seconds=3)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP)
    order = await desk.place(OrderType.MARKET)
    await desk.recorded(order, Status.UNKNOWN)
    await desk.venue.flush_tokens()
    await desk.told(order.order_id, "the order book cannot be read", EventType.ALERT)
    assert (await order.now()).status is Status.UNKNOWN
    await log_in(desk.home)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)
    assert "found in the order book as" in story(await order.events())


async def test_socket_is_opened_again_with_the_new_login(desks: Desks) -> None:
    desk = await desks(live={"reconciliation_interval": 3600})
    order = await desk.resting()
    await desk.venue.flush_tokens()
    await log_in(desk.home)
    (row,) = desk.at_the_broker(order)

    async def followed() -> bool:
        """No fill is lost for want of a socket, for the socket makes the watch look when it opens."""
        return (await order.now()).filled_quantity == 5

    await desk.venue.fill(row.broker_order_id, 5, LAST)
    assert await eventually(followed)
    await desk.venue.fill(row.broker_order_id, 5, LAST)
    assert (await order.result()).status is Status.FILLED
