"""Orders that an engine follows in this process: how each stands, what is told and booked when it changes."""

import logging
import threading
from datetime import UTC, datetime

from durable_orders.engines.books import Books
from durable_orders.engines.terms import asked_for
from durable_orders.trading.bus.bus import Event, EventBus
from durable_orders.trading.bus.event_data import order_data, position_data, standing
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.events import EVENT_OF, EventType
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Order, OrderId, Status

logger = logging.getLogger(__name__)


class Followed:
    """Thread-safe. An order changes by `lifecycle.step` alone, and each change is booked before it is told."""

    def __init__(self, bus: EventBus, books: Books) -> None:
        self._bus = bus
        self._books = books
        self._orders: dict[OrderId, Order] = {}
        self._asked: dict[OrderId, str] = {}
        """What each was asked for with."""
        self._lock = threading.RLock()

    def enter(self, order: Order) -> bool:
        """Follow a new order; `False` if it is followed already. Raises `DuplicateOrder` for another one of its id."""
        with self._lock:
            asked = asked_for(order)
            if order.order_id in self._orders:
                if self._asked[order.order_id] != asked:
                    raise DuplicateOrder(f"client_order_id: {order.client_order_id} is the id of another order")
                return False
            self._books.note(None, order)
            self._orders[order.order_id], self._asked[order.order_id] = order, asked
            self._tell(EventType.ORDER_RECEIVED, order, order.summary())
            return True

    def restore(self, order: Order) -> None:
        """Follow one that an earlier process had: it is neither booked nor told again."""
        with self._lock:
            self._asked[order.order_id] = self._books.asked_for(order)
            self._orders[order.order_id] = order

    def apply(self, order_id: OrderId, *events: lifecycle.Event) -> Order:
        """The order after these events. What cannot be booked is not taken: it is seen again with the next look."""
        with self._lock:
            for event in events:
                before = self._orders[order_id]
                after = lifecycle.step(before, event, datetime.now(UTC))
                if after is not before:
                    self._books.note(before, after)
                    self._orders[order_id] = after
                    self._tell_change(before, after)
            return self._orders[order_id]

    def show(self, after: Order) -> None:
        """The order stands so now, as whoever executes it says."""
        with self._lock:
            before = self._orders.get(after.order_id)
            if before is None:
                self.enter(after.changed(status=Status.PENDING, fills=(), reasons=(), broker_order_id=None))
                before = self._orders[after.order_id]
            if after != before:
                self._books.note(before, after)
                self._orders[after.order_id] = after
                self._tell_change(before, after)

    def find(self, order_id: OrderId) -> Order | None:
        with self._lock:
            return self._orders.get(order_id)

    def all(self) -> list[Order]:
        """Oldest first."""
        with self._lock:
            return sorted(self._orders.values(), key=lambda order: order.created_at)

    def _tell_change(self, before: Order, after: Order) -> None:
        is_new = after.status is not before.status or after.filled_quantity > before.filled_quantity
        self._tell(EVENT_OF[after.status] if is_new else EventType.ORDER_UPDATED, after, sentence(before, after))
        for fill in after.fills[len(before.fills) :]:
            signed = after.side.sign * fill.quantity
            moved = position_data(after.account, after.order_id, after.symbol, after.strategy, signed, fill.price)
            self._bus.post(Event(EventType.POSITION_UPDATED, after.updated_at, moved))

    def _tell(self, kind: EventType, order: Order, message: str) -> None:
        self._bus.post(Event(kind, order.updated_at, order_data(standing(kind, order, message))))
