"""What a strategy that is written against `ExecutionEngine` gets from `durable-orders run --engines`."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, Unpack

from durable_orders.engines.interface import ExecutionEngine
from durable_orders.retrying import retry_unreachable
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Order, Product
from durable_orders.trading.orders.terms import Changes, product_of
from durable_orders.trading.strategies.targets import must_be_a_target


class SessionEngine(ExecutionEngine):
    """The account's engine, over durable workflows, for one strategy in one session of the market.

    It takes orders of this strategy alone, one at a time. Before the session and from its square-off on they are
    `REJECTED`, and the server never hears of them. On a paper market that waits for the run, every answer comes when
    all that the exchange did is recorded. `event_bus` tells the whole account's events.
    """

    def __init__(
        self,
        engine: ExecutionEngine,
        strategy: str,
        clock: Callable[[], datetime],
        position: Callable[[str, Product], Awaitable[Position]],
        settled: Callable[[Order], Awaitable[Order]],
        want: Callable[[str, int, Product], object],
    ) -> None:
        """`settled` gives the order as it stands once the ledger has what the exchange did, if that is waited for;
        `want` hears of targets, and raises `InvalidOrder` out of the session."""
        super().__init__(engine.event_bus)
        self._engine = engine
        self._strategy = strategy
        self._clock = clock
        self._position = position
        self._settled = settled
        self._want = want
        self._turn = asyncio.Lock()

    @property
    def now(self) -> datetime:
        """The market's clock, IST: where a day is replayed, the replay's."""
        return self._clock()

    async def place_order(self, order: Order) -> Order:
        """As every engine does. Raises `InvalidOrder` for an order of another strategy."""
        if order.strategy != self._strategy:
            rule = f"must be that of the run, {self._strategy}, was {order.strategy}"
            raise InvalidOrder(f"strategy: {rule}; a strategy file may say `name` on its class")
        async with self._turn:
            return await self._settled(await retry_unreachable(lambda: self._engine.place_order(order)))

    async def cancel_order(self, order_id: str) -> Order:
        return await self._settled(await retry_unreachable(lambda: self._engine.cancel_order(order_id)))

    async def amend_order(self, order_id: str, **terms: Unpack[Changes]) -> Order:
        """As every engine does. Out of the session a change is refused, as an order is: raises `InvalidOrder`."""
        async with self._turn:
            return await self._settled(await retry_unreachable(lambda: self._engine.amend_order(order_id, **terms)))

    async def poll_orders(self) -> list[Order]:
        return await retry_unreachable(self._engine.poll_orders)

    async def position(self, symbol: str, product: Product | str = Product.MIS) -> Position:
        """What this strategy's own orders have come to, in this run and before; flat if there were none."""
        return await self._position(symbol, product_of(product))

    async def target(self, symbol: str, quantity: int, product: Product | str = Product.MIS) -> None:
        """Bring this strategy's position to that quantity, signed, at the market, once the callback has returned, and
        keep it there while the session lasts, or until another target; its orders are told to `on_order`. One order
        works for it at a time; one that is wrong by now is cancelled first. Where the order for it is refused or
        expires, the target is given up until it is asked for again. 0 closes the position. What an earlier run has left
        for it works on. Raises `InvalidStrategy` for what is no quantity, and `InvalidOrder` out of the session."""
        must_be_a_target(quantity)
        async with self._turn:
            self._want(symbol, quantity, product_of(product))

    async def finished(self) -> None:
        """Once no order is on its way to the server."""
        async with self._turn:
            return


class EngineStrategy(Protocol):
    """The callbacks of a strategy file for `durable-orders run --engines`: coroutine functions, called one at a time,
    on an event loop that is the strategy's own. A class that inherits from this one writes those that it needs. One
    that raises stops the strategy.

    `name`, if there is one, is the strategy's code in orders and journal; else it is the name of the file.
    """

    async def on_start(self, engine: SessionEngine) -> None:
        """The session is open; after a restart too. `engine.poll_orders()` shows what an earlier run left behind."""

    async def on_tick(self, engine: SessionEngine, tick: Tick) -> None:
        """The market moved. Resting orders have met the tick already."""

    async def on_order(self, engine: SessionEngine, order: Order) -> None:
        """An order of the strategy stands differently. Several changes that came together may be told as one."""

    async def on_stop(self, engine: SessionEngine) -> None:
        """After the last tick, or when the strategy is stopped. Orders are not placed any more, but cancelled."""
