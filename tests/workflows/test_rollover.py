"""An answer that was lost yesterday: today's book cannot tell, so nothing is sent again and a human has to say it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import Desk, at_work, finished, now, parts_of
from trading.errors import InvalidOrder
from trading.events import EventType
from trading.order import Mode, Status
from trading.settlement import Settlement

DAYS = timedelta(days=3)
LIVE = {"mode": "live", "live": {"settle_window": 1, "retry_delay": 0.05}}


async def of_a_live_account(desks: Desks, path: Path) -> Desk:
    desk = await desks(staffed=False)
    settings = desk.parts.settings.replaced({"execution": LIVE})
    parts = parts_of(settings, desk.client, desk.broker, path / f"{settings.account}.db")
    return replace(desk, parts=parts)


async def test_absence_from_the_book_of_another_day_proves_nothing(desks: Desks, tmp_path: Path, ahead: Ahead) -> None:
    desk = await of_a_live_account(desks, tmp_path)
    async with at_work(desk):
        desk.broker.unreadable = True
        order = await desk.start(says.never_gets_it, mode=Mode.LIVE, place_by=now() + DAYS)
        await desk.event(order, EventType.ALERT, "the order book cannot be read")
        with pytest.raises(InvalidOrder, match="with this it is 0"):
            await order.settle(Settlement(status=Status.FILLED, evidence="a feeling"))
        await ahead(order, timedelta(days=1).total_seconds())
        desk.broker.unreadable = False
        await desk.event(order, EventType.ALERT, "to be reviewed")
        await order.settle(Settlement(status=Status.REJECTED, evidence="not in the contract note"))
        ended = await finished(desk, order)
    assert ended.status is Status.REJECTED
    assert len(desk.broker.sent) == 1


async def test_absence_from_the_book_of_the_day_proves_that_it_was_not_placed(desks: Desks, tmp_path: Path) -> None:
    desk = await of_a_live_account(desks, tmp_path)
    async with at_work(desk):
        order = await desk.start(says.never_gets_it, says.fills_at_once, mode=Mode.LIVE, place_by=now() + DAYS)
        assert (await finished(desk, order)).status is Status.FILLED
    assert len(desk.broker.sent) == 2
