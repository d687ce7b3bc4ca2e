"""A tick that cannot be is never made."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.ticks import Depth, Level, Tick

AT = datetime(2025, 4, 29, 9, 15, tzinfo=IST)


@pytest.mark.parametrize("price", ["0", "-0.05", "NaN", "sNaN", "Infinity", "-Infinity", "1e10", "1e400", "100.00001"])
@pytest.mark.parametrize("field", ["last_price", "bid", "ask"])
def test_impossible_prices_are_refused(field: str, price: str) -> None:
    good = Tick("NSE:INFY", Decimal(100), AT)
    bad: dict[str, Any] = {field: Decimal(price)}

    with pytest.raises(InvalidTicks, match=f"NSE:INFY: {field}: must "):
        replace(good, **bad)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidTicks, match="at: must carry a zone"):
        Tick("NSE:INFY", Decimal(100), AT.replace(tzinfo=None))


def test_a_negative_volume_is_refused() -> None:
    with pytest.raises(InvalidTicks, match="volume: must not be negative, was -1"):
        Tick("NSE:INFY", Decimal(100), AT, volume=-1)


def test_the_time_is_told_in_ist() -> None:
    tick = Tick("NSE:INFY", Decimal(100), datetime(2025, 4, 29, 20, 0, tzinfo=UTC))

    assert tick.at.isoformat() == "2025-04-30T01:30:00+05:30"


def levels(*pairs: tuple[str, int]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), quantity) for price, quantity in pairs)


@pytest.mark.parametrize(
    ("bids", "asks", "words"),
    [
        (levels(("99", 1), ("99.5", 1)), (), "bids: must be in the order of their price"),
        ((), levels(("101", 1), ("101", 2)), "asks: must be in the order of their price"),
        (levels(("100", 1)), levels(("100", 1)), "the best bid of 100 must be below the best ask"),
        ((), levels(("101", 0)), "asks: quantities must be above 0, was 0"),
        (levels(("-1", 1)), (), "bids: must be above 0, was -1"),
        (levels(*((str(100 - step), 1) for step in range(6))), (), "bids: must be at most 5 levels, were 6"),
    ],
)
def test_a_book_that_cannot_be_is_refused(bids: tuple[Level, ...], asks: tuple[Level, ...], words: str) -> None:
    with pytest.raises(InvalidTicks, match=words):
        Depth(bids, asks)
