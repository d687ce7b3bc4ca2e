"""Order books of many rows at once: held against the rules as columns, and made when one is asked for."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise, repeat
from operator import gt
from typing import Any, Protocol

from durable_orders.trading.market.files.blocks import Doubt
from durable_orders.trading.market.ticks import Depth, Level

LevelColumns = tuple[Sequence[Any], Sequence[Any]]
"""Prices and units of one level of a side, of each row; `None` or 0 where it is not there."""
Side = Sequence[LevelColumns]
"""Best first."""


class Cells(Protocol):
    """Of a column, by row."""

    def __getitem__(self, row: int, /) -> Any: ...


class Later:
    """A column that is made when a cell of it is looked at first."""

    def __init__(self, make: Callable[[], Sequence[Any]]) -> None:
        self._make = make
        self._made: Sequence[Any] | None = None

    def __getitem__(self, row: int) -> Any:
        if self._made is None:
            self._made = self._make()
        return self._made[row]


class RecordedDepth(Depth):
    """One of the books of a block. Its levels are made when they are looked at, which few are."""

    __slots__ = ("_asks", "_bids", "_row")
    _asks: Sequence[tuple[Cells, Cells]]
    _bids: Sequence[tuple[Cells, Cells]]
    _row: int

    @property
    def bids(self) -> tuple[Level, ...]:
        return _levels(self._bids, self._row)

    @property
    def asks(self) -> tuple[Level, ...]:
        return _levels(self._asks, self._row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Depth) and (self.bids, self.asks) == (other.bids, other.asks)

    __hash__ = Depth.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return Depth, (self.bids, self.asks)


def read_depths(bids: Side, asks: Side, count: int) -> list[Depth | None]:
    """So many books. Raises `Doubt` for a level of which a part is missing, or levels that are out of order where all
    are there, and `InvalidTicks` for any other book that cannot be."""
    if not (bids and asks) or not all(all(column) for level in (*bids, *asks) for column in level):
        return _thin_depths(bids, asks, count)
    best = (asks[0][0], bids[0][0])  # an ask is above the bid as one level of asks is above the one before
    for above, below in (best, *_steps(asks), *(pair[::-1] for pair in _steps(bids))):
        if not all(map(gt, above, below)):
            raise Doubt
    return recorded_depths(bids, asks, count)


def recorded_depths(
    bids: Sequence[tuple[Cells, Cells]], asks: Sequence[tuple[Cells, Cells]], count: int
) -> list[Depth | None]:
    """So many books of which every level is there, and was held against the rules of a `Depth` already."""
    made: list[Depth | None] = list(map(object.__new__, repeat(RecordedDepth, count)))
    for name, column in (("_bids", repeat(bids)), ("_asks", repeat(asks)), ("_row", range(count))):
        deque(map(RecordedDepth.__dict__[name].__set__, made, column), maxlen=0)
    return made


def _levels(side: Sequence[tuple[Cells, Cells]], row: int) -> tuple[Level, ...]:
    return tuple(Level(prices[row], units[row]) for prices, units in side)


def _steps(side: Side) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
    """The prices of each level, and of the one before it."""
    return ((after, before) for (before, _), (after, _) in pairwise(side))


def _thin_depths(bids: Side, asks: Side, count: int) -> list[Depth | None]:
    """Of books in which some levels are not there."""
    sides = [
        [tuple(filter(None, levels)) for levels in zip(*(map(_level, *level) for level in side), strict=True)]
        or [()] * count
        for side in (bids, asks)
    ]
    return [Depth(*both) if any(both) else None for both in zip(*sides, strict=True)]


def _level(price: Decimal | None, units: int | None) -> Level | None:
    """`None` of units is that nothing is said."""
    if (price is None and units) or (price is not None and units is None):
        raise Doubt
    return Level(price, units) if price is not None and units else None
