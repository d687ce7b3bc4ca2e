"""Where a run has its ticks from, if the market is not its own: the ledger, to which whoever owns the market writes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from durable_orders.orders import Orders
from trading.ledger.last_ticks import ticks_received
from trading.market.calendar import calendar_of
from trading.market.ticks import Tick
from trading.order import Mode

EVERY = 0.05
"""Seconds between two looks at the last ticks: of several in between, the last of each symbol is seen."""


async def follow_ticks(orders: Orders, show: Callable[[Tick], object]) -> None:
    """Show what the account's market brings from now on, until its session is over."""
    settings = orders.settings
    calendar, session = calendar_of(settings.market.calendar), None
    on_the_wall = settings.execution.mode is Mode.LIVE
    after = datetime.now(UTC)
    while not (on_the_wall and session is not None and datetime.now(UTC) >= session.closes):
        for tick, received_at in await orders.read(partial(ticks_received, account=settings.account, after=after)):
            session = session or calendar.session_at_or_after(tick.at)
            if not session.contains(tick.at):
                return
            after = received_at
            show(tick)
        await asyncio.sleep(EVERY)
