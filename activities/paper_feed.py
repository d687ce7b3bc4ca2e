"""The paper market's feed: plays ticks at their pace, and lets the exchange match against each."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from durable_orders.trading.errors import MarketNotOwned
from durable_orders.trading.exchange.paper_market import PaperMarket
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed

CATCH_UP = 1.0
"""Seconds: a feed further behind than this (the machine slept) goes on from now instead of racing after the clock."""

MOST_AHEAD = 2000
LEAST_AHEAD = 2
"""Ticks that an audience is shown before the market has met them."""

ATTENDED = timedelta(days=1)
"""How long, on the wall's clock, a market stays open that waits for whoever attends it. Its session is ended with its
last tick."""


class Audience(Protocol):
    """Who attends the feed: the market's time stands still until it is ready for the next tick.

    A feed may end at any moment, and another goes on with the same audience: it is told whatever the market has met.
    """

    to_close: Session | None
    """That of the last tick of the round, once the market has met it, until the session has ended."""

    async def ready(self) -> None:
        """Returns when the market may go on."""

    def next_before(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before then for which the market's time is to stand still. `session` is the one of then."""

    def passed(self, moment: datetime) -> None:
        """It does."""

    def shown(self, timed: Timed) -> None:
        """The market has met this tick."""

    def looks_ahead(self, at: datetime) -> bool:
        """Whether it can take ticks, from one of that moment on, before the market has met them. It is ready then."""

    def minds(self) -> Collection[str]:
        """The plans that it has told of what concerns them, before it takes a tick that does. It is ready then."""

    def ahead(self, ticks: Sequence[Timed]) -> None:
        """Show it ticks that change nothing at the exchange. It waits until the market has met those that it takes."""

    @property
    def unmet(self) -> Sequence[Timed]:
        """Ticks that it was shown ahead, and of which it was not told that the market has met them."""

    async def taken(self) -> int:
        """How many of those it took: the last is the first by which it may want something. 0 if it has to be shown each
        with the market."""

    def met(self, count: int) -> None:
        """The market has met so many, as it took."""

    def lost(self, problem: Exception) -> None:
        """It never will."""

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
        self._turn = asyncio.Lock()
        """Of what is done at the market: what an earlier run has begun ends first."""
        self._runs: set[asyncio.Task[None]] = set()

    async def run(self, push: Callable[[], None]) -> None:
        """Ends an earlier run that still goes on: the server gives up a watch that has not been heard of for a while,
        and starts another. Raises `MarketNotOwned` when another process takes the market over."""
        own = asyncio.create_task(self._run(push, tuple(self._runs)))
        self._runs.add(own)
        own.add_done_callback(self._runs.discard)
        await own

    async def _run(self, push: Callable[[], None], earlier: Collection["asyncio.Task[None]"]) -> None:
        for each in earlier:
            each.cancel()
        if earlier:
            await asyncio.wait(earlier)
        loop = asyncio.get_running_loop()
        async with self._turn:
            await loop.run_in_executor(self._executor, self._market.take_over)
            after = await loop.run_in_executor(self._executor, self._market.resume_point)
        due = loop.time()
        coming = await self._coming(after, push)
        while (timed := coming.next()) is not None:
            due = max(due + timed.wait, loop.time() - CATCH_UP)
            await asyncio.sleep(max(due - loop.time(), 0))
            if self._audience is not None:
                await self._pass_time(self._audience, timed.tick.at, timed.session)
                if self._audience.looks_ahead(timed.tick.at):
                    some = [timed, *coming.due(timed, due, loop.time())]
                    shown = await self._show_ahead(self._audience, some, push)
                    coming.put_back(some[max(shown, 1) :])
                    if shown:
                        due += sum(each.wait for each in some[1:shown])
                        continue
                    await self._pass_time(self._audience, timed.tick.at, timed.session)
            await _to_its_end(self._meet(timed, push))
            await self._close(push)

    async def _coming(self, after: datetime | None, push: Callable[[], None]) -> "_Coming":
        """The ticks to be shown from that moment on. What an earlier feed has shown ahead, the market meets first."""
        audience = self._audience
        some = audience.unmet if audience is not None else ()
        if audience is None or not some or not (taken := await audience.taken()):
            coming = _Coming(self._ticks(after))
        else:
            if after is not None and after >= some[taken - 1].tick.at:  # it was done, and the answer was lost
                audience.met(taken)
            else:
                await _to_its_end(self._meet_ahead(audience, some[:taken], push))
            coming = _Coming(self._ticks(some[-1].tick.at))
            coming.put_back(some[taken:])
        await self._close(push)
        return coming

    async def _meet(self, timed: Timed, push: Callable[[], None]) -> None:
        async with self._turn:
            if await asyncio.get_running_loop().run_in_executor(self._executor, self._play, [timed]):
                push()
            if self._audience is not None:
                self._audience.shown(timed)

    async def _show_ahead(self, audience: Audience, some: Sequence[Timed], push: Callable[[], None]) -> int:
        """Ticks that change nothing at the exchange are shown to the audience first, up to one by which it wants
        something, and then to the market all at once. How many; 0 where they are to be shown one by one."""
        if len(some) == 1:
            return 0
        ticks, session, minded = [timed.tick for timed in some], some[0].session, frozenset(audience.minds())
        idle = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._market.idle_for, ticks, session, minded
        )
        if idle < LEAST_AHEAD:
            return 0
        audience.ahead(some[:idle])
        taken = await audience.taken()
        if taken:
            await _to_its_end(self._meet_ahead(audience, some[:taken], push))
            await self._close(push)
        return taken

    async def _meet_ahead(self, audience: Audience, some: Sequence[Timed], push: Callable[[], None]) -> None:
        """Whatever else keeps the market from it, the next feed does it."""
        async with self._turn:
            try:
                changed = await asyncio.get_running_loop().run_in_executor(self._executor, self._play, some)
            except MarketNotOwned as error:
                audience.lost(error)
                raise
            audience.met(len(some))
            if changed:
                push()

    async def _pass_time(self, audience: Audience, until: datetime, session: Session) -> None:
        """Let the audience have each moment that it waits for, before the market's time is `until`."""
        await audience.ready()
        while (moment := audience.next_before(until, session)) is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._market.pass_time, moment)
            audience.passed(moment)
            await audience.ready()

    async def _close(self, push: Callable[[], None]) -> None:
        """End the session of the round's last tick, if the market has met that."""
        audience = self._audience
        if audience is None or (session := audience.to_close) is None:
            return
        await self._pass_time(audience, session.closes, session)
        await _to_its_end(self._end_session(audience, push))

    async def _end_session(self, audience: Audience, push: Callable[[], None]) -> None:
        async with self._turn:
            if await asyncio.get_running_loop().run_in_executor(self._executor, self._market.close_session):
                push()
            audience.closed()

    def _play(self, some: Sequence[Timed]) -> bool:
        timed = some[-1]
        left = (timed.session.closes - timed.tick.at).total_seconds() / self._speed
        left_on_the_wall = timedelta(seconds=max(left, 0)) if self._audience is None else ATTENDED
        closes_at = datetime.now(UTC) + left_on_the_wall
        return bool(self._market.on_ticks([each.tick for each in some], timed.session, closes_at))


async def _to_its_end(doing: Coroutine[Any, Any, None]) -> None:
    """Whoever is cancelled meanwhile leaves when it has ended: what the market does, its audience is told."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


class _Coming:
    """The ticks that are still to be shown."""

    def __init__(self, ticks: Iterator[Timed]) -> None:
        self._ticks = ticks
        self._back: deque[Timed] = deque()

    def next(self) -> Timed | None:
        return self._back.popleft() if self._back else next(self._ticks, None)

    def put_back(self, some: Sequence[Timed]) -> None:
        self._back.extendleft(reversed(some))

    def due(self, first: Timed, due: float, now: float) -> list[Timed]:
        """Those after the first, which was due then, that are due by now too, of the same session and round."""
        found, last = list[Timed](), first
        while len(found) < MOST_AHEAD and not last.is_last and (timed := self.next()) is not None:
            due += timed.wait
            if due > now or timed.session.date != first.session.date:
                self._back.appendleft(timed)
                break
            found.append(timed)
            last = timed
        return found
