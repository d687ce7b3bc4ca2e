"""Between a paper market's feed and a strategy: the market's time stands still while the strategy answers a tick.

So a day can be replayed as fast as the orders go, and the same strategy on the same ticks gives the same fills however
fast it is replayed, and as in a backtest.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.ticks import Tick


@dataclass(frozen=True, slots=True)
class Moment:
    """The market's time stands still at it, between two ticks, because the strategy wants to be called then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Ahead:
    """Ticks that change nothing at the exchange, which the market meets once the strategy was shown them."""

    ticks: Sequence[Tick]


Shown = Tick | Moment | Ahead | None
"""What a market shows; `None` when it is over."""

STOP_SECONDS = 10.0
"""So long a run that is to stop waits for a market that has not met yet what the strategy was shown."""


@dataclass(slots=True)
class _Look:
    """At ticks ahead of the market. It outlives the feed that showed them: the next one brings them to the market."""

    ticks: Sequence[Timed]
    taken: asyncio.Future[int]
    """How many the strategy was shown."""
    met: asyncio.Future[None]
    """The market has met those."""


class Gate:
    """The audience of a feed in the same event loop."""

    def __init__(self) -> None:
        self.ticks: asyncio.Queue[Shown] = asyncio.Queue()
        """What was shown, in order; `None` when the round is over."""
        self.wants: Callable[[datetime, Session], datetime | None] = lambda _until, _session: None
        """The next moment before the first one for which the strategy waits. Only asked while it has nothing to do."""
        self.looks: Callable[[datetime], bool] = lambda _at: False
        """Whether the strategy can be shown ticks ahead of the market. Only asked while it has nothing to do."""
        self.minds: Callable[[], Collection[str]] = tuple
        """The strategy's open plans. Only asked while it has nothing to do."""
        self._look: _Look | None = None
        self._ready = asyncio.Event()
        self._is_over = False
        self._is_free = False
        self.is_at_its_end = False
        """Whether the last tick of the round was shown."""
        self.to_close: Session | None = None

    async def ready(self) -> None:
        await self._ready.wait()

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        return None if self._is_free or self._is_over else self.wants(until, session)

    def passed(self, moment: datetime) -> None:
        if not self._is_free:
            self._ready.clear()
            self.ticks.put_nowait(Moment(moment))

    def shown(self, timed: Timed) -> None:
        self._has_met(timed)
        if not self._is_free:
            self._ready.clear()
            self.ticks.put_nowait(timed.tick)

    def looks_ahead(self, at: datetime) -> bool:
        return not self._is_free and not self._is_over and self.looks(at)

    def ahead(self, ticks: Sequence[Timed]) -> None:
        loop = asyncio.get_running_loop()
        self._ready.clear()
        self._look = _Look(tuple(ticks), loop.create_future(), loop.create_future())
        self.ticks.put_nowait(Ahead([timed.tick for timed in ticks]))

    @property
    def unmet(self) -> Sequence[Timed]:
        return self._look.ticks if self._look is not None else ()

    async def taken(self) -> int:
        return await asyncio.shield(self._look.taken) if self._look is not None else 0

    async def took(self, count: int, stop: asyncio.Event) -> bool:
        """The strategy was shown so many of the ticks ahead; returns when the market has met them, whichever feed
        brings them there. `False` if it has not some seconds after `stop`: nothing may be sent then. Raises what keeps
        it from that for good."""
        look = self._look
        if look is None or look.taken.done():
            return False
        look.taken.set_result(count)
        if not count:
            self._look = None
            return True
        stopping = asyncio.create_task(_passed_since(stop, STOP_SECONDS))
        try:
            await asyncio.wait({look.met, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if look.met.done():
            look.met.result()
        return look.met.done()

    def met(self, count: int) -> None:
        look, self._look = self._look, None
        if look is not None:
            self._has_met(look.ticks[count - 1])
            look.met.set_result(None)

    def lost(self, problem: Exception) -> None:
        look, self._look = self._look, None
        if look is not None and not self._is_free:
            look.met.set_exception(problem)

    def _has_met(self, timed: Timed) -> None:
        self.is_at_its_end = timed.is_last
        self.to_close = timed.session if timed.is_last else None

    def closed(self) -> None:
        """The market does not go on into the next round."""
        self._is_over = True
        self.to_close = None
        self._ready.clear()
        self.ticks.put_nowait(None)

    def resume(self) -> None:
        """The strategy has answered."""
        if not self._is_over:
            self._ready.set()

    def leave(self) -> None:
        """Nobody answers any more; the market moves on by itself until its round is over."""
        self._is_free = True
        if self._look is not None and not self._look.taken.done():
            self._look.taken.set_result(len(self._look.ticks))
        self.resume()


async def _passed_since(event: asyncio.Event, seconds: float) -> None:
    await event.wait()
    await asyncio.sleep(seconds)
