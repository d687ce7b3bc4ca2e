"""Between a paper market's feed and a strategy: the market's time stands still while the strategy answers a tick.

So a day can be replayed as fast as the orders go, and the same strategy on the same ticks gives the same fills however
fast it is replayed, and as in a backtest.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.ticks import Tick


@dataclass(frozen=True, slots=True)
class Moment:
    """The market's time stands still at it, between two ticks, because the strategy wants to be called then."""

    at: datetime


Shown = Tick | Moment | None
"""What a market shows; `None` when it is over."""


class Gate:
    """The audience of a feed in the same event loop."""

    def __init__(self) -> None:
        self.ticks: asyncio.Queue[Shown] = asyncio.Queue()
        """What was shown, in order; `None` when the round is over."""
        self.wants: Callable[[datetime, Session], datetime | None] = lambda _until, _session: None
        """The next moment before the first one for which the strategy waits. Only asked while it has nothing to do."""
        self._ready = asyncio.Event()
        self._is_over = False
        self._is_free = False
        self.is_at_its_end = False
        """Whether the last tick of the round was shown."""

    async def ready(self) -> None:
        await self._ready.wait()

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        return None if self._is_free or self._is_over else self.wants(until, session)

    def passed(self, moment: datetime) -> None:
        if not self._is_free:
            self._ready.clear()
            self.ticks.put_nowait(Moment(moment))

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
