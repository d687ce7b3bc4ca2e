"""From candles to ticks: the path that the price of a candle is taken to have gone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from durable_orders.trading.market.ticks import Tick

CANDLE_STEP = timedelta(seconds=15)
"""Market time between the ticks of a candle."""
SHORTEST_CANDLE = 4 * CANDLE_STEP
"""Open, high, low and close are four ticks."""
LONGEST_CANDLE = timedelta(hours=1)
"""Kite's longest candle within a day. A longer one would walk on while the market is closed."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Rupees and units. `low <= open, close <= high` holds."""

    symbol: str
    at: datetime
    """Its beginning."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


def candle_ticks(candles: Iterable[Candle], length: timedelta, tick_size: Decimal) -> list[Tick]:
    """The ticks of all candles, in the order of their time. `length` is that of one candle.

    Volume builds up evenly over a candle, and over the day from candle to candle.
    """
    steps = length // CANDLE_STEP
    traded: dict[tuple[str, object], int] = {}
    ticks: list[Tick] = []
    for candle in candles:
        day = (candle.symbol, candle.at.date())
        before = traded.get(day, 0)
        for step, price in enumerate(candle_path(candle, steps, tick_size)):
            volume = before + candle.volume * (step + 1) // steps
            ticks.append(Tick(candle.symbol, price, candle.at + step * CANDLE_STEP, volume))
        traded[day] = before + candle.volume
    return sorted(ticks, key=lambda tick: tick.at)


def candle_path(candle: Candle, steps: int, tick_size: Decimal) -> list[Decimal]:
    """`steps` prices (at least four), every one a multiple of the tick size.

    Open, low, high, close for a rising candle and open, high, low, close for a falling one, with straight lines of
    equal time between them. No price lies outside low and high, so those are rounded inwards. A candle too narrow to
    hold a multiple of the tick size stands at the one nearest to its close.
    """
    low, high = _up(candle.low, tick_size), int(candle.high // tick_size)
    if low > high:
        low = high = max(_nearest(candle.close, tick_size), 1)
    opening, closing = (min(max(_nearest(price, tick_size), low), high) for price in (candle.open, candle.close))
    turns = (low, high) if candle.close >= candle.open else (high, low)
    path = []
    for (begin, start), (end, stop) in pairwise(zip(_corners(steps), (opening, *turns, closing), strict=True)):
        path += [start + _share(stop - start, step, end - begin) for step in range(end - begin)]
    return [tick_size * ticks for ticks in (*path, closing)]


def _corners(steps: int) -> list[int]:
    """The first step, the last, and two that part the time between them into thirds."""
    return [_share(steps - 1, third, 3) for third in range(4)]


def _share(whole: int, part: int, parts: int) -> int:
    """`whole * part / parts`, rounded to the nearest."""
    return (2 * whole * part + parts) // (2 * parts)


def _up(price: Decimal, tick_size: Decimal) -> int:
    down = int(price // tick_size)
    return down if down * tick_size == price else down + 1


def _nearest(price: Decimal, tick_size: Decimal) -> int:
    down = int(price // tick_size)
    return down if (price - down * tick_size) * 2 < tick_size else down + 1
