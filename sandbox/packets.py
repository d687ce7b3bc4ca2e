"""The ticker's binary messages (Kite documentation, WebSocket streaming: message structure). Big-endian."""

import struct
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

from durable_orders.sandbox.quotes import Level, Quote

HEARTBEAT = b"\x00"
"""One byte every couple of seconds; the client ignores it."""
INDICES, CURRENCIES, BSE_CURRENCIES, NCO = 9, 3, 6, 12
"""Segments: the low byte of a token."""
DIVISORS = {CURRENCIES: Decimal(10_000_000), BSE_CURRENCIES: Decimal(10_000), NCO: Decimal(10_000)}
"""Prices travel as whole numbers: rupees times this, or times 100."""
PAISE = Decimal(100)
LARGEST = 2**32 - 1
"""What does not fit into four bytes is shown as this; 4.3 crore rupees, or 429 for a currency."""


class TickMode(StrEnum):
    LTP = "ltp"
    QUOTE = "quote"
    FULL = "full"


def frame(packets: Sequence[bytes]) -> bytes:
    """One message: how many packets, and each with its length."""
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def packet(quote: Quote, mode: TickMode) -> bytes:
    """8 bytes for ltp; 28 or 32 for an index; 44 for quote and 184 for full."""
    if mode is TickMode.LTP:
        return struct.pack(">2I", quote.instrument.instrument_token, _price(quote, quote.last_price))
    if quote.instrument.instrument_token & 0xFF == INDICES:
        return _index(quote, mode)
    return _quote(quote) if mode is TickMode.QUOTE else _quote(quote) + _full(quote)


def _index(quote: Quote, mode: TickMode) -> bytes:
    prices = (quote.last_price, quote.high, quote.low, quote.open, quote.close)
    change = max(quote.last_price - quote.close, Decimal(0))
    whole = struct.pack(
        ">7I",
        quote.instrument.instrument_token,
        *(_price(quote, price) for price in prices),
        _price(quote, change),
    )
    return whole + struct.pack(">I", _epoch(quote)) if mode is TickMode.FULL else whole


def _quote(quote: Quote) -> bytes:
    return struct.pack(
        ">11I",
        quote.instrument.instrument_token,
        _price(quote, quote.last_price),
        min(quote.last_quantity, LARGEST),
        _price(quote, quote.average_price),
        min(quote.volume, LARGEST),
        sum(level.quantity for level in quote.bids()),
        sum(level.quantity for level in quote.asks()),
        *(_price(quote, price) for price in (quote.open, quote.high, quote.low, quote.close)),
    )


def _full(quote: Quote) -> bytes:
    """Last trade, open interest (none here) and exchange time, then five bids and five asks."""
    times = struct.pack(">5I", _epoch(quote), 0, 0, 0, _epoch(quote))
    return times + b"".join(_level(quote, level) for level in (*quote.bids(), *quote.asks()))


def _level(quote: Quote, level: Level) -> bytes:
    return struct.pack(">2IH2x", level.quantity, _price(quote, level.price), level.orders)


def _price(quote: Quote, price: Decimal) -> int:
    divisor = DIVISORS.get(quote.instrument.instrument_token & 0xFF, PAISE)
    return min(int((price * divisor).to_integral_value()), LARGEST)


def _epoch(quote: Quote) -> int:
    return int(quote.at.timestamp())
