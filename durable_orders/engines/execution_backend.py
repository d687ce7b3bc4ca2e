"""What stands behind an engine: a backend that places, cancels and looks."""

from typing import Protocol

from durable_orders.trading.orders.order import Amendment, Order


class ExecutionBackend(Protocol):
    """Executes one account's orders. Its answers are the orders as they stand."""

    async def place(self, order: Order) -> Order:
        """At the broker, or ended, or UNKNOWN where even the order book has not told yet."""

    async def cancel(self, name: str) -> Order:
        """By order id or client order id. Raises `OrderNotFound`."""

    async def amend(self, name: str, change: Amendment) -> Order:
        """The order with these terms. Raises `OrderNotFound`, `InvalidOrder` with the reason where it does not get
        them, and `UnknownError` where it may still get them."""

    async def poll(self) -> list[Order]:
        """All orders, oldest first, after a look at the broker's book."""

    async def close(self) -> None: ...
