"""The paper market's feed: plays ticks at their pace, and lets the exchange match against each."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

from trading.brokers.paper_market import PaperMarket
from trading.market.feeds import Timed

CATCH_UP = 1.0
"""Seconds: a feed further behind than this (the machine slept) goes on from now instead of racing after the clock."""


class PaperFeed:
    """The stream of a paper account. Whoever runs it owns the market; an earlier owner is fenced off."""

    def __init__(
        self,
        market: PaperMarket,
        ticks: Callable[[datetime | None], Iterator[Timed]],
        speed: float,
        executor: Executor,
    ) -> None:
        """`ticks(after)` gives the feed from a moment of market time on; `speed` is market seconds per second."""
        self._market = market
        self._ticks = ticks
        self._speed = speed
        self._executor = executor

    async def run(self, push: Callable[[], None]) -> None:
        """Raises `MarketNotOwned` when another process takes the market over."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._market.take_over)
        after = await loop.run_in_executor(self._executor, self._market.resume_point)
        due = loop.time()
        for timed in self._ticks(after):
            due = max(due + timed.wait, loop.time() - CATCH_UP)
            await asyncio.sleep(max(due - loop.time(), 0))
            if await loop.run_in_executor(self._executor, self._play, timed):
                push()

    def _play(self, timed: Timed) -> bool:
        left = (timed.session.closes - timed.tick.at).total_seconds() / self._speed
        closes_at = datetime.now(UTC) + timedelta(seconds=max(left, 0))
        return bool(self._market.on_ticks([timed.tick], timed.session, closes_at))
