"""Last prices out of Kite's binary messages and quotes (Kite documentation, WebSocket streaming and market quotes).

Every packet begins with the instrument's token and its last price. In mode full it also tells when the exchange showed
it: a price that a new subscription repeats is as old as that, however late it is received.
"""

import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.trading.brokers.kite.rows import moment, money
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick

DIVISORS = {3: Decimal(10_000_000), 6: Decimal(10_000), 12: Decimal(10_000)}
"""By segment, the low byte of a token: currencies of NSE and BSE, NCO. Everything else travels in paise."""
PAISE = Decimal(100)
FULL = 184
VOLUME_AT = 16
SHOWN_AT = {FULL: 60, 32: 28}
"""Where the exchange's time stands, by the length of a packet: of what can be traded, and of an index."""


def ticks_in(message: bytes, instruments: Instruments, now: datetime) -> Iterator[Tick]:
    """The last prices in one message. Packets that cannot be read, or do not tell their time, are left out."""
    for packet in packets(message):
        at = _shown_at(packet)
        if at is None:
            continue
        token, price = struct.unpack_from(">2I", packet)
        instrument = instruments.by_token(token)
        if instrument is None:
            continue
        rupees, volume = Decimal(price) / DIVISORS.get(token & 0xFF, PAISE), _volume(packet)
        try:
            yield Tick(instrument.symbol, rupees, min(at, now), volume)
        except InvalidTicks:
            continue


def ticks_of(quotes: Mapping[str, Any], now: datetime) -> Iterator[Tick]:
    """The last prices in an answer of `/quote`. Symbols that Kite does not know are not in it."""
    for symbol, quote in quotes.items():
        price, at = money(quote.get("last_price")), moment(quote.get("timestamp"))
        if price is None or at is None:
            continue
        try:
            yield Tick(symbol, price, min(at, now), int(quote.get("volume") or 0))
        except InvalidTicks:
            continue


def packets(message: bytes) -> Iterator[bytes]:
    """The packets of one message, as far as it is whole; of a heartbeat none."""
    if len(message) < 2:
        return
    (count,) = struct.unpack_from(">H", message)
    at = 2
    for _ in range(count):
        if at + 2 > len(message):
            return
        (length,) = struct.unpack_from(">H", message, at)
        if at + 2 + length > len(message):
            return
        yield message[at + 2 : at + 2 + length]
        at += 2 + length


def _volume(packet: bytes) -> int:
    """Units of the day so far; an index has none."""
    return int(struct.unpack_from(">I", packet, VOLUME_AT)[0]) if len(packet) == FULL else 0


def _shown_at(packet: bytes) -> datetime | None:
    offset = SHOWN_AT.get(len(packet))
    if offset is None:
        return None
    (epoch,) = struct.unpack_from(">I", packet, offset)
    return datetime.fromtimestamp(epoch, UTC) if epoch else None
