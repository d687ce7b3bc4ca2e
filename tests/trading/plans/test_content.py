"""What a plan is told from another by, and what it may be named."""

from typing import Any

import pytest
from pydantic import ValidationError

from durable_orders.trading.orders.order import OrderIntent
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.kinds import AnyIntent
from durable_orders.trading.plans.plan import PlanIntent
from durable_orders.trading.plans.schedule import ScheduleIntent

INFY: dict[str, Any] = {"symbol": "NSE:INFY", "side": "BUY", "quantity": 10}
TCS = {"symbol": "NSE:TCS", "side": "SELL", "quantity": 10}
TIMES = {"begins_at": "2026-11-26T10:00:00+05:30", "ends_at": "2026-11-26T10:10:00+05:30"}
AS_RECORDED: list[tuple[type[AnyIntent], dict[str, Any], str]] = [
    (PlanIntent, {**INFY, "entry": {}, "stop": {"trigger_price": "95.50"}}, "4da1aaece080843eeb49f39644aba59f"),
    (BasketIntent, {"legs": [INFY, TCS]}, "4c82535f312de8275e2599aaef5dd0d0"),
    (ScheduleIntent, {**INFY, "slices": 2, **TIMES}, "5e491801b56f381eded77a71dd7babf2"),
]
"""Ledgers have these fingerprints: of other ones, every plan that is asked for again would be a conflict."""


@pytest.mark.parametrize(("kind", "content", "fingerprint"), AS_RECORDED)
def test_who_asks_tells_no_plan_from_another_and_older_ones_stay_the_same(
    kind: type[AnyIntent], content: dict[str, Any], fingerprint: str
) -> None:
    unsaid, robot = kind(plan_id="p", **content), kind(plan_id="p", by="token robot", **content)
    assert unsaid.fingerprint() == robot.fingerprint() == fingerprint
    assert (unsaid.tags, robot.tags) == ({}, {"by": "token robot"})
    assert kind.model_validate_json(robot.model_dump_json()) == robot


@pytest.mark.parametrize("name", [".", ".."])
def test_nothing_is_named_as_an_address_has_folders_and_what_was_recorded_is_read(name: str) -> None:
    for make in (
        lambda: OrderIntent(client_order_id=name, **INFY),
        lambda: BasketIntent(plan_id=name, legs=(INFY, TCS)),
    ):
        with pytest.raises(ValidationError, match=r"must not be \. or \.\."):
            make()
    order, basket = OrderIntent(client_order_id="x", **INFY), BasketIntent(plan_id="x", legs=(INFY, TCS))
    for made in (order, basket):
        older = made.model_dump_json().replace('_id":"x"', f'_id":"{name}"')
        assert name in made.model_validate_json(older).model_dump().values()
