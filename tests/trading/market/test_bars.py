"""Bars of ticks: by session, in step, each once; and what an indicator library makes of them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talipp.indicators import EMA, SuperTrend

from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.ist import IST
from durable_orders.trading.market.bars import NEVER, Bar, BarBuilder, bars_of, interval_of
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick

SYMBOL, OTHER, CRUDE = "NSE:INFY", "NSE:TCS", "MCX:CRUDEOIL25MAYFUT"
OPENS = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
SESSIONS = InstrumentSessions(Market())
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def tick(minute: float, price: int, volume: int = 0, symbol: str = SYMBOL, opens: datetime = OPENS) -> Tick:
    return Tick(symbol, Decimal(price), opens + minute * MINUTE, volume)


def told(bar: Bar) -> str:
    prices = f"{bar.open} {bar.high} {bar.low} {bar.close}"
    return f"{bar.at:%d %H:%M}-{bar.ends:%H:%M} {prices} {bar.volume}"


def test_bars_count_from_the_opening_and_the_last_one_is_short() -> None:
    ticks = [tick(0, 10, 5), tick(59, 12, 9), tick(60, 11, 20), tick(361, 9, 30), tick(374.5, 13, 37)]
    assert list(map(told, bars_of(ticks, SYMBOL, HOUR, SESSIONS))) == [
        "29 09:15-10:15 10 12 10 12 9",
        "29 10:15-11:15 11 11 11 11 11",
        "29 15:15-15:30 9 13 9 13 17",
    ]


def test_a_day_is_one_bar_and_its_volume_begins_anew() -> None:
    ticks = [tick(0, 10, 5), tick(374, 12, 50), tick(0, 11, 7, opens=OPENS + DAY), tick(9, 8, 9, opens=OPENS + DAY)]
    assert list(map(told, bars_of(ticks, SYMBOL, DAY, SESSIONS))) == [
        "29 09:15-15:30 10 12 10 12 50",
        "30 09:15-15:30 11 11 8 8 9",
    ]


def test_symbols_are_told_in_step_each_bar_once_and_nothing_of_what_was_not_traded() -> None:
    builder = BarBuilder(5 * MINUTE, [SYMBOL, OTHER], SESSIONS)
    for each in (tick(1, 10), tick(2, 20, symbol=OTHER), tick(3, 30, symbol=CRUDE), tick(6, 11), tick(11, 12)):
        builder.show(each)
    first, second = builder.take(OPENS + 10 * MINUTE)
    assert {symbol: bar.close for symbol, bar in first.items()} == {SYMBOL: 10, OTHER: 20}
    assert {symbol: bar.close for symbol, bar in second.items()} == {SYMBOL: 11}
    assert list(builder.take(OPENS + 14 * MINUTE)) == []
    builder.show(tick(9, 99))  # late, its bar was told
    [third] = builder.take(OPENS + 15 * MINUTE)
    assert told(third[SYMBOL]) == "29 09:25-09:30 12 12 12 12 0"


def test_what_began_before_anybody_watched_says_so() -> None:
    builder = BarBuilder(5 * MINUTE, [SYMBOL], SESSIONS, since=OPENS + 2 * MINUTE)
    for each in (tick(2, 10, 100), tick(4, 11, 130), tick(5, 12, 135)):
        builder.show(each)
    bars = [bars[SYMBOL] for bars in builder.take(NEVER)]
    assert [(bar.is_whole, bar.volume) for bar in bars] == [(False, 30), (True, 5)]


def test_a_tick_outside_of_its_session_is_in_no_bar() -> None:
    assert bars_of([tick(-10, 10), tick(375, 11)], SYMBOL, MINUTE, SESSIONS) == []


@given(
    minutes=st.lists(st.floats(0, 374.9), min_size=1, max_size=40).map(sorted),
    every=st.sampled_from([1, 3, 7, 60, 375]),
    seed=st.randoms(use_true_random=False),
)
def test_bars_hold_every_tick_once_whenever_they_are_taken(minutes: list[float], every: int, seed: Any) -> None:
    ticks = [tick(at, seed.randint(1, 99), volume) for volume, at in enumerate(minutes, 1)]
    builder, bars = BarBuilder(every * MINUTE, [], SESSIONS), list[Bar]()
    for each in ticks:
        if seed.random() < 0.3:
            bars += [told[SYMBOL] for told in builder.take(each.at)]
        builder.show(each)
    bars += [told[SYMBOL] for told in builder.take(NEVER)]
    assert bars == bars_of(ticks, SYMBOL, every * MINUTE, SESSIONS)
    assert sum(bar.volume for bar in bars) == len(ticks)
    for bar in bars:
        own = [each.last_price for each in ticks if bar.at <= each.at < bar.ends]
        assert (bar.open, bar.high, bar.low, bar.close) == (own[0], max(own), min(own), own[-1])


@pytest.mark.parametrize("interval", ["5 minutes", "hour", "0minute", 5, timedelta(seconds=90), timedelta(days=2)])
def test_an_interval_that_no_bar_has_is_one_line(interval: object) -> None:
    with pytest.raises(InvalidStrategy, match="bars: interval: must be as Kite's, 'minute', '5minute' or 'day'"):
        interval_of("bars", interval)


def test_intervals_are_read_as_kite_writes_them() -> None:
    assert [interval_of("bars", each) for each in ("minute", "15minute", "day")] == [MINUTE, 15 * MINUTE, DAY]


def test_a_kept_library_computes_with_them() -> None:
    """talipp takes a bar's floats as they are."""
    ticks = [tick(number, 100 + (number * 7) % 11) for number in range(30)]
    average, trend = EMA(3), SuperTrend(5, 2)
    closes = []
    for bar in bars_of(ticks, SYMBOL, MINUTE, SESSIONS):
        average.add(bar.floats.close)
        trend.add(bar.floats)
        closes.append(float(bar.close))
    expected = sum(closes[:3]) / 3
    for close in closes[3:]:
        expected = (close + expected) / 2
    assert average[-1] == pytest.approx(expected)
    assert trend[-1] is not None
