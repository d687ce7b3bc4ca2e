"""Orders that are open when something is killed, and what is done with them afterwards."""

from decimal import Decimal

from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Amendment, Order, Status
from durable_orders.workers.home import Home
from tests.crashes.agreement import assert_agreement
from tests.crashes.conftest import LAST, buy

FAR, MARKETABLE = Decimal("1400.0"), Decimal("1510.0")


async def resting(orders: Orders) -> OrderHandle:
    order = await orders.place(buy(orders, FAR))
    assert (await order.placed(60)).status is Status.PLACED
    return order


async def filled_by_an_amendment(order: OrderHandle) -> Order:
    await order.amend(Amendment(price=MARKETABLE), 60)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity, ended.average_price) == (Status.FILLED, 10, LAST)
    return ended


async def cancelled(order: OrderHandle) -> Order:
    ended = await order.cancel(timeout=60)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELLED, 0)
    return ended


def assert_agree(home: Home, *ended: Order) -> None:
    for order in ended:
        assert_agreement(home.ledger_url(home.settings()), order)
