"""Where a run has its ticks from, if the market is not its own: the ledger, to which whoever owns the market writes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from durable_orders.orders import Orders
from durable_orders.trading.ledger.last_ticks import ticks_received
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Mode

EVERY = 0.05
"""Seconds between two looks at the last ticks: of several in between, the last of each symbol is seen."""


async def follow_ticks(orders: Orders, show: Callable[[Tick], object]) -> None:
    """Show what the account's market brings from now on, until the sessions of its symbols are over."""
    settings = orders.settings
    sessions, day, ends = InstrumentSessions(settings.market), None, None
    on_the_wall = settings.execution.mode is Mode.LIVE
    after = datetime.now(UTC)
    while not (on_the_wall and ends is not None and datetime.now(UTC) >= ends):
        for tick, received_at in await orders.read(partial(ticks_received, account=settings.account, after=after)):
            session = sessions.of(tick.symbol).session_at_or_after(tick.at)
            day = day or session.date
            if session.date != day:
                return
            after = received_at
            if session.contains(tick.at):
                ends = max(ends or session.closes, session.closes)
                show(tick)
        await asyncio.sleep(EVERY)
