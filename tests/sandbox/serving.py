"""A sandbox that serves beside the test, on a clock that the test moves, and short ways to use it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
from kiteconnect import KiteConnect

from durable_orders.sandbox import FeedKind, Sandbox, SandboxSettings
from durable_orders.trading.ist import IST

MORNING = datetime(2026, 1, 5, 10, 0, tzinfo=IST)
"""A Monday."""
INFY = "NSE:INFY"
FUTURE = "NFO:NIFTY25MAYFUT"
MAX_WAIT = 180.0
"""Seconds until something that should happen counts as failed."""

Result = TypeVar("Result")


class Clock:
    """The wall's clock, as a test sets it. It stands still otherwise."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


class Served:
    """A sandbox in a thread of its own."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.sandbox = Sandbox(settings, clock)
        try:
            self._await(self.sandbox.__aenter__())
        except BaseException:
            self._stop()
            raise

    def stop(self) -> None:
        if self._thread.is_alive():
            self._await(self.sandbox.__aexit__(None, None, None))
            self._stop()

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Ask the control endpoint; gives the answer's data. Raises `AssertionError` with what it says."""
        answer = requests.request(method, f"{self.sandbox.control}/{path}", json=body or None, timeout=MAX_WAIT)
        content = answer.json()
        assert answer.status_code == 200, content
        return content["data"]

    def fault(self, kind: str, **rule: Any) -> None:
        """Arm a fault: for the next time, unless the rule says otherwise."""
        self.control("POST", "faults", kind=kind, **(rule if rule.keys() & {"count", "probability"} else rule | NEXT))

    def tick(self, *prices: str | int, symbol: str = INFY, volume: int = 0) -> None:
        ticks = [{"symbol": symbol, "last_price": str(price), "volume": volume} for price in prices]
        self.control("POST", "ticks", ticks=ticks)

    def next_day(self, **options: Any) -> str:
        self.clock.advance(days=1)
        return str(self.control("POST", "next-day", **options)["session"])

    def tally(self) -> Any:
        return self.control("GET", "tally")

    def access_token(self) -> str:
        return str(self.control("POST", "login")["access_token"])

    def kite(self, timeout: float = MAX_WAIT) -> KiteConnect:
        """The real client, logged in."""
        return KiteConnect(self.settings.api_key, self.access_token(), root=self.sandbox.root, timeout=timeout)

    def _await(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(MAX_WAIT)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(MAX_WAIT)
        self._loop.close()


NEXT = {"next": True}


def pushed(**settings: Any) -> SandboxSettings:
    """Nothing moves but by the test; no rate limits unless asked for."""
    usual: dict[str, Any] = {"port": 0, "feed": FeedKind.PUSHED, "rate_limits": False}
    return SandboxSettings(**usual | settings)


def order(price: float | None = 1490.0, **terms: Any) -> dict[str, Any]:
    """Parameters of `place_order`: a LIMIT to buy 10 INFY, or a MARKET order without a price."""
    usual: dict[str, Any] = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 10,
        "product": "MIS",
        "order_type": "LIMIT" if price is not None else "MARKET",
        "price": price,
        "market_protection": None if price is not None else -1,
    }
    return usual | terms


def statuses(kite: KiteConnect, order_id: str) -> list[str]:
    return [row["status"] for row in kite.order_history(order_id)]


def row_of(kite: KiteConnect, order_id: str) -> dict[str, Any]:
    rows = [row for row in kite.orders() if row["order_id"] == order_id]
    assert len(rows) == 1, rows
    return dict(rows[0])


def until(condition: Callable[[], object]) -> None:
    """Ask until it is true. Fails after `MAX_WAIT`."""
    deadline = time.monotonic() + MAX_WAIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
