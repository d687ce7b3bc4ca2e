"""An answer that was lost yesterday: today's book cannot tell, so nothing is sent again and a human has to say it."""

from datetime import timedelta
from typing import Any

import pytest

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Mode, Status
from durable_orders.trading.orders.settlement import Settlement
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import finished, now

DAYS = timedelta(days=3)
SELDOM: dict[str, Any] = {"settle_window": 60, "unreadable_interval": timedelta(hours=6).total_seconds()}
"""A day is gone through in a few looks, whatever the hour at which the test is run."""


async def test_absence_from_the_book_of_another_day_proves_nothing(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(mode=Mode.LIVE, **SELDOM)
    desk.broker.unreadable = True
    order = await desk.start(says.never_gets_it, place_by=now() + DAYS)
    await desk.event(order, EventType.ALERT, "the order book cannot be read")
    with pytest.raises(InvalidOrder, match="with this it is 0"):
        await order.settle(Settlement(status=Status.FILLED, evidence="a feeling"))
    await ahead(order, timedelta(days=1).total_seconds())
    desk.broker.unreadable = False
    await ahead(order, SELDOM["unreadable_interval"] + 60)  # to the next look, wherever the last one fell
    await desk.event(order, EventType.ALERT, "to be reviewed")
    await order.settle(Settlement(status=Status.REJECTED, evidence="not in the contract note"))
    ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert len(desk.broker.sent) == 1


async def test_absence_from_the_book_of_the_day_proves_that_it_was_not_placed(desks: Desks) -> None:
    desk = await desks(mode=Mode.LIVE, settle_window=1, retry_delay=0.05)
    order = await desk.start(says.never_gets_it, says.fills_at_once, place_by=now() + DAYS)
    assert (await finished(desk, order)).status is Status.FILLED
    assert len(desk.broker.sent) == 2
