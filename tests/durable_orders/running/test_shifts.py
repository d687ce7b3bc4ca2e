"""The feed of a paper market ends now and then, with the watch's shift or a failure, and another goes on: the strategy
is shown each tick once, and whatever it asks for goes to a market that has met what it was shown."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from durable_orders.activities.paper_feed import PaperFeed
from durable_orders.activities.watch import WatchActivities
from durable_orders.running.gate import Ahead, Gate
from durable_orders.trading.errors import MarketNotOwned
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.feeds import Timed
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.strategies.strategy import StrategyContext
from tests.conftest import MakeHome, eventually
from tests.durable_orders.running.stage import backtest, home_with_ticks, orders_of, run_on
from tests.durable_orders.running.test_ahead import Rarely, fills, of, write

DAY = datetime(2025, 4, 29, tzinfo=IST)
NSE = Session(DAY.date(), DAY.replace(hour=9, minute=15), DAY.replace(hour=15, minute=30))
MCX = Session(DAY.date(), DAY.replace(hour=9), DAY.replace(hour=23, minute=30))
COUNT = 10
TICKS = [
    Timed(Tick("NSE:INFY", Decimal(1500 + number), DAY.replace(hour=10, minute=number)), 0.0, NSE)
    for number in range(COUNT - 1)
] + [Timed(Tick("MCX:GOLD", Decimal(90000), DAY.replace(hour=10, minute=COUNT)), 0.0, MCX, is_last=True)]
PATIENCE = 10.0

Found = TypeVar("Found")


class Stage:
    """A market of these ticks, its gate, and one feed after the other."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.gate.looks = lambda _at: True
        self.gate.resume()
        self.met: list[Decimal] = []
        self.closed: list[datetime | None] = []
        self.at: datetime | None = None
        self.meets: Callable[[], None] = lambda: None
        self.resumes: Callable[[], None] = lambda: None
        self.never = asyncio.Event()
        self._executor = ThreadPoolExecutor(2)
        market: Any = SimpleNamespace(
            take_over=lambda: 1,
            resume_point=self._resume_point,
            on_ticks=self._on_ticks,
            idle_for=lambda ticks, _session, _minded: len(ticks),
            pass_time=lambda _moment: None,
            close_session=self._close,
        )
        self._feed = PaperFeed(market, self._from, 1e6, self._executor, self.gate)

    def feed(self) -> "asyncio.Task[None]":
        """It runs, as it does for each attempt of a watch."""
        return asyncio.create_task(self._feed.run(lambda: None))

    def _resume_point(self) -> datetime | None:
        found = self.at
        self.resumes()
        return found

    async def shown(self) -> Sequence[Tick]:
        found = await soon(self.gate.ticks.get())
        assert isinstance(found, Ahead)
        return found.ticks

    def took(self, count: int) -> "asyncio.Task[bool]":
        return asyncio.create_task(self.gate.took(count, self.never))

    def _from(self, after: datetime | None) -> Iterator[Timed]:
        return (timed for timed in TICKS if after is None or timed.tick.at > after)

    def _close(self) -> list[Any]:
        self.closed.append(self.at)
        return []

    def _on_ticks(self, ticks: Sequence[Tick], *_: object) -> list[Any]:
        self.meets()
        self.met += [tick.last_price for tick in ticks]
        self.at = ticks[-1].at
        return []


async def soon(awaited: Awaitable[Found]) -> Found:
    async with asyncio.timeout(PATIENCE):
        return await awaited


async def end(feed: "asyncio.Task[None]") -> None:
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)


def prices(ticks: Sequence[Tick]) -> list[Decimal]:
    return [tick.last_price for tick in ticks]


async def test_a_feed_that_ends_while_the_strategy_looks_leaves_the_ticks_to_the_next() -> None:
    stage = Stage()
    first = stage.feed()
    seen = prices(await stage.shown())
    await end(first)
    took = stage.took(4)
    await asyncio.sleep(0)
    assert (took.done(), stage.met) == (False, []), "nothing may be sent to a market that has not met them"

    second = stage.feed()
    assert await soon(took)
    assert stage.met == seen[:4]
    stage.gate.resume()
    assert prices(await stage.shown()) == seen[4:], "none of those again"
    await end(second)


async def test_a_feed_that_nobody_waits_for_any_more_ends_before_the_next_begins() -> None:
    """The server has given it up, as it was not heard of for a while, and it has not been told so far."""
    stage = Stage()
    first = stage.feed()
    seen = prices(await stage.shown())
    loop, taking = asyncio.get_running_loop(), list[asyncio.Task[bool]]()

    def resumes() -> None:
        """The strategy goes on between the two of them."""
        loop.call_soon_threadsafe(lambda: taking.append(stage.took(4)))

    stage.resumes = resumes
    second = stage.feed()

    async def answered() -> bool:
        return bool(taking) and taking[0].done()

    assert await eventually(answered, "the strategy goes on")
    stage.gate.resume()
    assert prices(await stage.shown()) == seen[4:], "each once"
    assert (stage.met, first.done()) == (seen[:4], True)
    await end(second)


async def test_a_feed_that_ends_while_the_market_meets_the_ticks_tells_that_first() -> None:
    stage = Stage()
    inside, go = threading.Event(), threading.Event()

    def meets() -> None:
        inside.set()
        go.wait(PATIENCE)

    stage.meets = meets
    first = stage.feed()
    seen = prices(await stage.shown())
    took = stage.took(len(seen))
    await asyncio.to_thread(inside.wait, PATIENCE)
    first.cancel()
    go.set()
    await asyncio.gather(first, return_exceptions=True)
    assert await soon(took)
    assert stage.met == seen

    stage.gate.resume()
    await soon(stage.feed())
    assert (stage.met, await stage.gate.ticks.get()) == (seen, None), "the next ends what that one has begun"
    assert len(stage.closed) == 1


@pytest.mark.parametrize("is_recorded", [False, True], ids=["not done", "done, and the answer lost"])
async def test_a_ledger_that_fails_once_is_no_end_of_the_run(is_recorded: bool) -> None:
    stage = Stage()

    def fails() -> None:
        stage.meets = lambda: None
        if is_recorded:
            stage.met, stage.at = [timed.tick.last_price for timed in TICKS[:3]], TICKS[2].tick.at
        raise sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))

    stage.meets = fails
    first = stage.feed()
    seen = prices(await stage.shown())
    took = stage.took(3)
    with pytest.raises(sa.exc.OperationalError):
        await first
    assert not took.done()

    second = stage.feed()
    assert await soon(took)
    stage.gate.resume()
    assert (stage.met, prices(await stage.shown())) == (seen[:3], seen[3:])
    await end(second)


async def test_a_market_that_another_owns_is_told() -> None:
    stage = Stage()

    def fails() -> None:
        raise MarketNotOwned("another's")

    stage.meets = fails
    first = stage.feed()
    await stage.shown()
    took = stage.took(1)
    with pytest.raises(MarketNotOwned):
        await soon(took)
    with pytest.raises(MarketNotOwned):
        await first


async def test_a_run_that_is_to_stop_does_not_wait_for_a_feed_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_orders.running.gate.STOP_SECONDS", 0.0)
    stage = Stage()
    first = stage.feed()
    await stage.shown()
    await end(first)
    took = stage.took(1)
    stage.never.set()
    assert not await soon(took)


async def test_ticks_that_are_to_be_shown_singly_are() -> None:
    """The strategy had asked for something meanwhile: the market meets that with the first of them."""
    stage = Stage()
    feed = stage.feed()
    seen = await stage.shown()
    assert await stage.took(0)
    stage.gate.looks = lambda _at: False
    stage.gate.resume()
    assert await soon(stage.gate.ticks.get()) == seen[0]
    assert stage.met == prices(seen[:1])
    await end(feed)


@pytest.mark.parametrize("is_ahead", [True, False])
async def test_a_round_ends_with_the_session_of_its_last_tick(is_ahead: bool) -> None:
    stage, asked = Stage(), list[Session]()
    stage.gate.looks = lambda _at: is_ahead
    stage.gate.wants = lambda _until, session: asked.append(session)
    feed = stage.feed()
    while (shown := await soon(stage.gate.ticks.get())) is not None:
        if isinstance(shown, Ahead):
            await stage.took(len(shown.ticks))
        stage.gate.resume()
    assert asked[-1] == MCX
    await end(feed)


class Looking(Rarely):
    """Lets the shift end in the middle of a look."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on: Callable[[int], None] = lambda _number: None

    def on_tick(self, context: StrategyContext, tick: Tick) -> None:
        super().on_tick(context, tick)
        self.goes_on(len(self.prices))


async def test_shifts_end_in_the_middle_of_looks_and_nobody_can_tell(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real watches, whose attempts end while the strategy looks ahead: the run goes on as in a backtest."""
    home = home_with_ticks(make_home, write(tmp_path / "ticks.csv"), market={"speed": 100_000})
    asked, ended, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
    feeds = PaperFeed.run

    async def beat(_: WatchActivities) -> None:
        await asked.wait()
        asked.clear()

    async def run(self: PaperFeed, push: Callable[[], None]) -> None:
        try:
            await feeds(self, push)
        finally:
            ended.set()

    monkeypatch.setattr(WatchActivities, "_beat", beat)
    monkeypatch.setattr(PaperFeed, "run", run)
    strategy, tested = Looking(), Rarely()

    def goes_on(number: int) -> None:
        if number in (50, 500, 1000):
            ended.clear()
            loop.call_soon_threadsafe(asked.set)
            assert ended.wait(PATIENCE)

    strategy.goes_on = goes_on
    summary = await run_on(home, strategy)

    expected = backtest(home, tested)
    assert (summary.failure, strategy.prices) == (None, tested.prices)
    assert strategy.called == tested.called
    assert fills(await orders_of(home)) == fills(of(expected))
