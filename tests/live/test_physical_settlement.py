"""A contract on a share in its last days, held at the broker: `guardian.physical_settlement: close` gets rid of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from durable_orders.trading.flatten.closing import FLATTEN
from durable_orders.trading.ist import IST
from durable_orders.trading.market.shipped import shipped_instruments
from durable_orders.trading.orders.order import OrderType, Product, Side, Status, Terms
from durable_orders.trading.reconciliation.external_orders import ExternalKind
from tests.live.conftest import Desks
from tests.live.desk import eventually
from tests.live.test_external_orders import adopted, position

FUTURE, LOT = "NFO:RELIANCE26DECFUT", 500


async def test_what_is_held_before_its_delivery_is_closed(desks: Desks, tmp_path: Path) -> None:
    last_day = datetime.now(IST).date() + timedelta(days=1)
    row = f"901,9,RELIANCE26DECFUT,RELIANCE,0,{last_day},0,0.1,{LOT},FUT,NFO-FUT,NFO\n"
    master = tmp_path / "master.csv"
    master.write_text(shipped_instruments().read_text() + row)
    market = {"instruments": str(master)}
    closes = {"physical_settlement": "close"}
    desk = await desks(sandbox={"instruments": master}, market=market, guardian=closes)
    await desk.venue.tick(Decimal(1400), FUTURE)
    terms = {"symbol": FUTURE, "quantity": LOT, "product": Product.NRML, "order_type": OrderType.LIMIT}
    await adopted(
        desk,
        ExternalKind.EXTERNAL,
        await desk.venue.place_foreign(Terms(**terms, side=Side.BUY, price=Decimal(1300))),
        Status.PLACED,
    )
    bought = await desk.venue.place_foreign(Terms(**terms, side=Side.BUY, price=Decimal(1400)))
    await adopted(desk, ExternalKind.EXTERNAL, bought, Status.FILLED)
    await desk.alerted(f"{LOT} {FUTURE} NRML is settled in shares on {last_day:%d %b %Y}: it is closed in the session")

    async def closed() -> bool:
        return await position(desk, FUTURE) == 0

    await eventually(closed, "nothing is held")
    assert [held["quantity"] for held in await desk.venue.positions()] == [0]
    [closing] = [order for order in await desk.orders.list() if order.strategy == FLATTEN]
    assert (closing.status, closing.side, closing.quantity) == (Status.FILLED, Side.SELL, LOT)
    assert closing.reason.startswith(f"PHYSICAL_SETTLEMENT: {FUTURE} is settled in shares")
    assert all(each.filled_quantity or each.status == "CANCELLED" for each in desk.venue.rows())
