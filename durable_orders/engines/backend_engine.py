"""The engine's calls over whatever backend executes the orders."""

from typing import Unpack

from durable_orders.engines.execution_backend import ExecutionBackend
from durable_orders.engines.interface import ExecutionEngine
from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.orders.order import Order
from durable_orders.trading.orders.terms import Changes, amendment_of


class BackendEngine(ExecutionEngine):
    def __init__(self, desk: ExecutionBackend, event_bus: EventBus) -> None:
        super().__init__(event_bus)
        self._desk = desk

    async def place_order(self, order: Order) -> Order:
        placed = await self._desk.place(order)
        await self.event_bus.settled()
        return placed

    async def cancel_order(self, order_id: str) -> Order:
        try:
            cancelled = await self._desk.cancel(order_id)
        except OrderNotFound:
            raise ValueError(f"Order {order_id} not found") from None
        await self.event_bus.settled()
        return cancelled

    async def amend_order(self, order_id: str, **terms: Unpack[Changes]) -> Order:
        change = amendment_of(terms)
        try:
            amended = await self._desk.amend(order_id, change)
        except OrderNotFound:
            raise ValueError(f"Order {order_id} not found") from None
        await self.event_bus.settled()
        return amended

    async def poll_orders(self) -> list[Order]:
        polled = await self._desk.poll()
        await self.event_bus.settled()
        return polled

    async def close(self) -> None:
        await self._desk.close()
        await super().close()
