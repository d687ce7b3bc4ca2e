"""How often somebody may fail to show a secret."""

import time
from collections import deque

FAILURES, WITHIN = 10, 60.0
"""So many wrong secrets in so many seconds, from one address, are answered; further ones wait."""
REMEMBERED = 10_000
"""Addresses that have failed, at most."""


class Throttle:
    """Counts failures by address. Whoever shows a right secret is never held up by those who do not."""

    def __init__(self, failures: int = FAILURES, within: float = WITHIN) -> None:
        self._failures, self._within = failures, within
        self._by: dict[str, deque[float]] = {}

    def held_for(self, address: str) -> int:
        """Seconds until the next wrong secret of that address is answered; 0 for none."""
        times, now = self._by.get(address), time.monotonic()
        while times and now - times[0] > self._within:
            times.popleft()
        if not times or len(times) < self._failures:
            return 0
        return max(1, round(self._within - (now - times[0])))

    def failed(self, address: str) -> int:
        """Count a failure; how many there are now within the time."""
        if address not in self._by and len(self._by) >= REMEMBERED:
            self._by.pop(next(iter(self._by)))
        times = self._by.setdefault(address, deque(maxlen=self._failures))
        times.append(time.monotonic())
        return len(times)
