"""`halt --flatten` against Kite's own interface: everything open is cancelled, and the broker's position is flat."""

from decimal import Decimal

from chaos.venue import INFY
from durable_orders import halting
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import OrderType, Side, Status, Terms
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.verify import verify_home
from tests.live.desk import FAR, Desk
from tests.live.test_external_orders import adopted, position


async def test_a_flatten_leaves_nothing_open_and_nothing_held_at_the_broker(desk: Desk) -> None:
    assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    half = await desk.resting(client_order_id="half")
    (row,) = desk.at_the_broker(half)
    await desk.venue.fill(row.broker_order_id, 4, FAR)
    await desk.recorded(half, Status.PARTIAL)
    by_hand = await desk.venue.place_foreign(
        Terms(symbol=INFY, side=Side.SELL, quantity=8, order_type=OrderType.LIMIT, price=Decimal(1600))
    )
    await adopted(desk, ExternalKind.EXTERNAL, by_hand, Status.PLACED)
    account = desk.settings.account
    halting.halt(desk.orders.database, desk.settings, "enough", state=AccountState.REDUCING, who="by a test")
    asked = FlattenRequest(account=account, reason="enough", who="by a test", flatten=True, halt=True)
    result = await halting.flatten(desk.orders.client, asked)
    assert result is not None
    assert result.state is AccountState.HALTED
    assert {(order.status, order.filled_quantity) for order in result.cancelled} == {
        (Status.CANCELLED, 4),
        (Status.CANCELLED, 0),
    }
    assert [(order.status, order.filled_quantity) for order in result.closed] == [(Status.FILLED, 14)]
    assert await position(desk) == 0
    findings = await verify_home(desk.orders, desk.home)
    assert findings.differences == (), "Kite's own book and positions say the same"
