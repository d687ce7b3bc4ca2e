"""The next day: Kite's book is of one day, and what it does not show any more is never silently closed."""

import asyncio
from datetime import UTC, datetime, timedelta

from activities.concerns import Concerns
from tests.live.conftest import Desks
from tests.live.desk import at_work
from trading.order import Account, Status


async def test_order_that_is_gone_from_the_book_is_for_a_human_to_review(desks: Desks) -> None:
    desk = await desks(staffed=False)
    async with at_work(desk) as parts:
        order = await desk.resting()
    await desk.venue.ask("POST", "close-session")
    await desk.venue.ask("POST", "next-day")
    book = await asyncio.to_thread(parts.watch._broker.order_book)
    assert book == []
    concerns = Concerns(Account(desk.settings.account), parts.watch._broker, parts.database)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for _ in range(2):
        concerns.report_missing({row.broker_order_id for row in book}, tomorrow)
    assert (await desk.alerts()) == [
        f"{order.order_id} is PLACED and not in the broker's book of today any more: to be reviewed"
    ]
    assert (await order.now()).status is Status.PLACED


async def test_order_that_ended_with_its_session_is_seen_on_the_same_day(desks: Desks) -> None:
    desk = await desks()
    order = await desk.resting()
    await desk.venue.ask("POST", "close-session")
    ended = await order.result()
    assert ended.status in (Status.EXPIRED, Status.CANCELLED)
    assert ended.filled_quantity == 0
