"""Measures of execution on days whose answers are worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import Side
from durable_orders.trading.quality.measures import Execution, Moments, Prices, Traded, quality_of, weighted_mean
from durable_orders.trading.quality.tape import Tape

AT = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
D = Decimal


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


BOUGHT = Execution(
    side=Side.BUY,
    quantity=100,
    fills=(Traded(60, D("100.10"), after(2)), Traded(20, D("100.30"), after(4))),
    moments=Moments(AT, checked=after(0.004), sent=after(0.009), answered=after(0.059)),
    prices=Prices(
        arrival=D("100"), bid=D("99.95"), ask=D("100.05"), first_byte=D("100.05"), vwap=D("100.20"), close=D("101")
    ),
    charges=D("12.34"),
    is_over=True,
)
"""80 of 100 at (60 x 100.10 + 20 x 100.30) / 80 = 100.15; the other 20 were cancelled, and the day closed at 101."""


def test_a_purchase_that_filled_in_part_is_what_it_is_by_hand() -> None:
    quality = quality_of(BOUGHT)
    assert quality.average_price == D("100.15")
    assert (quality.slippage_bps, quality.slippage_rupees) == (D("15.00"), D("12.00"))  # 0.15 of 100; 0.15 x 80
    assert quality.slippage_vwap_bps == D("-4.99")  # -0.05 of 100.20
    assert quality.slippage_close_bps == D("-84.16")  # -0.85 of 101
    assert (quality.slippage_vwap_rupees, quality.slippage_close_rupees) == (D("-4.00"), D("-68.00"))  # of 80 units
    assert (quality.spread_paid_bps, quality.spread_paid_rupees) == (
        D("30.00"),
        D("24.00"),
    )  # 2 x 0.15, the middle is 100
    assert quality.opportunity_cost_rupees == D("20.00")  # 20 x (101 - 100)
    assert quality.shortfall_rupees == D("44.34")  # 12 + 20 + 12.34
    assert quality.shortfall_bps == D("44.34")  # of 100 x 100
    assert (quality.intent_to_checked_ms, quality.intent_to_sent_ms) == (4, 9)
    assert (quality.sent_to_answered_ms, quality.answered_to_first_fill_ms) == (50, 1941)
    assert quality.first_to_last_fill_ms == 2000


def test_a_sale_has_the_other_sign() -> None:
    """Sold at 100.15 with the market at 100 is 15 bps better, and what was not sold would have brought 20 more."""
    quality = quality_of(replace(BOUGHT, side=Side.SELL))
    assert (quality.slippage_bps, quality.opportunity_cost_rupees) == (D("-15.00"), D("-20.00"))
    assert quality.shortfall_rupees == D("-19.66")  # -12 - 20 + 12.34


def test_a_contract_counts_its_units() -> None:
    quality = quality_of(replace(BOUGHT, multiplier=100))
    assert (quality.slippage_bps, quality.slippage_rupees) == (D("15.00"), D("1200.00"))


def test_what_was_not_recorded_is_null_and_all_that_needs_it() -> None:
    quality = quality_of(replace(BOUGHT, prices=Prices(), moments=Moments(AT), charges=None))
    unknown = {name for name, value in quality._asdict().items() if value is None}
    known = set(quality._asdict()) - unknown
    assert known == {"filled_quantity", "average_price", "first_to_last_fill_ms"}


def test_an_open_order_has_no_opportunity_cost_yet_and_a_filled_one_none() -> None:
    assert quality_of(replace(BOUGHT, is_over=False)).opportunity_cost_rupees is None
    assert quality_of(replace(BOUGHT, quantity=80)).opportunity_cost_rupees == 0


def test_an_order_that_never_filled_cost_what_it_missed() -> None:
    quality = quality_of(replace(BOUGHT, fills=(), charges=None))
    assert (quality.average_price, quality.slippage_bps) == (None, None)
    assert (quality.opportunity_cost_rupees, quality.shortfall_rupees) == (D("100.00"), D("100.00"))


def ticks(*shown: tuple[float, str, int]) -> Tape:
    return Tape(Tick("NSE:INFY", D(price), after(seconds), volume) for seconds, price, volume in shown)


TAPE = ticks((0, "100", 1000), (2, "100.10", 1060), (4, "100.40", 1080), (33, "100.00", 1080), (63, "101", 1200))


def test_markouts_are_weighted_by_what_filled() -> None:
    """After a second, 60 at 100.10 stand at 100.10, and 20 at 100.30 at 100.40: 2 rupees of 8012."""
    quality = quality_of(BOUGHT, lambda moment: TAPE.price_at("NSE:INFY", moment))
    assert quality.markout_1s_bps == D("2.50")
    assert quality.markout_30s_bps == D("14.98")  # 60 x (100.40 - 100.10) + 20 x (100.00 - 100.30) = 12 of 8012
    assert quality.markout_300s_bps is None, "the recording ends before"


@pytest.mark.parametrize(
    ("seconds", "price"), [(-1, None), (0, "100"), (3.9, "100.10"), (4, "100.40"), (63, "101"), (64, None)]
)
def test_a_price_is_known_while_the_recording_goes_on(seconds: float, price: str | None) -> None:
    assert TAPE.price_at("NSE:INFY", after(seconds)) == (None if price is None else D(price))
    assert TAPE.price_at("NSE:TCS", after(seconds)) is None


def test_a_price_that_nothing_confirmed_for_a_minute_is_not_known() -> None:
    assert ticks((0, "100", 0), (200, "101", 0)).price_at("NSE:INFY", after(61)) is None


def test_vwap_and_close_are_those_of_the_recording() -> None:
    """60 at 100.10 and 20 at 100.40 are 100.175 each."""
    assert TAPE.vwap("NSE:INFY", after(0), after(4)) == D("100.175")
    assert TAPE.vwap("NSE:INFY", after(-5), after(4)) is None
    assert TAPE.close("NSE:INFY", AT) == D("101")
    assert TAPE.close("NSE:INFY", after(64)) is None


def test_a_mean_is_weighted_by_the_known() -> None:
    assert weighted_mean([(D(10), D(300)), (None, D(1000)), (D(20), D(100))]) == D("12.50")
    assert weighted_mean([(None, D(1))]) is None
