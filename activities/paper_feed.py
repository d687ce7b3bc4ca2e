"""The paper market's feed: plays ticks at their pace, and lets the exchange match against each."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Protocol

from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed

CATCH_UP = 1.0
"""Seconds: a feed further behind than this (the machine slept) goes on from now instead of racing after the clock."""

ATTENDED = timedelta(days=1)
"""How long, on the wall's clock, a market stays open that waits for whoever attends it. Its session is ended with its
last tick."""


class Audience(Protocol):
    """Who attends the feed: the market's time stands still until it is ready for the next tick."""

    async def ready(self) -> None:
        """Returns when the market may go on."""

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before then for which the market's time is to stand still. `session` is the one of then."""

    def passed(self, moment: datetime) -> None:
        """It does."""

    def shown(self, timed: Timed) -> None:
        """The market has met this tick."""

    def closed(self) -> None:
        """The last tick of the round was shown, and its session has ended."""


class PaperFeed:
    """The stream of a paper account. Whoever runs it owns the market; an earlier owner is fenced off."""

    def __init__(
        self,
        market: PaperMarket,
        ticks: Callable[[datetime | None], Iterator[Timed]],
        speed: float,
        executor: Executor,
        audience: Audience | None = None,
    ) -> None:
        """`ticks(after)` gives the feed from a moment of market time on; `speed` is market seconds per second."""
        self._market = market
        self._ticks = ticks
        self._speed = speed
        self._executor = executor
        self._audience = audience

    async def run(self, push: Callable[[], None]) -> None:
        """Raises `MarketNotOwned` when another process takes the market over."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._market.take_over)
        after = await loop.run_in_executor(self._executor, self._market.resume_point)
        due = loop.time()
        for timed in self._ticks(after):
            due = max(due + timed.wait, loop.time() - CATCH_UP)
            await asyncio.sleep(max(due - loop.time(), 0))
            if self._audience is not None:
                await self._pass_time(self._audience, timed.tick.at, timed.session)
            if await loop.run_in_executor(self._executor, self._play, timed):
                push()
            if self._audience is not None:
                self._audience.shown(timed)
                if timed.is_last:
                    await self._close(self._audience, timed.session, push)

    async def _pass_time(self, audience: Audience, until: datetime, session: Session) -> None:
        """Let the audience have each moment that it waits for, before the market's time is `until`."""
        await audience.ready()
        while (moment := audience.next_before(until, session)) is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._market.pass_time, moment)
            audience.passed(moment)
            await audience.ready()

    async def _close(self, audience: Audience, session: Session, push: Callable[[], None]) -> None:
        await self._pass_time(audience, session.closes, session)
        if await asyncio.get_running_loop().run_in_executor(self._executor, self._market.close_session):
            push()
        audience.closed()

    def _play(self, timed: Timed) -> bool:
        left = (timed.session.closes - timed.tick.at).total_seconds() / self._speed
        left_on_the_wall = timedelta(seconds=max(left, 0)) if self._audience is None else ATTENDED
        closes_at = datetime.now(UTC) + left_on_the_wall
        return bool(self._market.on_ticks([timed.tick], timed.session, closes_at))
