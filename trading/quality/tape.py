"""The market as it was recorded: what was the price at a moment, and what was traded meanwhile. Pure."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from durable_orders.trading.ist import IST
from durable_orders.trading.market.ticks import Tick

STALE = timedelta(seconds=60)
"""A price that no tick has confirmed for longer is not known any more."""


class Tape:
    """The ticks of some symbols, of any days. In memory: times and prices alone."""

    def __init__(self, ticks: Iterable[Tick]) -> None:
        by_symbol: dict[str, list[Tick]] = defaultdict(list)
        for tick in ticks:
            by_symbol[tick.symbol].append(tick)
        self._times: dict[str, list[datetime]] = {}
        self._ticks: dict[str, list[tuple[Decimal, int]]] = {}
        for symbol, seen in by_symbol.items():
            seen.sort(key=lambda tick: tick.at)
            self._times[symbol] = [tick.at for tick in seen]
            self._ticks[symbol] = [(tick.last_price, tick.volume) for tick in seen]

    def price_at(self, symbol: str, moment: datetime) -> Decimal | None:
        """The last price until then. `None` where the recording has nothing of the minute before, or ends before: it
        cannot be told then whether there was a newer one."""
        times = self._times.get(symbol, [])
        after = bisect_right(times, moment)
        if after == 0 or moment - times[after - 1] > STALE:
            return None
        if after == len(times) and times[after - 1] < moment:
            return None
        return self._ticks[symbol][after - 1][0]

    def vwap(self, symbol: str, begin: datetime, end: datetime) -> Decimal | None:
        """Rupees a unit of what was traded after `begin` until `end`, each tick's units at its price. `None` without
        volumes, and where the recording does not reach from the one to the other."""
        times, seen = self._times.get(symbol, []), self._ticks.get(symbol, [])
        first, last = bisect_right(times, begin), bisect_right(times, end)
        if first == 0 or bisect_left(times, end) == len(times):
            return None
        units, value = 0, Decimal(0)
        for number in range(first, last):
            traded = seen[number][1] - seen[number - 1][1]
            if traded > 0 and times[number].date() == times[number - 1].date():
                units += traded
                value += traded * seen[number][0]
        return value / units if units else None

    def close(self, symbol: str, moment: datetime) -> Decimal | None:
        """The last price of the (IST) day of that moment; `None` where the recording has none after it."""
        times = self._times.get(symbol, [])
        day = moment.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0)
        last = bisect_left(times, day + timedelta(days=1)) - 1
        return self._ticks[symbol][last][0] if last >= 0 and times[last] >= moment else None
