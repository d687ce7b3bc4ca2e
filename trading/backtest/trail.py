"""What a backtest remembers of each minute, in a few bytes: a year of minutes is no list of objects."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.ist import IST

BEGAN = datetime(1970, 1, 1, 5, 30, tzinfo=IST)
MICRO = timedelta(microseconds=1)
SCALE = 6
"""Decimal places of rupees that are kept, where two are shown."""
MOST = 5_000
"""Points of a line in the report. Of more, every second is dropped, and so on: 13 days of minutes are kept whole."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the account was worth at a moment."""

    at: datetime
    profit: Decimal
    """Rupees, realized and not, before charges."""
    bound: Decimal
    """Rupees that the open positions cost, long and short added up."""


class Marks:
    """One after the other, 24 bytes each. The last one is exact, those before it to a millionth of a rupee."""

    def __init__(self) -> None:
        self._times, self._profits, self._bounds = array("q"), array("q"), array("q")
        self._last: Mark | None = None

    def add(self, mark: Mark) -> None:
        self._times.append((mark.at - BEGAN) // MICRO)
        self._profits.append(_packed(mark.profit))
        self._bounds.append(_packed(mark.bound))
        self._last = mark

    @property
    def last(self) -> Mark | None:
        return self._last

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[Mark]:
        before = len(self._times) - 1
        for at, profit, bound, _ in zip(self._times, self._profits, self._bounds, range(before), strict=False):
            yield Mark(BEGAN + at * MICRO, _unpacked(profit), _unpacked(bound))
        if self._last is not None:
            yield self._last


class PriceLine:
    """The last price of each minute, or of every second, fourth or so on of very many minutes."""

    def __init__(self) -> None:
        self._times, self._prices = array("q"), array("d")
        self._every = 1
        self._skipped = 0

    def add(self, at: datetime, price: Decimal) -> None:
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self._times.append((at - BEGAN) // MICRO)
        self._prices.append(float(price))
        if len(self._times) >= MOST:
            self._times, self._prices, self._every = self._times[1::2], self._prices[1::2], self._every * 2

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[tuple[datetime, float]]:
        """Rupees, as a plot has them."""
        return ((BEGAN + at * MICRO, price) for at, price in zip(self._times, self._prices, strict=True))


def _packed(rupees: Decimal) -> int:
    return int(rupees.scaleb(SCALE).to_integral_value())


def _unpacked(millionths: int) -> Decimal:
    return Decimal(millionths).scaleb(-SCALE)
