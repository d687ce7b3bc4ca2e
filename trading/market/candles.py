"""From candles to ticks: the path that the price of a candle is taken to have gone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush, heapreplace
from itertools import pairwise

from durable_orders.trading.market.ticks import Tick

CANDLE_STEP = timedelta(seconds=15)
"""Market time between the ticks of a candle."""
SHORTEST_CANDLE = 4 * CANDLE_STEP
"""Open, high, low and close are four ticks."""
LONGEST_CANDLE = timedelta(hours=1)
"""Kite's longest candle within a day."""
DAILY = timedelta(days=1)
DAY_STEP = timedelta(minutes=15)
"""Market time between the ticks of a daily candle, of which the last is shown just before the close."""


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


Span = tuple[Candle, datetime, datetime]
"""A candle, and from when to when it is walked through: no longer than the market is open."""


def walked(spans: Iterable[Span], tick_size: Callable[[str], Decimal]) -> Iterator[Tick]:
    """The ticks of candles that are in the order of their beginnings, in the order of their time; one candle of each
    symbol is walked through at once.

    Volume builds up evenly over a candle, and over the day from candle to candle.
    """
    traded: dict[str, tuple[object, int]] = {}
    walking: list[tuple[datetime, int, Tick, Iterator[Tick]]] = []
    for number, (candle, begins, ends) in enumerate(spans):
        while walking and walking[0][0] < begins:
            yield _stepped(walking)
        day, before = traded.get(candle.symbol, (None, 0))
        before = before if day == begins.date() else 0
        traded[candle.symbol] = (begins.date(), before + candle.volume)
        ticks = _walk(candle, begins, ends, before, tick_size(candle.symbol))
        first = next(ticks)
        heappush(walking, (first.at, number, first, ticks))
    while walking:
        yield _stepped(walking)


def _stepped(walking: list[tuple[datetime, int, Tick, Iterator[Tick]]]) -> Tick:
    """The earliest tick, with its candle put in the place of the next one."""
    _, number, tick, ticks = walking[0]
    following = next(ticks, None)
    if following is None:
        heappop(walking)
    else:
        heapreplace(walking, (following.at, number, following, ticks))
    return tick


def _walk(candle: Candle, begins: datetime, ends: datetime, before: int, tick_size: Decimal) -> Iterator[Tick]:
    span = ends - begins
    step = DAY_STEP if span > LONGEST_CANDLE else min(CANDLE_STEP, span / 4)
    path = candle_path(candle, span // step, tick_size)
    steps = len(path)
    for number, price in enumerate(path):
        at = begins + number * step if number < steps - 1 or step is not DAY_STEP else ends - CANDLE_STEP
        yield Tick(candle.symbol, price, at, before + candle.volume * (number + 1) // steps)


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
