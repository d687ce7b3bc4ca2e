"""More orders are open than the worker keeps in memory: those that left it hear of what concerns them all the same."""

from decimal import Decimal
from pathlib import Path

from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Amendment, Status
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import SYMBOL, staffed, write_ticks

CACHED, OPEN = 10, 16


async def test_an_order_that_has_left_the_cache_is_amended_and_cancelled(make_home: MakeHome, tmp_path: Path) -> None:
    market = {"ticks": str(write_ticks(tmp_path / "ticks.csv"))}
    home = make_home({"market": market, "worker": {"max_cached_workflows": CACHED}})
    async with staffed(home), Orders(home.path) as orders:
        for number in range(OPEN):
            handle = await orders.buy(
                SYMBOL, 1, order_type="LIMIT", price=str(1400 - number), client_order_id=f"own-{number}"
            )
            assert (await handle.placed()).status is Status.PLACED

        changed = await orders.handle("own-0").amend(Amendment(price=Decimal(1390)))
        ended = [await orders.handle(f"own-{number}").cancel() for number in range(OPEN)]

    assert changed.price == 1390
    assert [(order.client_order_id, order.status) for order in ended] == [
        (f"own-{number}", Status.CANCELLED) for number in range(OPEN)
    ]
