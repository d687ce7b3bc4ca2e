"""`verify` against Kite's own book, read over the wire with the day's login."""

from decimal import Decimal

import pytest

from chaos.venue import INFY
from durable_orders.trading.errors import LoginNeeded
from durable_orders.trading.orders.order import OrderType, Side, Status, Terms
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from durable_orders.verify import verify_home
from tests.live.desk import FAR, Desk
from tests.live.test_external_orders import adopted


@pytest.fixture
async def traded(desk: Desk) -> Desk:
    """A desk with a filled order, one half filled, one cancelled, one refused, and one of somebody else."""
    assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    half = await desk.resting(client_order_id="half")
    (row,) = desk.at_the_broker(half)
    await desk.venue.fill(row.broker_order_id, 4, FAR)
    await desk.recorded(half, Status.PARTIAL)
    await (await desk.resting()).cancel()
    await (await desk.place(price=Decimal("1500.01"))).result()
    order_id = await desk.venue.place_foreign(Terms(symbol=INFY, side=Side.SELL, quantity=3))
    await adopted(desk, ExternalKind.EXTERNAL, order_id, Status.FILLED)
    return desk


async def test_histories_ledger_and_kite_agree(traded: Desk) -> None:
    """Reading needs no `--live`: what reads can send nothing."""
    findings = await verify_home(traded.orders, traded.home)
    assert findings.differences == ()
    counts = (findings.orders, findings.adopted, findings.rows, findings.trades, findings.positions)
    assert counts == (5, 1, 4, 3, 1)


async def test_without_a_login_nothing_is_proved(traded: Desk) -> None:
    await traded.venue.flush_tokens()
    with pytest.raises(LoginNeeded):
        await verify_home(traded.orders, traded.home)
