"""The binary packets, read by the client's own parser."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiteconnect import KiteTicker

from durable_orders.sandbox.packets import HEARTBEAT, TickMode, frame, packet
from durable_orders.sandbox.quotes import Quote, Quotes
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import Tick
from tests.sandbox.serving import MORNING

INSTRUMENTS = Instruments.shipped()
SIZES = {TickMode.LTP: 8, TickMode.QUOTE: 44, TickMode.FULL: 184}
INDEX_SIZES = {TickMode.LTP: 8, TickMode.QUOTE: 28, TickMode.FULL: 32}


def quote_of(symbol: str, *prices: Decimal, volume: int = 0) -> Quote:
    quotes = Quotes(INSTRUMENTS)
    quote = None
    for price in prices:
        quote = quotes.show(Tick(symbol, price, MORNING, volume))
    assert quote is not None
    return quote


def parsed(*packets: bytes) -> list[dict[str, Any]]:
    return list(KiteTicker("key", "token")._parse_binary(frame(packets)))


@pytest.mark.parametrize("mode", TickMode)
@pytest.mark.parametrize("symbol", [instrument.symbol for instrument in INSTRUMENTS])
def test_every_instrument_and_mode_is_read_as_what_it_is(symbol: str, mode: TickMode) -> None:
    instrument = INSTRUMENTS.get(symbol)
    assert instrument is not None
    content = packet(quote_of(symbol, Decimal("85.25")), mode)
    assert len(content) == (SIZES if instrument.tradable else INDEX_SIZES)[mode]
    (tick,) = parsed(content)
    assert tick["instrument_token"] == instrument.instrument_token
    assert (tick["mode"], tick["last_price"], tick["tradable"]) == (mode, 85.25, instrument.tradable)


prices = st.decimals(min_value=1, max_value=100_000, places=2)


@given(prices, prices, prices, st.integers(0, 2**32 - 1))
def test_a_full_packet_gives_back_what_went_in(first: Decimal, second: Decimal, last: Decimal, volume: int) -> None:
    quote = quote_of("NSE:INFY", first, second, last, volume=volume)
    (tick,) = parsed(packet(quote, TickMode.FULL))
    shown = (first, second, last)
    ohlc = {"open": first, "high": max(shown), "low": min(shown), "close": first}
    assert tick["ohlc"] == {name: float(price) for name, price in ohlc.items()}
    assert (tick["last_price"], tick["volume_traded"]) == (float(last), volume)
    assert tick["exchange_timestamp"] == datetime.fromtimestamp(MORNING.timestamp())  # noqa: DTZ006
    assert len(tick["depth"]["buy"]) == len(tick["depth"]["sell"]) == 5


@given(st.lists(st.sampled_from(sorted(TickMode)), max_size=20))
def test_a_frame_keeps_its_packets_apart(modes: list[TickMode]) -> None:
    quote = quote_of("NSE:INFY", Decimal(1500))
    assert [tick["mode"] for tick in parsed(*(packet(quote, mode) for mode in modes))] == modes


def test_what_four_bytes_cannot_hold_is_cut_and_breaks_nothing() -> None:
    quote = quote_of("NSE:INFY", Decimal(10) ** 9, volume=2**40)
    (tick,) = parsed(packet(quote, TickMode.QUOTE))
    assert (tick["last_price"], tick["volume_traded"]) == (42949672.95, 2**32 - 1)


def test_a_heartbeat_is_no_tick() -> None:
    assert KiteTicker("key", "token")._parse_binary(HEARTBEAT) == []
