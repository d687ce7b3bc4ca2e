"""Between a paper market's feed and a strategy: the market's time stands still while the strategy answers a tick.

So a day can be replayed as fast as the orders go, and the same strategy on the same ticks gives the same fills however
fast it is replayed, and as in a backtest.
"""

import asyncio

from trading.market.feeds import Timed
from trading.market.ticks import Tick


class Gate:
    """The audience of a feed in the same event loop."""

    def __init__(self) -> None:
        self.ticks: asyncio.Queue[Tick | None] = asyncio.Queue()
        """What was shown, in order; `None` when the round is over."""
        self._ready = asyncio.Event()
        self._is_over = False
        self._is_free = False
        self.is_at_its_end = False
        """Whether the last tick of the round was shown."""

    async def ready(self) -> None:
        await self._ready.wait()

    def shown(self, timed: Timed) -> None:
        self.is_at_its_end = timed.is_last
        if not self._is_free:
            self._ready.clear()
            self.ticks.put_nowait(timed.tick)

    def closed(self) -> None:
        """The market does not go on into the next round."""
        self._is_over = True
        self._ready.clear()
        self.ticks.put_nowait(None)

    def go_on(self) -> None:
        """The strategy has answered."""
        if not self._is_over:
            self._ready.set()

    def leave(self) -> None:
        """Nobody answers any more; the market moves on by itself until its round is over."""
        self._is_free = True
        self.go_on()
