"""What an execution engine is: place, amend, cancel, poll, and a bus that tells what happens meanwhile."""

from abc import ABC, abstractmethod
from typing import Unpack

from durable_orders.trading.bus.bus import EventBus
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.order import Order
from durable_orders.trading.orders.terms import Changes


class ExecutionEngine(ABC):
    """Executes the orders of one account. What it answers is the order as it is known to stand, never a guess: an
    order whose answer was lost is `UNKNOWN` until the broker's book has told.
    """

    def __init__(self, event_bus: EventBus | None = None) -> None:
        self.event_bus = event_bus or EventBus()

    @abstractmethod
    async def place_order(self, order: Order) -> Order:
        """Place the order, and answer once it is at the broker or has ended. A refusal is an answer: `REJECTED`.

        The same order again is the same order: it is not sent twice. Raises `DuplicateOrder` for the id of another.
        """

    @abstractmethod
    async def cancel_order(self, order_id: str) -> Order:
        """Cancel, and answer with the order as the broker's book shows it: a fill may have been quicker.

        Takes the order id or the client order id. Raises `ValueError` ("Order X not found") for one that it never saw.
        """

    async def amend_order(self, order_id: str, **terms: Unpack[Changes]) -> Order:
        """Change a working order: `price`, `trigger_price`, `quantity` (in all, as Kite counts) or `order_type`. The
        guardian checks the change, the order works on meanwhile, and the answer is the order with its new terms.

        Takes the order id or the client order id. Raises `InvalidOrder` with the field and the rule, or with whoever
        refused it: nothing has changed then. Raises `UnknownError` where the answer was lost and the book does not show
        the change: it may still be made. Raises `ValueError` ("Order X not found") for one that it never saw.
        """
        raise InvalidOrder(f"{order_id}: {type(self).__name__} changes no orders")

    @abstractmethod
    async def poll_orders(self) -> list[Order]:
        """Look at the broker's book, and answer with the orders that this engine knows, as they stand now, oldest
        first: all that it placed, and those that it found open.

        Raises `BookUnreadable` where the book cannot be read; nothing has changed then.
        """

    async def close(self) -> None:
        """Let go of connections and threads. Open orders are left as they are. Closing twice is fine."""
        self.event_bus.close()
