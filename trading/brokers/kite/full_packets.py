"""Kite's packets of mode full as columns of a recording (Kite documentation, WebSocket streaming: message structure).

184 bytes of what can be traded: last price, volume, the exchange's time, five bids and five asks. 32 bytes of an index:
last price and the exchange's time. It all stands in words of four bytes, so a column is the same word of each packet.
"""

import sys
from array import array
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

from durable_orders.trading.market.recordings.compaction import Decoded
from durable_orders.trading.market.ticks import LEVELS as DEEP

TRADED, INDEX = 184, 32
LENGTHS = {TRADED: 60, INDEX: 28}
"""Of packets that tell the exchange's time, and where in them it stands."""
WORD = 4
_TOKEN, _LAST, _VOLUME = 0, 1, 4
_BIDS, _ASKS = (tuple(range(begin, begin + 3 * DEEP, 3)) for begin in (16, 16 + 3 * DEEP))
"""Words in which a level's quantity stands; its price follows."""
IN_PAISE = 100
"""Ten-thousandths of a rupee in a paisa."""
FACTORS = {3: 0, 6: 1, 12: 1}
"""By segment, the low byte of a token: currencies of NSE travel in ten-millionths, those of BSE and NCO in
ten-thousandths, everything else in paise."""
MILLIONTHS = 1000


def columns_of(packets: Sequence[bytes]) -> Decoded:
    """Of packets of one length, and of instruments of one kind: what is of another one has no price here."""
    import pyarrow
    from pyarrow import compute

    length = len(packets[0])
    if length not in LENGTHS:
        return Decoded([0] * len(packets), ())
    words = array("I", b"".join(packets))
    if sys.byteorder == "little":
        words.byteswap()
    each, factor = length // WORD, _factor(words[_TOKEN])
    arrow = _Arrow(pyarrow, compute)

    def column(word: int) -> Any:
        values = words[word::each]
        whole = pyarrow.Array.from_buffers(pyarrow.uint32(), len(values), [None, pyarrow.py_buffer(values)])
        return whole.cast(pyarrow.int64())

    def price(word: int) -> Any:
        return arrow.multiplied(column(word), factor) if factor else arrow.fourth(column(word))

    last = price(_LAST)
    moments = compute.if_else(compute.equal(last, 0), 0, column(LENGTHS[length] // WORD)).to_pylist()
    if any(_factor(token) != factor for token in set(words[_TOKEN::each])):
        moments = [
            at if _factor(token) == factor else 0 for at, token in zip(moments, words[_TOKEN::each], strict=True)
        ]
    if length == INDEX:
        nothing = pyarrow.nulls(len(packets), pyarrow.int64())
        volume = pyarrow.repeat(pyarrow.scalar(0, pyarrow.int64()), len(packets))
        return Decoded(moments, [last, volume, *[nothing] * (2 + 4 * DEEP)])
    sides = [([price(word + 1) for word in side], [column(word) for word in side]) for side in (_BIDS, _ASKS)]
    return Decoded(moments, [last, column(_VOLUME), *arrow.book(sides)])


def _factor(token: int) -> int:
    return FACTORS.get(token & 0xFF, IN_PAISE)


class _Arrow:
    """The sums, for all packets at once."""

    def __init__(self, pyarrow: Any, compute: Any) -> None:
        self._is = compute
        self._none = pyarrow.scalar(None, pyarrow.int64())

    def multiplied(self, prices: Any, factor: int) -> Any:
        return self._is.multiply(prices, factor)

    def fourth(self, prices: Any) -> Any:
        """Of prices in ten-millionths. Contracts have four places: anything finer is no price."""
        whole = self._is.divide(prices, MILLIONTHS)
        return self._is.if_else(self._is.equal(self._is.multiply(whole, MILLIONTHS), prices), whole, 0)

    def book(self, sides: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
        """Best bid and ask, and the levels, of prices and quantities; nothing where they cannot be a book of continuous
        trading: before the open, bids lie above asks, and orders without a price stand in it."""
        there = [
            [self._is.and_(self._is.not_equal(price, 0), self._is.not_equal(quantity, 0)) for price, quantity in levels]
            for levels in (zip(prices, quantities, strict=True) for prices, quantities in sides)
        ]
        (bids, _), (asks, _) = sides
        sound = [
            *self._in_order(bids, there[0], self._is.less),
            *self._in_order(asks, there[1], self._is.greater),
            self._where(self._is.and_(there[0][0], there[1][0]), self._is.less(bids[0], asks[0])),
        ]
        is_book = reduce(self._is.and_, sound)
        shown = [[self._is.and_(is_book, level) for level in side] for side in there]
        found = [
            self._is.if_else(side[0], prices[0], self._none) for side, (prices, _) in zip(shown, sides, strict=True)
        ]
        for side, (prices, quantities) in zip(shown, sides, strict=True):
            for level, price, quantity in zip(side, prices, quantities, strict=True):
                found += [self._is.if_else(level, value, self._none) for value in (price, quantity)]
        return found

    def _in_order(self, prices: Sequence[Any], there: Sequence[Any], worse: Any) -> list[Any]:
        """Each level stands behind one that is there, at a worse price."""
        return [
            self._where(level, self._is.and_(better, worse(price, before)))
            for (before, price), (better, level) in zip(pairwise(prices), pairwise(there), strict=True)
        ]

    def _where(self, condition: Any, then: Any) -> Any:
        """True where the condition does not hold."""
        return self._is.or_(self._is.invert(condition), then)
