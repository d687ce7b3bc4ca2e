"""A desk over durable workflows: orders live on a server and at its worker, whatever becomes of this process."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_orders.engines.books import Books
from durable_orders.engines.checking import refusal_of
from durable_orders.engines.terms import intent_of
from durable_orders.orders import Orders, whole_id
from trading import lifecycle
from trading.bus import EventBus
from trading.errors import InvalidSettings, OrderNotFound
from trading.ledger.following import newest_id
from trading.ledger.reading import find_order
from trading.order import Mode, Order, OrderId


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
        """What is about to be started is in the caller's state before: its fills are booked then, once, whenever this
        process ends."""
        await self._connected()
        intent = intent_of(order, self._orders.settings.account, self._mode)
        if intent.order_id not in self._known:
            standing = await self._orders.read(lambda ledger: find_order(ledger, intent.order_id))
            if standing is not None:
                self._known[standing.order_id] = standing
            elif (refused := await self._entered(Order.from_intent(intent, datetime.now(UTC)))) is not None:
                return refused
        return await self._noted(await self._orders.place_and_wait(intent))

    async def cancel(self, name: str) -> Order:
        await self._connected()
        return await self._noted(await self._orders.cancel(whole_id(self._orders.settings.account, name)))

    async def poll(self) -> list[Order]:
        """Those of this engine, now or before, and whatever else is open in the account."""
        await self._connected()
        found = {order.order_id: order for order in await self._orders.list(open_only=True)}
        for own_id, known in list(self._known.items()):
            if own_id not in found and not known.status.terminal:
                with suppress(OrderNotFound):  # its start did not get through
                    found[own_id] = await self._orders.get(own_id)
        for order in found.values():
            await self._noted(order)
        return sorted(self._known.values(), key=lambda order: order.created_at)

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

    async def _entered(self, order: Order) -> Order | None:
        """The order as the caller's own guardian refuses it: nothing is recorded on the server then. `None` if not."""
        reason = await asyncio.to_thread(refusal_of, self._guardian, self._market_data, order)
        if reason is not None:
            order = lifecycle.step(order, lifecycle.Refused((reason,)), order.created_at)
        await asyncio.to_thread(self._books.note, None, order)
        self._known[order.order_id] = order
        return order if reason is not None else None

    async def _noted(self, order: Order) -> Order:
        """Book what is new of it in the caller's own state and journal. What another one placed is not booked."""
        before = self._known.get(order.order_id, order)
        if before != order:
            await asyncio.to_thread(self._books.note, before, order)
        self._known[order.order_id] = order
        return order
