"""One run of a strategy over durable orders: calls its callbacks, one at a time, and does what it asks for.

What the strategy is told comes from the ledger's feed, in order and each change once; what it asks for becomes a
workflow under an id that a restart finds again. The ids of orders without one are numbered, each number is started
before the next is given, and a restart goes on behind the last number that exists. So nothing is placed twice,
whenever the run dies.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from time import monotonic
from typing import Any, TypeVar

import sqlalchemy as sa

from durable_orders import halting
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.retrying import SERVER_EVERY, retry_unreachable
from durable_orders.running.desk import Amend, Asked, CancelPlan, ChangePlan, Close, Place, RunDesk, StartPlan, Watch
from durable_orders.running.keeping import Keeping
from durable_orders.running.plans import RunPlans
from durable_orders.running.view import View, changed_since, is_settled, last_number, last_plan_number, look, view_at
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import (
    DuplicateOrder,
    DurableOrdersError,
    InvalidOrder,
    OrderNotFound,
    RefusedError,
    ServerUnreachable,
    StrategyFailed,
    UnknownError,
)
from durable_orders.trading.exchange.store import read_market
from durable_orders.trading.flatten.request import FlattenRequest, FlattenResult
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.following import newest_id
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.market.calendar import Session
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Account, Mode, Order, OrderIntent, Product, Status, is_closing, plan_of
from durable_orders.trading.strategies.desk import SQUARE_OFF, guarded, numbered_id
from durable_orders.trading.strategies.files import Loaded
from durable_orders.trading.strategies.strategy import has_own
from durable_orders.trading.strategies.timers import TimerCall

MOST_AT_ONCE = 100_000
"""Things that a strategy may ask for at once: one that answers each order with another never ends."""
SETTLE_SECONDS = 30.0
"""How long the market waits until what it did is recorded: beyond the ten seconds that a lost workflow task takes. An
order may be UNKNOWN for longer: it goes on then."""
SETTLE_EVERY = 0.005
SLOW_SECONDS = 5.0
"""A callback that takes longer is told about, and again after each doubling of the time."""
AHEAD_SECONDS = 0.05
"""So long the strategy may be ahead of the market."""
PLANS_OUT_SECONDS = 10.0
"""How long a close waits for a plan that is to close what it holds: then the rest is closed around it."""
OUT_SECONDS = 30.0
"""How long getting out waits for the ends of cancelled and of closing orders."""


Found = TypeVar("Found")


class OnError(StrEnum):
    """What becomes of a strategy's open orders when it fails."""

    CANCEL = "cancel"
    """They are cancelled; what is held stays."""
    KEEP = "keep"
    """They go on."""
    FLATTEN = "flatten"
    """They are cancelled, and what the strategy holds is closed at the market."""


class Why(StrEnum):
    """Why a run has ended."""

    CLOSED = "the market has closed"
    SQUARED_OFF = "squared off"
    INTERRUPTED = "interrupted"
    FAILED = "the strategy failed"


class Run:
    """Find what there is, begin, show it ticks, and end it."""

    squares_off: Collection[Product] = tuple(Product)
    """What is closed when it is time to square off."""
    tells_of_meanwhile = True
    """Whether the strategy is told what became of its orders since an earlier run of the same day has ended."""
    sees_ahead = True
    """Whether ticks that change nothing at the exchange may be shown to it before the market has met them."""
    keeps_targets_at_once = True
    """Whether what targets miss is asked for with what else a callback asks for."""
    slow_seconds: float | None = SLOW_SECONDS
    """`None` where callbacks await their orders, and may take as long as those."""

    def __init__(
        self,
        orders: Orders,
        loaded: Loaded,
        *,
        waits: bool = False,
        square_off: time | None = None,
        told: Callable[[Order], object] = lambda _order: None,
        warned: Callable[[str], object] = lambda _words: None,
    ) -> None:
        """`waits`: each order is at the exchange, and all it did is recorded, before the next thing is done. That is
        for a paper market which waits meanwhile. From `square_off` on, market time, IST, ticks are not shown to the
        strategy any more. `told` hears of every order of the strategy that stands differently, `warned` at once of what
        holds it up.
        """
        self.strategy = loaded.name
        self.orders = orders
        self.ticks = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.seen: dict[str, Order] = {}
        """Every order of the strategy that was open at the beginning or stood differently since, as it stood last."""
        self.notes: list[str] = []
        """What went otherwise than asked for, in words."""
        self._callbacks = loaded.strategy
        self._hears_of_positions = has_own(loaded.strategy, "on_position")
        self._waits = waits
        self._square_off = square_off
        self._told = told
        self._warned = warned
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="strategy")
        self._keeping = Keeping(orders, loaded.name, waits=waits)
        self._plans = RunPlans(orders, loaded.name, waits=waits)
        self._keeping.told_of_plans = lambda: self._plans.told
        self._hears_of_plans = has_own(loaded.strategy, "on_plan")
        self._meanwhile_changed: list[tuple[int, Order]] = []
        self._sessions = InstrumentSessions(orders.settings.market)
        self._last_on_the_wall: datetime | None = None
        self.pace: float | None = None
        """Market seconds a second, of a live market that shows what was recorded."""
        self.begins_at: datetime | None = None
        """When that begins."""
        self._refused: list[Order] = []
        self._failure: StrategyFailed | None = None
        """Of a callback whose tick the market has not met yet."""
        self.watch: Callable[[Sequence[str], bool], Awaitable[None]] = _all_anyway
        """Asks the market for the ticks of symbols, or for no more of them."""
        self._held: list[StartPlan | CancelPlan | ChangePlan] = []
        """What was asked of plans before the market's time was known: they begin with it."""
        self.is_interrupted: Callable[[], bool] = lambda: False
        """Whether it is to stop: no tick is shown to it any more. Asked in the strategy's thread."""
        self._busy = set[asyncio.Task[None]]()
        self._closing: list[asyncio.Task[None]] = []
        """Closes for which the market waits whenever none of their orders works there."""
        self._is_ending = False
        self.desk: RunDesk

    async def find(self) -> None:
        """Find what an earlier run has left: first of all."""
        account = self.orders.settings.account
        keeping = self._keeping
        await keeping.find()

        def ask(connection: sa.Connection) -> tuple[View, list[tuple[int, Order]], int]:
            """At one moment: what is recorded later is found by its number."""
            meanwhile = changed_since(connection, account, self.strategy, keeping.told)
            view = view_at(connection, account, self.strategy, newest_id(connection, account))
            return view, meanwhile, last_number(connection, account, self.strategy)

        await self.settled()
        view, self._meanwhile_changed, number = await self.orders.read(ask)
        not_started = await self.orders.not_started()
        with suppress(OrderNotFound):
            while True:
                not_started.append(await self.orders.handle(numbered_id(self.strategy, number + 1)).now())
                number += 1
        last_plan = await self.orders.read(lambda connection: last_plan_number(connection, account, self.strategy))
        unrecorded = await self._plans.unrecorded_after(last_plan)
        last_plan += len(unrecorded)
        self.desk = RunDesk(self.orders, self.strategy, view, number, keeping.timers, keeping.state, last_plan)
        self.desk.source.warned, self.desk.begins_at = self._note, self.begins_at
        if self._waits:
            market = await self.orders.read(lambda connection: read_market(connection, Account(account)))
            self.desk.market_time = market.market_at if market is not None else None
            keeping.timers.begin(self.desk.market_time)
        self.seen = {order.order_id: order for order in view.open}
        known = {order.client_order_id for order in view.open}
        for order in not_started:
            if order.client_order_id not in known:
                self.desk.adopt(order)
        await self._plans.find(keeping.plans_told, unrecorded)
        for intent in keeping.plans_asked():
            self.desk.start_again(intent)
        keeping.ask_again(self.desk)
        self.notes += keeping.notes

    async def begin(self) -> None:
        """Do what an earlier run has left to do, call `on_start`, tell what became of the strategy's orders meanwhile,
        and do what it asks for. Raises `StrategyFailed`."""
        await self._do_asked()
        await self._call("on_start")
        await self._do_asked()
        missed = self._meanwhile_changed if self.tells_of_meanwhile else []
        if missed and has_own(self._callbacks, "on_missed"):
            self._keeping.told = missed[-1][0]
            await self._call("on_missed", tuple(order for _, order in missed))
            await self._do_asked()
            missed = []
        for event, order in missed:
            await self._tell_of(order, event)
            await self._do_asked()
        if await self._tell_of_plans():
            await self._do_asked()

    async def show(self, tick: Tick, *, is_last: bool = False) -> bool:
        """Tell the strategy of a tick, and do what it asks for; `False` once it is time to square off.

        `is_last` says whether the market ends with it. Raises `StrategyFailed`.
        """
        self.desk.market_time = self.last = tick.at
        self._last_on_the_wall = datetime.now(UTC)
        self.desk.seen[tick.symbol] = tick
        self.desk.see_tick(tick)
        self.first = self.first or tick.at
        self.ticks += 1
        await self.tell()
        if self._is_due(tick.at, is_last=is_last):
            return False
        if self.desk.wants(tick):
            await self._call("on_tick", tick)
            await self._do_asked()
        return True

    def looks_ahead(self, at: datetime) -> bool:
        """Whether the strategy can be shown ticks from then on before the market has met them: nothing of its own
        is under way, and nobody waits for what it says."""
        is_under_way = self.desk.is_waiting or bool(self._refused) or bool(self._busy)
        return (
            self._waits and self.sees_ahead and not is_under_way and not self._is_due(at) and self._plans.look_ahead(at)
        )

    def open_plans(self) -> Collection[str]:
        return self._plans.open_ids

    async def look_ahead(self, ticks: Sequence[Tick]) -> int:
        """Show it such ticks, up to the first by which it asks for something, that concerns
        one of its plans, or before which a timer is due. How many;
        what it asked for is done by `answer`, when the market has met them. 0 where it had to be told of something
        first: what it asked for then may rest, and the market meets that with the first of them."""
        if await self.tell() or not self.looks_ahead(ticks[0].at) or self._plans.reached().by(ticks[0].at, ticks[0]):
            return 0
        taken: int = await self._in_its_thread("on_tick", lambda: self._see(ticks))
        self.ticks += taken
        self.first, self.last = self.first or ticks[0].at, ticks[taken - 1].at
        self._last_on_the_wall = datetime.now(UTC)
        return taken

    async def answer(self) -> None:
        """Do what it asked for by the last tick that it was shown ahead. Raises `StrategyFailed`."""
        if self._failure is not None:
            raise self._failure
        await self._keeping.keep(self.desk)
        await self._do_asked()

    def _see(self, ticks: Sequence[Tick]) -> int:
        """In the strategy's thread."""
        desk, state, until = self.desk, self.desk.state, monotonic() + AHEAD_SECONDS
        plans = self._plans.reached()
        for number, tick in enumerate(ticks):
            if number and (
                tick.at > desk.timers.next_at or self._is_due(tick.at) or plans.by(tick.at, tick) or monotonic() > until
            ):
                return number
            desk.market_time = tick.at
            desk.seen[tick.symbol] = tick
            desk.see_tick(tick)
            if desk.wants(tick):
                kept = state.kept
                try:
                    self._calls_back("on_tick", tick)
                except StrategyFailed as error:
                    self._failure = error
                    return number + 1
                if desk.has_asked or state.kept is not kept or self.is_interrupted():
                    return number + 1
        return len(ticks)

    def wants(self, until: datetime, session: Session) -> datetime | None:
        """The next moment before then at which the strategy is to be called."""
        begins = until - timedelta.resolution if self._held else None
        moments = (begins, self.desk.timers.next_before(until, session), self._plans.next_before(until, session))
        return min((moment for moment in moments if moment is not None), default=None)

    async def pass_time(self, moment: datetime) -> None:
        """The market's time is at that moment, or beyond it: call what is due. Raises `StrategyFailed`."""
        self.desk.market_time = max(moment, self.desk.market_time or moment).astimezone(IST)
        await self.tell()
        for timer in self.desk.timers.take(moment):
            if not self.desk.is_quiet(moment) or timer.name == SQUARE_OFF:
                await self._call(timer.name, call=timer.call)
                await self._do_asked()
        self._tell_missed()

    async def pass_time_by_the_wall(self) -> None:
        """The same for a market that waits for nobody, whose time goes on without a tick. Raises `StrategyFailed`."""
        pace = self.orders.settings.market.speed if self.orders.settings.execution.mode is Mode.PAPER else self.pace
        now = datetime.now(UTC) if pace is None else self._since_the_last_tick(pace)
        if now is None or now <= self.desk.timers.next_at:
            return
        session = self._session_at(now if pace is None or self.last is None else self.last)
        while (moment := self.wants(now, session)) is not None:
            await self.pass_time(now if pace is None else moment)
        self._tell_missed()

    def _since_the_last_tick(self, pace: float) -> datetime | None:
        """How far the market has come at that pace, on the day of its last tick; `None` before the first."""
        if self.last is None or self._last_on_the_wall is None:
            return None
        passed = (datetime.now(UTC) - self._last_on_the_wall) * pace
        return min(self.last + passed, self._session_at(self.last).closes)

    def _session_at(self, now: datetime) -> Session:
        """The earliest of those that the strategy's symbols have then, or next."""
        symbols = list(self.desk.seen) or list(symbols_of(self._callbacks, self.orders.settings))
        sessions = [self._sessions.of(symbol).session_at_or_after(now) for symbol in symbols]
        first = min(sessions, key=lambda session: session.opens)
        return replace(first, closes=max(each.closes for each in sessions if each.date == first.date))

    def _tell_missed(self) -> None:
        for words in self.desk.timers.take_missed():
            self._note(words)

    def _note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)
        self._warned(words)

    def is_due_by_the_wall(self) -> bool:
        """Whether it is time to square off though no tick says so: live, the time goes on without any."""
        is_live = self.orders.settings.execution.mode is Mode.LIVE
        return is_live and self.last is not None and self._is_due(datetime.now(UTC))

    def _is_due(self, at: datetime, *, is_last: bool = False) -> bool:
        return self._square_off is not None and at.astimezone(IST).time() >= self._square_off

    async def tell(self) -> bool:
        """Tell the strategy what has become of its orders, and do what it asks for then. Whether there was anything.
        Raises `StrategyFailed`."""
        while self._held and self.desk.market_time is not None:
            await self._do_to_plan(self._held.pop(0))
        await self._bring_plans()
        return await self._tell_all(self._do_asked)

    async def end(self) -> None:
        """Call `on_stop`. What it cancels is cancelled; orders are not placed any more. Raises `StrategyFailed`."""
        await self.tell()
        await self._call("on_stop")
        self.notes += [f"not started, the market has not begun: {words}" for words in self._drop_held()]
        while asked := self.desk.next_asked():
            if isinstance(asked, Place):
                self.desk.forget(asked.intent.client_order_id)
                self.notes.append(f"not placed, the run has ended: {asked.intent.summary()}")
            elif isinstance(asked, StartPlan):
                self.desk.forget_plan(asked.intent.plan_id)
                self.desk.taken(asked)
                self.notes.append(f"not started, the run has ended: {asked.intent.summary()}")
            else:
                await self._do(asked)
        self._is_ending = True
        await asyncio.gather(*self._busy)
        await self._keeping.keep(self.desk)
        unseen = sorted(self.desk.subscribed - self.desk.seen.keys())
        self.notes += [f"subscribed to {symbol}, of which there is no tick" for symbol in unseen]

    def _drop_held(self) -> list[str]:
        """Leave out what was asked of plans before the market's time was known. Gives the plans, in words."""
        held, self._held = self._held, []
        for asked in held:
            self.desk.taken(asked)
        started = [asked.intent for asked in held if isinstance(asked, StartPlan)]
        for intent in started:
            self.desk.forget_plan(intent.plan_id)
        return [f"plan {intent.plan_id}" for intent in started]

    async def close_out(
        self, reason: str, *, flatten: Collection[Product], wait: Callable[[], object] = lambda: None
    ) -> list[str]:
        """Cancel the strategy's open orders and close what it holds of these products. Gives what could not be done.

        `wait` is called before the ends of closing orders are waited for: a market that stands still must go on.
        """
        self.desk.targets.forget()
        self._is_ending = True
        if dropped := [*self._drop_held(), *self.desk.drop_orders()]:  # or the next run would place them
            self.notes.append(f"not placed ({reason}): {', '.join(dropped)}")
            await self._keeping.keep(self.desk)
        await self._look()
        of_none = [own for own in self.desk.open_orders() if plan_of(own.client_order_id) is None]
        cancels = [self._cancel(order.client_order_id, reason) for order in of_none]
        problems = [words for words in await asyncio.gather(*cancels) if words]
        if not flatten:
            self.notes += await self._plans.let_go(reason)
        await self.settled()
        await self._look()
        if flatten:
            problems += await self._flatten(reason, flatten, wait)
            await self.settled()
            await self._look()
        return problems

    async def close(self) -> None:
        """Let go of threads and connections. Open orders are left as they are."""
        for task in self._busy:
            task.cancel()
        self._thread.shutdown(wait=False)

    async def _flatten(self, reason: str, products: Collection[Product], wait: Callable[[], object]) -> list[str]:
        """Ask for it, and wait for its end: it goes on whatever becomes of this run."""
        closing = asyncio.create_task(self._closed(Close(None, None, reason), products))
        await self._until_at_the_market(closing)
        if not closing.done():
            wait()
        return await closing

    async def _until_at_the_market(self, closing: asyncio.Task[Any]) -> bool:
        """Where the market waits, it is done when this returns, or needs a market that goes on. Whether that is so."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + OUT_SECONDS
        while self._waits and not closing.done():
            if await self._is_at_the_market():
                break
            if loop.time() > deadline:
                return False
            await asyncio.sleep(SETTLE_EVERY)
        return True

    async def _bring_closes(self) -> None:
        """Where the market waits: until all that closes do at this moment is done. One that has kept it for too long it
        does not wait for any more."""
        for closing in list(self._closing):
            if not await self._until_at_the_market(closing) or closing.done():
                self._closing.remove(closing)

    async def _closed(self, asked: Close, products: Collection[Product]) -> list[str]:
        """Have it closed. Gives what was not, in words."""
        request = FlattenRequest(
            account=self.orders.settings.account,
            reason=asked.reason,
            who=f"by strategy {self.strategy}",
            flatten=True,
            until_resumed=False,
            strategy=self.strategy,
            symbol=asked.symbol,
            products=tuple(products),
        )
        problems = await self._plans.close_out(
            self.desk, asked.symbol, tuple(products), asked.reason, PLANS_OUT_SECONDS
        )
        try:
            flattening = await self._flatten_asked(request)
            self.desk.taken(asked)
            result = await self._flattened(flattening, asked)
        except DurableOrdersError as error:
            return [f"{asked.symbol or self.strategy} may not be flat ({asked.reason}): {error}"]
        if result is None:
            return [f"{self.strategy} is not flat after {OUT_SECONDS:g} s: closing goes on without the run"]
        left = [f"{held.symbol} {held.product}: {held.quantity} still held" for held in result.left]
        why = dict.fromkeys(order.words for order in result.closed if order.words and left)
        return [*problems, *left, *result.problems, *why]

    async def _flattened(self, flattening: halting.Flattening, asked: Close) -> FlattenResult | None:
        """Its end, however long that takes; `None` where the run is at its own before that. Raises as `flattened`."""
        while True:
            try:
                result = await halting.flattened(self.orders.client, flattening, OUT_SECONDS)
            except ServerUnreachable:
                if self._is_ending:
                    raise
                await asyncio.sleep(SERVER_EVERY)
                continue
            if result is not None or self._is_ending:
                return result
            self._note(f"{asked.symbol or self.strategy} is not closed after {OUT_SECONDS:g} s ({asked.reason})")

    async def _flatten_asked(self, request: FlattenRequest) -> halting.Flattening:
        """Asked for until the server has it: whoever asks again joins the one that runs. Raises `ServerUnreachable`
        once the run is at its end."""
        while True:
            try:
                return await retry_unreachable(lambda: halting.flatten_asked(self.orders.client, request))
            except ServerUnreachable as error:
                if self._is_ending:
                    raise
                what = request.symbol or self.strategy
                self._note(f"{what} is not being closed yet ({request.reason}), it is asked for again: {error}")
                await asyncio.sleep(SERVER_EVERY)

    async def _is_at_the_market(self) -> bool:
        """Whether an order that closes works at the exchange: it needs a market that goes on."""
        account = self.orders.settings.account
        found = await self.orders.read(lambda c: list_orders(c, account, strategy=self.strategy, open_only=True))
        working = (Status.PLACED, Status.PARTIAL, Status.UNKNOWN)
        return any(is_closing(order.client_order_id) and order.status in working for order in found)

    async def _cancel(self, client_order_id: str, reason: str) -> str | None:
        try:
            order = await self.orders.handle(client_order_id).cancel(reason, OUT_SECONDS)
        except OrderNotFound:
            return None
        except DurableOrdersError as error:
            return f"{client_order_id}: not known to be cancelled: {error}"
        return None if order.status.terminal else f"{client_order_id}: still {order.status}, the cancel stands"

    async def _tell_all(self, then: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Until there is nothing to tell, with what is done after each round. Whether there was anything."""
        for number in range(MOST_AT_ONCE):
            if not await self._tell_once():
                return bool(number)
            if then is not None:
                await then()
        raise StrategyFailed(
            f"{self.strategy}: was told of {MOST_AT_ONCE} things at once, and asked for more each time"
        )

    async def _tell_once(self) -> bool:
        """Whether there was anything to tell."""
        before = self.desk.view
        while self._refused:
            await self._call("on_order", self._refused.pop(0))
        changed = await self._look()
        for order, event in zip(changed or (), self.desk.view.last_events, strict=False):
            await self._tell_of(order, event)
        moved = self.desk.view.moved_by_others(self.orders.settings.account, before) if changed is not None else []
        if moved and self._hears_of_positions:
            for position in moved:
                await self._call("on_position", position)
        return await self._tell_of_plans() or bool(changed)

    async def _tell_of_plans(self) -> bool:
        """Whether any stands differently than it was told."""
        changed = await self._plans.news()
        for view in changed:
            self._plans.tell(view)
            if self._hears_of_plans:
                await self._call("on_plan", view)
        return bool(changed)

    async def _bring_plans(self) -> None:
        """Where the market waits: until all that orders and plans do at this moment is done and recorded."""
        await self.settled()
        if await self._plans.bring(self.desk):
            await self.settled()
        if self._closing:
            await self._bring_closes()
            await self.settled()

    async def _tell_of(self, order: Order, event: int) -> None:
        """Whatever becomes of the run, it is told once: that it was is kept with what the strategy asks for then."""
        self._keeping.told = event
        await self._call("on_order", order)

    async def _look(self) -> tuple[Order, ...] | None:
        account, desk = self.orders.settings.account, self.desk
        ended = tuple(desk.ended)
        view = await self.orders.read(
            lambda connection: look(connection, account, self.strategy, desk.view.feed_id, desk.unrecorded)
        )
        if view is not None:
            desk.see(view)
        desk.see_ends(ended)
        if view is None:
            return None
        for order in view.changed:
            self.seen[order.order_id] = order
            self._told(order)
        return view.changed

    async def _do_asked(self) -> None:
        """All that was asked for, each with what the strategy says to its outcome."""
        for _ in range(MOST_AT_ONCE):
            asked = self.desk.next_asked()
            if asked is None:
                await self._keeping.keep(self.desk)
                return
            await self._do(asked)
            await self._tell_all()
        raise StrategyFailed(f"{self.strategy}: asked for {MOST_AT_ONCE} things at once")

    async def _do(self, asked: Asked) -> None:
        if isinstance(asked, Place):
            try:
                handle = await self._start(asked.intent)
            except DuplicateOrder as error:  # somebody else has taken the id since: theirs stands
                self.desk.forget(asked.intent.client_order_id)
                self.notes.append(str(error))
                return
            if self._waits:
                await handle.placed(SETTLE_SECONDS)
        elif isinstance(asked, Amend):
            amending = self._meanwhile(self._amend(asked))
            if self._waits:
                await amending
        elif isinstance(asked, StartPlan | CancelPlan | ChangePlan):
            await self._do_to_plan(asked)
        elif isinstance(asked, Watch):
            await self.watch(asked.symbols, asked.wanted)
        elif isinstance(asked, Close):
            closing = self._meanwhile(self._close(asked))
            if self._waits:
                self._closing.append(closing)
        else:
            handle = self.orders.handle(asked.client_order_id)
            await handle.cancel(f"by {self.strategy}", SETTLE_SECONDS if self._waits else 0.0)
        await self._bring_plans()

    async def _do_to_plan(self, asked: StartPlan | CancelPlan | ChangePlan) -> None:
        """What cannot be done of it is a note; of a plan that is refused the strategy hears."""
        if self._waits and self.desk.market_time is None:
            self._held.append(asked)
            return
        try:
            if isinstance(asked, StartPlan):
                await self._plans.start(self.desk, asked.intent)
            elif isinstance(asked, CancelPlan):
                await self._plans.cancel(self.desk, asked.plan_id, asked.reason, flatten=asked.flatten)
            else:
                await self._plans.amend(self.desk, asked.plan_id, asked.change, SETTLE_SECONDS)
        except DuplicateOrder as error:
            self.desk.forget_plan(asked.intent.plan_id if isinstance(asked, StartPlan) else asked.plan_id)
            self.notes.append(str(error))
        except (InvalidOrder, UnknownError, OrderNotFound) as error:
            own = asked.intent.plan_id if isinstance(asked, StartPlan) else asked.plan_id
            self._note(f"plan {own}: {error}")
        self.desk.taken(asked)

    def _meanwhile(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(doing)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return task

    async def _close(self, asked: Close) -> None:
        try:
            for words in await self._closed(asked, tuple(Product) if asked.product is None else (asked.product,)):
                self._note(words)
        finally:
            self.desk.ended.append(asked)

    async def _amend(self, asked: Amend) -> None:
        """What is refused, or not known, the strategy hears with the order."""
        handle = self.orders.handle(asked.client_order_id)
        try:
            await retry_unreachable(lambda: handle.amend(asked.change))
        except (RefusedError, UnknownError) as error:
            await self._tell_not_amended(handle, asked, str(error))
        except DurableOrdersError as error:
            self._note(f"{asked.client_order_id}: not known to be changed ({asked.change.summary()}): {error}")
        self.desk.taken(asked)

    async def _tell_not_amended(self, handle: OrderHandle, asked: Amend, words: str) -> None:
        told = f"amendment ({asked.change.summary()}) not done: {words}"
        try:
            order = await handle.now()
        except DurableOrdersError:
            self._note(f"{asked.client_order_id}: {told}")
            return
        if not any(words in reason for reason in order.reasons):
            order = order.model_copy(update={"reasons": (*order.reasons, told)})
        self._refused.append(order)

    async def _start(self, intent: OrderIntent) -> OrderHandle:
        return await retry_unreachable(lambda: self.orders.place(intent))

    async def settled(self) -> None:
        """Where the market waits: until the ledger has all that the exchange did with the strategy's orders."""
        if not self._waits:
            return
        account = self.orders.settings.account
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        while not await self.orders.read(lambda connection: is_settled(connection, account, self.strategy)):
            if loop.time() > deadline:
                return
            await asyncio.sleep(SETTLE_EVERY)

    async def _call(self, name: str, *told: object, call: TimerCall | None = None) -> None:
        """Call back, off the event loop, and keep what it wants kept. Raises `StrategyFailed`."""

        await self._in_its_thread(name, lambda: self._calls_back(name, *told, call=call))
        await self._keeping.keep(self.desk)

    async def _in_its_thread(self, name: str, called: Callable[[], Found]) -> Found:
        """Off the event loop; it is told when that takes long."""
        calling = asyncio.get_running_loop().run_in_executor(self._thread, called)
        passed, pause = 0.0, self.slow_seconds
        while pause is not None and not (await asyncio.wait({calling}, timeout=pause))[0]:
            passed += pause
            pause = passed
            self._warned(f"{name} has not returned after {passed:.0f} s; the strategy hears of nothing meanwhile")
        return await calling

    def _calls_back(self, name: str, *told: object, call: TimerCall | None = None) -> None:
        """In the strategy's thread, with what it keeps. Raises `StrategyFailed`."""
        guarded(self.strategy, name, lambda: call(self.desk) if call else self._call_back(name, *told))
        guarded(self.strategy, f"what {name} keeps", self.desk.state.written)
        if self.keeps_targets_at_once:
            self._keep_targets()

    def _keep_targets(self) -> None:
        """In the strategy's thread: ask for what its targets miss. Raises `StrategyFailed`."""
        if self.desk.targets:
            guarded(self.strategy, "target", self.desk.targets.keep)

    def _call_back(self, name: str, *told: object) -> None:
        """In the strategy's thread."""
        getattr(self._callbacks, name)(self.desk, *told)


async def _all_anyway(_symbols: Sequence[str], _wanted: bool) -> None:
    """A paper market shows whatever it has."""


def symbols_of(strategy: object, settings: Settings) -> tuple[str, ...]:
    """What the strategy looks at, as far as that is known."""
    return tuple(getattr(strategy, "symbols", ())) or (settings.market.symbol or SHIPPED_SYMBOL,)
