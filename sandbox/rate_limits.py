"""Kite's rate limits: by the calendar second and minute of the server's clock (Kite documentation and staff).

Those of today, whatever day that clock shows: it is the API that has them, and not the market.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from durable_orders.sandbox.envelopes import ErrorType, KiteError
from durable_orders.sandbox.routes import ORDER_REQUESTS, QUOTES, READS, Route
from durable_orders.trading.market.request_limits import Sent
from durable_orders.trading.market.rules import rules

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
        self._orders = [Limit(Window(SECOND), rules().limits.orders_per_second, TOO_MANY_REQUESTS)]
        self._quotes = [Limit(Window(SECOND), QUOTES_A_SECOND, TOO_MANY_REQUESTS)]
        self._candles = [Limit(Window(SECOND), CANDLES_A_SECOND, TOO_MANY_REQUESTS)]
        self._reads = [Limit(Window(SECOND), READS_A_SECOND, TOO_MANY_REQUESTS)]
        self._sent = Sent()

    def admit(self, route: Route) -> None:
        """Raises `KiteError` 429 for a request over the limit of its kind."""
        at, limits = self._clock(), self._of(route)
        is_order, day = route is Route.PLACE, at.date()
        for limit in limits:
            limit.check(at)
        if route in ORDER_REQUESTS:
            if self._sent.over_minute(at) or (is_order and self._sent.over_day(day)):
                raise KiteError(429, ErrorType.NETWORK, TOO_MANY_ORDERS)
            self._sent = self._sent.and_one(day, at, is_order=is_order)
        for limit in limits:
            limit.window.count += 1

    def turn_day(self) -> None:
        self._sent = self._sent._replace(orders=0)

    def _of(self, route: Route) -> list[Limit]:
        if route in ORDER_REQUESTS:
            return self._orders
        if route in QUOTES:
            return self._quotes
        if route is Route.HISTORY:
            return self._candles
        return self._reads if route in READS else []
