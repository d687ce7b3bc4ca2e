"""A desk over durable workflows: orders live on a server and at its worker, whatever becomes of this process."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from durable_orders.engines.books import Books
from durable_orders.engines.checking import refusal_of
from durable_orders.engines.terms import intent_of
from durable_orders.orders import Orders, whole_id
from trading import lifecycle
from trading.bus import EventBus
from trading.errors import InvalidSettings
from trading.ledger.following import newest_id
from trading.order import Mode, Order, OrderId, OrderIntent


class DurableDesk:
    """A `Desk`. Connects with the first call, in whose event loop it then is.

    The worker's guardian checks every order; a guardian of the caller is asked before, in this process. The bus is
    fed from the ledger's feed, from the moment of connecting on.
    """

    def __init__(
        self, orders: Orders | Path | str, mode: Mode, guardian: Any, market_data: Any, bus: EventBus, books: Books
    ) -> None:
        self._orders = orders if isinstance(orders, Orders) else Orders(orders)
        self._is_ours = not isinstance(orders, Orders)
        self._mode = mode
        self._guardian = guardian
        self._market_data = market_data
        self._bus = bus
        self._books = books
        self._known: dict[OrderId, Order] = {}
        self._feeding: asyncio.Task[None] | None = None

    async def place(self, order: Order) -> Order:
        await self._connected()
        intent = intent_of(order, self._orders.settings.account, self._mode)
        refused = await self._refused(order, intent)
        if refused is not None:
            return refused
        return await self._noted(await self._orders.place_and_wait(intent))

    async def cancel(self, name: str) -> Order:
        await self._connected()
        return await self._noted(await self._orders.cancel(whole_id(self._orders.settings.account, name)))

    async def poll(self) -> list[Order]:
        await self._connected()
        found = sorted(await self._orders.list(), key=lambda order: order.created_at)
        return [await self._noted(order) for order in found]

    async def close(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            with suppress(asyncio.CancelledError):
                await self._feeding
            self._feeding = None
        if self._is_ours:
            await self._orders.close()

    async def _connected(self) -> None:
        """Raises `InvalidSettings` for a home of the other mode: paper orders never become real ones."""
        if self._feeding is not None and not self._feeding.done():
            return
        await self._orders.open()
        own = self._orders.settings.execution.mode
        if own is not self._mode:
            raise InvalidSettings(f"execution.mode: the home's is {own}, and this engine's is {self._mode}")
        await asyncio.to_thread(self._recall)
        after = await self._orders.read(newest_id)
        self._feeding = asyncio.create_task(self._orders.feed(self._bus, after))

    def _recall(self) -> None:
        """How the open orders stood when the caller's state was last saved: what has been booked of them."""
        self._known = {order.order_id: order for order in self._books.open_orders()} | self._known

    async def _refused(self, order: Order, intent: OrderIntent) -> Order | None:
        """The order as the caller's own guardian refuses it. Nothing is recorded on the server then."""
        reason = None
        if self._guardian is not None and intent.order_id not in self._known:
            reason = await asyncio.to_thread(refusal_of, self._guardian, self._market_data, order)
        if reason is None:
            return None
        own = Order.from_intent(intent, order.created_at)
        refused = lifecycle.step(own, lifecycle.Refused((reason,)), order.created_at)
        return await self._noted(refused)

    async def _noted(self, order: Order) -> Order:
        """Book what is new of it in the caller's own state and journal."""
        before = self._known.get(order.order_id)
        if before is None or before != order:
            await asyncio.to_thread(self._books.note, before, order)
            self._known[order.order_id] = order
        return order
