"""Kite's packets of mode full as rows of a recording (Kite documentation, WebSocket streaming: message structure).

184 bytes of what can be traded: last price, volume, the exchange's time, five bids and five asks. 32 bytes of an index:
last price and the exchange's time.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

from durable_orders.trading.market.recordings.compaction import LEVELS, Row
from durable_orders.trading.market.ticks import LEVELS as DEEP

TRADED, INDEX = 184, 32
LENGTHS = {TRADED: 60, INDEX: 28}
"""Of packets that tell the exchange's time, and where in them it stands."""
_TRADED = struct.Struct(">IIxxxxxxxxI40xI" + "II4x" * (2 * DEEP))
_INDEX = struct.Struct(">II20xI")
IN_PAISE = 100
"""Ten-thousandths of a rupee in a paisa."""
FACTORS = {3: 0, 6: 1, 12: 1}
"""By segment, the low byte of a token: currencies of NSE travel in ten-millionths, those of BSE and NCO in
ten-thousandths, everything else in paise."""
MILLIONTHS = 1000
WITHOUT_BOOK: tuple[None, ...] = (None,) * (2 + len(LEVELS))


def row_of(packet: bytes) -> Row | None:
    """`None` without a price, a time, or for a packet of another length."""
    if len(packet) == INDEX:
        token, last, at = _INDEX.unpack(packet)
        volume, levels = 0, [0] * (4 * DEEP)
    elif len(packet) == TRADED:
        token, last, volume, at, *levels = _TRADED.unpack(packet)
    else:
        return None
    factor = FACTORS.get(token & 0xFF, IN_PAISE)
    price = last * factor if factor else _fourth(last)
    if not price or not at:
        return None
    return at, price, volume, *_book(levels, factor)


def _fourth(price: int) -> int:
    """Of a price in ten-millionths. Contracts have four places: anything finer is no price."""
    whole, rest = divmod(price, MILLIONTHS)
    return 0 if rest else whole


def _book(levels: Sequence[int], factor: int) -> tuple[int | None, ...]:
    """Best bid and ask, and the levels; nothing where they cannot be a book of continuous trading: before the open,
    bids lie above asks, and orders without a price stand in it."""
    prices = [price * factor if factor else _fourth(price) for price in levels[1::2]]
    quantities = levels[0::2]
    sides = []
    for begin, sign in ((0, -1), (DEEP, 1)):
        side = list(zip(prices[begin : begin + DEEP], quantities[begin : begin + DEEP], strict=True))
        there = [(price, quantity) for price, quantity in side if price and quantity]
        if there != side[: len(there)] or any((after[0] - before[0]) * sign <= 0 for before, after in pairwise(there)):
            return WITHOUT_BOOK
        sides.append(there)
    bids, asks = sides
    if bids and asks and bids[0][0] >= asks[0][0]:
        return WITHOUT_BOOK
    told: list[int | None] = [side[0][0] if side else None for side in sides]
    for side in sides:
        for level in side:
            told += level
        told += [None] * (2 * (DEEP - len(side)))
    return tuple(told)
