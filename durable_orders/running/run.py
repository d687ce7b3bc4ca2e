"""One run of a strategy over durable orders: calls its callbacks, one at a time, and does what it asks for.

What the strategy is told comes from the ledger's feed, in order and each change once; what it asks for becomes a
workflow under an id that a restart finds again. The ids of orders without one are numbered, each number is started
before the next is given, and a restart goes on behind the last number that exists. So nothing is placed twice,
whenever the run dies.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, time
from enum import StrEnum

from durable_orders.orders import OrderHandle, Orders
from durable_orders.persistence import persistently
from durable_orders.running.desk import Asked, Place, RunDesk
from durable_orders.running.view import is_settled, last_number, look, view_at
from trading.errors import DuplicateOrder, OrderNotFound, StrategyFailed
from trading.ist import IST
from trading.ledger.following import newest_id
from trading.market.ticks import Tick
from trading.order import Mode, Order, OrderIntent, Product
from trading.strategy_desk import guarded, numbered_id
from trading.strategy_files import Loaded

MOST_AT_ONCE = 100_000
"""Things that a strategy may ask for at once: one that answers each order with another never ends."""
SETTLE_SECONDS = 10.0
"""How long the market waits until what it did is recorded. An order may be UNKNOWN for longer: it goes on then."""
SETTLE_EVERY = 0.005
OUT_SECONDS = 30.0
"""How long getting out waits for the ends of cancelled and of closing orders."""


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

    def __init__(
        self,
        orders: Orders,
        loaded: Loaded,
        *,
        waits: bool = False,
        square_off: time | None = None,
        told: Callable[[Order], object] = lambda _order: None,
    ) -> None:
        """`waits`: each order is at the exchange, and all it did is recorded, before the next thing is done. That is
        for a paper market which waits meanwhile. From `square_off` on, market time, IST, ticks are not shown to the
        strategy any more. `told` hears of every order of the strategy that stands differently.
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
        self._waits = waits
        self._square_off = square_off
        self._told = told
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="strategy")
        self.desk: RunDesk

    async def find(self) -> None:
        """Find what an earlier run has left: first of all."""
        account = self.orders.settings.account
        feed_id = await self.orders.read(newest_id)
        view = await self.orders.read(lambda connection: view_at(connection, account, self.strategy, feed_id))
        number = await self.orders.read(lambda connection: last_number(connection, account, self.strategy))
        untaken = await self.orders.untaken()
        with suppress(OrderNotFound):
            while True:
                untaken.append(await self.orders.handle(numbered_id(self.strategy, number + 1)).now())
                number += 1
        self.desk = RunDesk(self.orders, self.strategy, view, number)
        self.seen = {order.order_id: order for order in view.open}
        known = {order.client_order_id for order in view.open}
        for order in untaken:
            if order.client_order_id not in known:
                self.desk.adopt(order)

    async def begin(self) -> None:
        """Call `on_start`, and do what it asks for. Raises `StrategyFailed`."""
        await self._call("on_start")
        await self._do_asked()

    async def show(self, tick: Tick, *, is_last: bool = False) -> bool:
        """Tell the strategy of a tick, and do what it asks for; `False` once it is time to square off.

        `is_last` says whether the market ends with it. Raises `StrategyFailed`.
        """
        self.desk.market_time = self.last = tick.at
        self.first = self.first or tick.at
        self.ticks += 1
        await self.tell()
        if self._is_due(tick.at, is_last=is_last):
            return False
        await self._call("on_tick", tick)
        await self._do_asked()
        return True

    def is_due_by_the_wall(self) -> bool:
        """Whether it is time to square off though no tick says so: live, the time goes on without any."""
        is_live = self.orders.settings.execution.mode is Mode.LIVE
        return is_live and self.last is not None and self._is_due(datetime.now(UTC))

    def _is_due(self, at: datetime, *, is_last: bool = False) -> bool:
        return self._square_off is not None and at.astimezone(IST).time() >= self._square_off

    async def tell(self) -> None:
        """Tell the strategy what has become of its orders, and do what it asks for then. Raises `StrategyFailed`."""
        await self.settled()
        while await self._tell_once():
            await self._do_asked()

    async def end(self) -> None:
        """Call `on_stop`. What it cancels is cancelled; orders are not placed any more. Raises `StrategyFailed`."""
        await self.tell()
        await self._call("on_stop")
        while asked := self.desk.next_asked():
            if isinstance(asked, Place):
                self.desk.forget(asked.intent.client_order_id)
                self.notes.append(f"not placed, the run has ended: {asked.intent.summary()}")
            else:
                await self._do(asked)

    async def get_out(
        self, reason: str, *, flatten: Collection[Product], wait: Callable[[], object] = lambda: None
    ) -> list[str]:
        """Cancel the strategy's open orders and close what it holds of these products. Gives what could not be done.

        A position is closed only when every order of its symbol and product has ended, for only then it is certain.
        `wait` is called before the ends of closing orders are waited for: a market that stands still must go on.
        """
        await self._look()
        cancels = [self._cancel(order.client_order_id, reason) for order in self.desk.open_orders()]
        problems = [words for words in await asyncio.gather(*cancels) if words]
        await self.settled()
        await self._look()
        if flatten:
            problems += await self._close(reason, flatten, wait)
            await self._look()
        return problems

    async def close(self) -> None:
        """Let go of threads and connections. Open orders are left as they are."""
        self._thread.shutdown(wait=False)

    async def _close(self, reason: str, products: Collection[Product], wait: Callable[[], object]) -> list[str]:
        uncertain = {(order.symbol, order.product) for order in self.desk.open_orders()}
        closing, problems = list[tuple[OrderIntent, OrderHandle]](), list[str]()
        for key, held in self.desk.view.positions.items():
            if not held.quantity or held.product not in products:
                continue
            if key in uncertain:
                problems.append(f"{held.symbol} {held.product}: not closed, an order of it is still open")
            else:
                intent = self.desk.close(held, reason)
                closing.append((intent, await self._start(intent)))
        if self._waits:
            await asyncio.gather(*(handle.placed(SETTLE_SECONDS) for _, handle in closing))
            await self.settled()
        wait()
        for intent, handle in closing:
            order = await _within(OUT_SECONDS, handle.result()) or await handle.now()
            if order.filled_quantity != intent.quantity:
                why = "; ".join(order.reasons[-1:])
                problems.append(f"{order.symbol} {order.product}: not closed, {order.status} {why}".rstrip())
        return problems

    async def _cancel(self, client_order_id: str, reason: str) -> str | None:
        try:
            order = await self.orders.handle(client_order_id).cancel(reason, OUT_SECONDS)
        except OrderNotFound:
            return None
        return None if order.status.terminal else f"{client_order_id}: still {order.status}, the cancel stands"

    async def _tell_once(self) -> bool:
        """Whether there was anything to tell."""
        changed = await self._look()
        for order in changed or ():
            await self._call("on_order", order)
        return bool(changed)

    async def _look(self) -> tuple[Order, ...] | None:
        account, desk = self.orders.settings.account, self.desk
        view = await self.orders.read(
            lambda connection: look(connection, account, self.strategy, desk.view.feed_id, desk.unrecorded)
        )
        if view is None:
            return None
        desk.see(view)
        for order in view.changed:
            self.seen[order.order_id] = order
            self._told(order)
        return view.changed

    async def _do_asked(self) -> None:
        """All that was asked for, each with what the strategy says to its outcome."""
        for _ in range(MOST_AT_ONCE):
            asked = self.desk.next_asked()
            if asked is None:
                return
            await self._do(asked)
            while await self._tell_once():
                pass
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
        else:
            handle = self.orders.handle(asked.client_order_id)
            await handle.cancel(f"by {self.strategy}", SETTLE_SECONDS if self._waits else 0.0)
        await self.settled()

    async def _start(self, intent: OrderIntent) -> OrderHandle:
        return await persistently(lambda: self.orders.place(intent))

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

    async def _call(self, name: str, *told: object) -> None:
        """Call back, off the event loop. Raises `StrategyFailed`."""

        def call() -> None:
            self._call_back(name, *told)

        await asyncio.get_running_loop().run_in_executor(self._thread, guarded, self.strategy, name, call)

    def _call_back(self, name: str, *told: object) -> None:
        """In the strategy's thread."""
        getattr(self._callbacks, name)(self.desk, *told)


async def _within(seconds: float, ending: Awaitable[Order]) -> Order | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await ending
    return None
