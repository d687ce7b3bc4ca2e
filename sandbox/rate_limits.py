"""Kite's rate limits: by the calendar second and minute of the server's clock (Kite documentation and staff)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from durable_orders.sandbox.envelopes import ErrorType, KiteError
from durable_orders.sandbox.routes import ORDER_REQUESTS, QUOTES, READS, Route

ORDERS_A_SECOND = 10
ORDERS_A_MINUTE = 400
PLACEMENTS_A_DAY = 5000
READS_A_SECOND = 10
QUOTES_A_SECOND = 1
CANDLES_A_SECOND = 3
TOO_MANY_REQUESTS = "Too many requests"
TOO_MANY_ORDERS = "Maximum allowed order requests exceeded."
"""Of a minute or a day (observed)."""

SECOND, MINUTE = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"


class Window:
    """Counts within one calendar second or minute."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._now = ""
        self.count = 0

    def turn(self, at: datetime) -> int:
        """The count so far in the window of that moment."""
        if (now := at.strftime(self._pattern)) != self._now:
            self._now, self.count = now, 0
        return self.count


@dataclass(frozen=True, slots=True)
class Limit:
    window: Window
    most: int
    message: str

    def check(self, at: datetime) -> None:
        if self.window.turn(at) >= self.most:
            raise KiteError(429, ErrorType.NETWORK, self.message)


class RateLimits:
    """What is refused with 429 is not counted: it never reached Kite's OMS."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._orders = [
            Limit(Window(SECOND), ORDERS_A_SECOND, TOO_MANY_REQUESTS),
            Limit(Window(MINUTE), ORDERS_A_MINUTE, TOO_MANY_ORDERS),
        ]
        self._quotes = [Limit(Window(SECOND), QUOTES_A_SECOND, TOO_MANY_REQUESTS)]
        self._candles = [Limit(Window(SECOND), CANDLES_A_SECOND, TOO_MANY_REQUESTS)]
        self._reads = [Limit(Window(SECOND), READS_A_SECOND, TOO_MANY_REQUESTS)]
        self._placements = 0

    def admit(self, route: Route) -> None:
        """Raises `KiteError` 429 for a request over the limit of its kind."""
        at, limits = self._clock(), self._of(route)
        if route is Route.PLACE and self._placements >= PLACEMENTS_A_DAY:
            raise KiteError(429, ErrorType.NETWORK, TOO_MANY_ORDERS)
        for limit in limits:
            limit.check(at)
        for limit in limits:
            limit.window.count += 1
        self._placements += route is Route.PLACE

    def turn_day(self) -> None:
        self._placements = 0

    def _of(self, route: Route) -> list[Limit]:
        if route in ORDER_REQUESTS:
            return self._orders
        if route in QUOTES:
            return self._quotes
        if route is Route.HISTORY:
            return self._candles
        return self._reads if route in READS else []
