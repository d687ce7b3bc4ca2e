"""The sandbox's own count of what was asked of it and what it took, apart from the exchange's tables."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from durable_orders.sandbox.rate_limits import MINUTE, SECOND, Window
from durable_orders.sandbox.routes import ORDER_REQUESTS, Route
from durable_orders.trading.orders.order import BrokerOrderId

DROPPED = "dropped"
"""Stands for the status of a request whose connection was closed instead of an answer."""


class Peak:
    """The most requests of any one calendar second or minute."""

    def __init__(self, pattern: str) -> None:
        self._window = Window(pattern)
        self.most = 0

    def count(self, at: datetime) -> None:
        self._window.turn(at)
        self._window.count += 1
        self.most = max(self.most, self._window.count)


class Tally:
    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        self._requests: dict[str, Counter[str]] = {}
        self._second, self._minute = Peak(SECOND), Peak(MINUTE)
        self._accepted: dict[str, list[BrokerOrderId]] = {}
        self.foreign: list[BrokerOrderId] = []
        self.others: Counter[str] = Counter()
        """Orders that were placed for another user of the app, by user."""

    def receive(self, route: Route) -> None:
        """Count a request by the moment of its arrival."""
        if route in ORDER_REQUESTS:
            at = self._clock()
            self._second.count(at)
            self._minute.count(at)

    def answer(self, route: Route, status: str) -> None:
        """Count what was answered: an HTTP status, or `dropped`."""
        self._requests.setdefault(route, Counter())[status] += 1

    def accept(self, tag: str | None, order: BrokerOrderId) -> None:
        """Count an order that was taken, whatever becomes of it or of the answer. No tag counts as ""."""
        self._accepted.setdefault(tag or "", []).append(order)

    def shown(self) -> dict[str, Any]:
        return {
            "requests": {route: dict(counts) for route, counts in self._requests.items()},
            "order_requests": {"most_in_a_second": self._second.most, "most_in_a_minute": self._minute.most},
            "accepted": self._accepted,
            "foreign": self.foreign,
            "others": dict(self.others),
        }
