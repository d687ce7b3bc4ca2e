"""Baskets of a live account: what they bind is asked of Kite, over HTTP, before the first leg."""

from decimal import Decimal
from typing import Any

from chaos.venue import INFY, SBIN
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.state import PlanStatus
from tests.live.conftest import Desks
from tests.live.desk import Desk


def basket(desk: Desk, **content: Any) -> BasketIntent:
    legs = [
        {"symbol": INFY, "side": "SELL", "quantity": 10, "product": "MIS"},
        {"symbol": SBIN, "side": "BUY", "quantity": 10, "product": "MIS"},
    ]
    own = {"account": desk.settings.account, "mode": "live", "plan_id": "b1", "legs": legs}
    return BasketIntent.model_validate(own | content)


async def test_a_basket_is_had_whole(desk: Desk) -> None:
    await desk.venue.tick(Decimal(800), SBIN)
    await desk.orders.start_plan(basket(desk), timeout=60)
    view = await desk.orders.plan_result("b1")
    assert (view.status, view.reasons) == (PlanStatus.FILLED, ())
    rows = [(row.symbol, row.side, row.filled_quantity) for row in desk.venue.rows()]
    assert rows == [(SBIN, "BUY", 10), (INFY, "SELL", 10)]


async def test_a_basket_that_the_margin_does_not_carry_is_refused_before_its_first_leg(desks: Desks) -> None:
    desk = await desks(sandbox={"cash": 4000})
    await desk.venue.tick(Decimal(800), SBIN)
    view = await desk.orders.start_plan(basket(desk), timeout=60)
    assert view.status is PlanStatus.REJECTED
    assert view.reasons == ("margin: the basket needs 4600.00 rupees, and 4000.00 are available",)
    assert desk.venue.rows() == []
