"""Brings the positions of a strategy to where it wants them, and keeps them there."""

import re
from typing import Protocol

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.ledger.told_positions import ToldPosition
from durable_orders.trading.orders.order import ClientOrderId, Order, OrderType, Product, Status, is_closing

Key = tuple[str, Product]
REASON = re.compile(r"target -?\d+")
"""Of an order for a target, by which the next run knows it."""


class Desk(Protocol):
    """What a target needs of it."""

    def buy(self, symbol: str, quantity: int, *, product: Product, reason: str) -> ClientOrderId: ...

    def sell(self, symbol: str, quantity: int, *, product: Product, reason: str) -> ClientOrderId: ...

    def cancel(self, client_order_id: str) -> None: ...

    def close(self, symbol: str, product: Product, *, reason: str) -> None: ...

    def order(self, client_order_id: str) -> Order: ...

    def open_orders(self) -> list[Order]: ...

    def position(self, symbol: str, product: Product) -> ToldPosition: ...

    def is_being_closed(self, symbol: str, product: Product) -> bool:
        """Whether a close of it was asked for whose end the position does not show yet."""


def must_be_a_target(quantity: object) -> None:
    """Raises `InvalidStrategy` for what is no quantity."""
    if isinstance(quantity, bool) or not isinstance(quantity, int):
        raise InvalidStrategy(f"target: quantity: must be a whole number, below 0 for short, was {quantity!r:.40}")


class Targets:
    """One strategy's, for as long as it runs. At most one order or close at a time works for each."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.wanted: dict[Key, int] = {}
        self._working: dict[Key, str] = {}
        self._closing: set[Key] = set()

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def want(self, symbol: str, quantity: int, product: Product) -> None:
        """Raises `InvalidStrategy` for what is no quantity."""
        must_be_a_target(quantity)
        key = symbol, product
        self._take_in_end(key)
        if self.wanted.get(key) != quantity:
            self._closing.discard(key)
        if key not in self.wanted and key not in self._working:
            self._take_up(key)
        self.wanted[key] = quantity

    def forget(self) -> None:
        """All of them: it was squared off."""
        self.wanted.clear()
        self._closing = set()

    def keep(self) -> None:
        """Ask for what is missing now."""
        for key, wanted in list(self.wanted.items()):
            if self._is_free(key, wanted):
                self._go_on(key, wanted)

    def _take_up(self, key: Key) -> None:
        """An order that an earlier run has left for it works for it still."""
        for order in self._desk.open_orders():
            is_ours = order.order_type is OrderType.MARKET and not is_closing(order.client_order_id)
            if is_ours and (order.symbol, order.product) == key and REASON.fullmatch(order.reason or ""):
                self._working[key] = order.client_order_id
                return

    def _is_free(self, key: Key, wanted: int) -> bool:
        """Whether nothing works for it. What came to nothing gives the target up, until it is asked for again."""
        if self._desk.is_being_closed(*key):
            return False
        self._take_in_end(key)
        if key not in self.wanted:
            return False
        own = self._working.get(key)
        if own is None:
            return True
        order = self._desk.order(own)
        if not order.status.terminal:
            comes_to = self._desk.position(*key).quantity + order.side.sign * (order.quantity - order.filled_quantity)
            if comes_to != wanted and not order.cancel_requested:
                self._desk.cancel(own)
            return False
        del self._working[key]
        if order.status is Status.FILLED or order.cancel_requested:
            return True
        del self.wanted[key]
        return False

    def _has_closing_order(self, key: Key) -> bool:
        """Of a close that this run has not asked for, such as one that the run before it has left."""
        return any(
            is_closing(order.client_order_id) and (order.symbol, order.product) == key
            for order in self._desk.open_orders()
        )

    def _take_in_end(self, key: Key) -> None:
        """Of the close of a target 0, once it has ended."""
        if key not in self._closing or self._desk.is_being_closed(*key):
            return
        self._closing.discard(key)
        if self._desk.position(*key).quantity:
            self.wanted.pop(key, None)

    def _go_on(self, key: Key, wanted: int) -> None:
        missing = wanted - self._desk.position(*key).quantity
        if not missing or self._has_closing_order(key):
            return
        if not wanted:
            self._closing.add(key)
            self._desk.close(*key, reason="target 0")
        else:
            ask = self._desk.buy if missing > 0 else self._desk.sell
            self._working[key] = ask(key[0], abs(missing), product=key[1], reason=f"target {wanted}")
