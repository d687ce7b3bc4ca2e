"""A run from its beginning to its summary: starts what is needed, or joins what is up already."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from durable_orders.orders import Orders
from durable_orders.running.engine_run import EngineRun, must_be_within_the_session
from durable_orders.running.gate import Ahead, Gate, Moment, Shown
from durable_orders.running.markets import follow_ticks
from durable_orders.running.run import OnError, Run, Why, symbols_of
from durable_orders.running.runs import RunFile
from durable_orders.running.summary import Summary, by_status, holdings_of, realized, tally_of, unrealized
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import HomeUnusable, StrategyFailed
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Mode, Order, Product
from durable_orders.trading.strategies.files import Loaded
from durable_orders.workers.components import check_mode
from durable_orders.workers.environment import configured_server
from durable_orders.workers.home import Home
from durable_orders.workers.up import at_work, stop_on_signals

if TYPE_CHECKING:
    from durable_orders.running.kite_market import KiteMarket

IDLE = 0.1
"""Seconds between two looks at the feed while no tick comes."""

Source = Callable[[Callable[[Tick], object]], Awaitable[None]]
"""Shows ticks until its market is over."""


def _ignore(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run."""

    live: bool = False
    on_error: OnError = OnError.CANCEL
    square_off: time | None = None
    """Market time, IST."""
    engines: bool = False
    """Whether the strategy is written against `ExecutionEngine`: one session is run, squared off at its end."""
    own_market: bool = False
    """Whether the settings of the market were given for this run: it cannot join another's then."""
    port: int | None = None
    ui_port: int | None = None
    began: Callable[[str], object] = _ignore
    shown: Callable[[Run, Tick], object] = _ignore
    told: Callable[[Order], object] = _ignore
    """Hears of every order of the strategy that stands differently."""
    market: "Callable[[Source], Source]" = lambda source: source
    """What is made of a live market's ticks, such as one that has an end."""
    pace: float | None = None
    """Market seconds a second of a live market that shows what was recorded; `None` for one of now."""
    begins_at: datetime | None = None
    """When that begins, market time."""
    warned: Callable[[str], object] = _ignore
    """Hears at once of what holds the strategy up."""


@dataclass(slots=True)
class Market:
    """The ticks as they come: those of a market that waits behind its gate, or of one that waits for nobody."""

    ticks: asyncio.Queue[Shown] = field(default_factory=asyncio.Queue)
    gate: Gate | None = None
    is_own: bool = False
    """Whether server and worker are this run's own, and not those of an `up`."""
    source: Source | None = None
    """What shows them where there is no gate; it ends with the market."""

    @property
    def is_at_its_end(self) -> bool:
        """Whether its last tick was shown, as far as that is known."""
        return self.gate is not None and self.gate.is_at_its_end

    def resume(self) -> None:
        if self.gate is not None:
            self.gate.resume()

    def leave(self) -> None:
        if self.gate is not None:
            self.gate.leave()


async def run_strategy(
    home: Home, config: Path | None, settings: Settings, loaded: Loaded, plan: Plan | None = None
) -> Summary:
    """Run the strategy until its market closes, it is time to square off, or SIGINT or SIGTERM comes.

    Raises `HomeUnusable` if the strategy runs already, `InvalidSettings` where mode and `live` do not agree or the
    market is closed when a session is to be squared off, and what the parts raise that are started.
    """
    plan = plan or Plan()
    check_mode(settings, plan.live)
    if plan.engines:
        must_be_within_the_session(plan.square_off, symbols_of(loaded.strategy, settings)[0], settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(home.make().running(loaded.name))
        stop = stop_on_signals()
        watched = live_market(home, settings, loaded, plan.warned) if settings.execution.mode is Mode.LIVE else None
        market = await _staff(stack, home, settings, plan)
        if market.is_own:
            home.follow_config(config)
        orders = await stack.enter_async_context(Orders(home.path, config))
        market.source = plan.market(watched.follow) if watched is not None else partial(follow_ticks, orders)
        run = run_of(plan, orders, Orders(home.path, config), loaded, waits=market.gate is not None)
        if watched is not None:
            run.watch = watched.watch
        run.pace, run.begins_at = plan.pace, plan.begins_at
        stack.push_async_callback(run.close)
        kept = RunFile(home, loaded.name, settings.execution.mode)
        summary = await perform(run, market, plan, stop)
        kept.end(summary)
        return summary


def run_of(plan: Plan, orders: Orders, own: Orders, loaded: Loaded, *, waits: bool) -> Run:
    """The kind of run that the plan asks for. `own` is not connected yet: an engine has its own connection."""
    how: dict[str, Any] = {"square_off": plan.square_off, "told": plan.told, "warned": plan.warned}
    if plan.engines:
        return EngineRun(orders, own, loaded, waits=waits, **how)
    return Run(orders, loaded, waits=waits, **how)


def live_market(home: Home, settings: Settings, loaded: Loaded, warned: Callable[[str], object]) -> "KiteMarket":
    """Kite's ticks of the strategy's own `symbols`, or of the setting's."""
    from durable_orders.running.kite_market import KiteMarket

    own = tuple(getattr(loaded.strategy, "symbols", ()))
    return KiteMarket(home, settings, own or tuple(filter(None, [settings.market.symbol])), warned)


async def _staff(stack: AsyncExitStack, home: Home, settings: Settings, plan: Plan) -> Market:
    """Server, worker and market of our own, if the home is not up and no other server is configured."""
    try:
        if configured_server() is not None:
            raise HomeUnusable("a Temporal server is configured, and the market is its workers'")
        stack.enter_context(home.locked())
    except HomeUnusable as error:
        if plan.own_market and settings.execution.mode is Mode.PAPER:
            raise HomeUnusable(f"{error}: ticks, symbol and speed are for a market of the run's own") from None
        plan.began("joins what is up already")
        return Market()
    gate = Gate() if settings.execution.mode is Mode.PAPER else None
    address = await stack.enter_async_context(
        at_work(home, settings, plan.port, plan.ui_port, live=plan.live, audience=gate)
    )
    plan.began(f"Temporal UI on {address.ui}" if address is not None else "")
    return Market(gate.ticks, gate, is_own=True) if gate is not None else Market(is_own=True)


async def perform(run: Run, market: Market, plan: Plan, stop: asyncio.Event) -> Summary:
    """The run itself, over a server and a market that are there, until `stop` is set at the latest."""
    since, failure, left = datetime.now(UTC), None, list[str]()
    run.is_interrupted = stop.is_set
    await run.find()
    if market.gate is not None:
        market.gate.wants, market.gate.looks, market.gate.minds = run.wants, run.looks_ahead, run.open_plans
    before = realized(run.desk.view)
    try:
        await run.begin()
        why = await _play(run, market, plan, stop)
        if why is Why.SQUARED_OFF:
            left = await run.close_out("square-off", flatten=run.squares_off, wait=market.leave)
        await run.end()
    except StrategyFailed as error:
        why, failure = Why.FAILED, str(error)
        if plan.on_error is not OnError.KEEP:
            flatten = tuple(Product) if plan.on_error is OnError.FLATTEN else ()
            left = await run.close_out("the strategy failed", flatten=flatten, wait=market.leave)
    return await _summary(run, why, failure, since, before, left)


async def _play(run: Run, market: Market, plan: Plan, stop: asyncio.Event) -> Why:
    feeding = asyncio.create_task(_feed(market)) if market.gate is None else None
    market.resume()
    try:
        while not stop.is_set():
            came = await _play_one(run, market, plan, feeding, stop)
            if isinstance(came, Why):
                return came
            if came and not stop.is_set():  # else a tick would go by that the strategy never sees
                market.resume()
        return Why.INTERRUPTED
    finally:
        if feeding is not None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def _play_one(
    run: Run, market: Market, plan: Plan, feeding: asyncio.Task[None] | None, stop: asyncio.Event
) -> Why | bool:
    """The next thing that the market shows; `False` where none came. Why the run is over then, if it is."""
    try:
        async with asyncio.timeout(IDLE):
            shown = await market.ticks.get()
    except TimeoutError:
        await run.tell()
        if market.gate is None:
            await run.pass_time_by_the_wall()
        return Why.SQUARED_OFF if run.is_due_by_the_wall() else False
    if shown is None:
        if feeding is not None:
            await feeding
            await run.pass_time_by_the_wall()
        return Why.CLOSED
    if isinstance(shown, Moment):
        await run.pass_time(shown.at)
        return True
    if isinstance(shown, Ahead):
        return await _play_ahead(run, market, plan, shown.ticks, stop)
    if market.gate is None:
        await run.pass_time_by_the_wall()
    if not await run.show(shown, is_last=market.is_at_its_end):
        return Why.SQUARED_OFF
    plan.shown(run, shown)
    return True


async def _play_ahead(run: Run, market: Market, plan: Plan, ticks: Sequence[Tick], stop: asyncio.Event) -> bool:
    """What it is shown ahead of the market; `False` where that has not met it, and the run is to stop."""
    taken = await run.look_ahead(ticks)
    if market.gate is not None and not await market.gate.took(taken, stop):
        return False
    if taken:
        await run.answer()
        plan.shown(run, ticks[taken - 1])
    return True


async def _feed(market: Market) -> None:
    try:
        if market.source is not None:
            await market.source(market.ticks.put_nowait)
    finally:
        market.ticks.put_nowait(None)


async def _summary(
    run: Run, why: Why, failure: str | None, since: datetime, before: Decimal, left: Sequence[str]
) -> Summary:
    settings, view = run.orders.settings, run.desk.view
    tally = await run.orders.read(lambda c: tally_of(c, settings.account, run.strategy, since))
    holdings = await run.orders.read(lambda c: holdings_of(c, settings.account, view))
    return Summary(
        strategy=run.strategy,
        account=settings.account,
        mode=settings.execution.mode,
        ended=why,
        failure=failure,
        notes=tuple(run.notes),
        left=tuple(left),
        ticks=run.ticks,
        first_tick=run.first,
        last_tick=run.last,
        orders=by_status(list(run.seen.values())),
        fills=tally.fills,
        units=tally.units,
        realized_pnl=realized(view) - before,
        unrealized_pnl=unrealized(holdings),
        charges=tally.charges,
        uncharged_fills=tally.uncharged,
        holdings=holdings,
        open_orders=tuple(order.client_order_id for order in run.desk.open_orders()),
    )
