"""The path through a candle: inside it, through its four prices, forward in time."""

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.ist import IST
from durable_orders.trading.market.candles import CANDLE_STEP, Candle, candle_path, walked
from durable_orders.trading.market.ticks import Tick

AT = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
FIVE_MINUTES = timedelta(minutes=5)
TICK = Decimal("0.05")

tick_sizes = st.sampled_from([Decimal(size) for size in ("0.0025", "0.01", "0.05", "0.2", "1")])


def candle(opening: str, high: str, low: str, close: str, volume: int = 0, at: datetime = AT) -> Candle:
    return Candle("NSE:INFY", at, Decimal(opening), Decimal(high), Decimal(low), Decimal(close), volume)


@st.composite
def candles(draw: st.DrawFn, unit: Decimal | None = None) -> Candle:
    """Any candle; with `unit`, one whose prices are multiples of it."""
    prices = sorted(draw(st.lists(st.integers(1, 10**7), min_size=4, max_size=4)))
    opening, close = draw(st.permutations(prices[1:3]))
    low, *_, high = prices
    step = unit or Decimal("0.0001")
    return Candle("NSE:INFY", AT, opening * step, high * step, low * step, close * step, draw(st.integers(0, 10**6)))


def candle_ticks(candles: list[Candle], length: timedelta, tick_size: Decimal) -> list[Tick]:
    return list(walked(((each, each.at, each.at + length) for each in candles), lambda _symbol: tick_size))


@given(st.data(), tick_sizes, st.integers(4, 240))
def test_a_candle_on_the_grid_is_walked_through_its_own_four_prices(
    data: st.DataObject, tick_size: Decimal, steps: int
) -> None:
    drawn = data.draw(candles(tick_size))

    path = candle_path(drawn, steps, tick_size)

    assert len(path) == steps
    assert (path[0], path[-1]) == (drawn.open, drawn.close)
    assert (min(path), max(path)) == (drawn.low, drawn.high)


@given(candles(), tick_sizes, st.integers(4, 240))
def test_every_price_is_a_multiple_of_the_tick_size_within_low_and_high(
    drawn: Candle, tick_size: Decimal, steps: int
) -> None:
    path = candle_path(drawn, steps, tick_size)

    assert all(price > 0 and price % tick_size == 0 for price in path)
    lowest = next(
        low for low in (drawn.low // tick_size * tick_size + up * tick_size for up in (0, 1)) if low >= drawn.low
    )
    if lowest <= drawn.high:
        assert (min(path), max(path)) == (lowest, drawn.high // tick_size * tick_size)
    else:
        assert len(set(path)) == 1
        assert abs(path[0] - drawn.close) < tick_size


@given(candles(), st.integers(4, 240))
def test_a_rising_candle_has_its_low_first_and_a_falling_one_its_high(drawn: Candle, steps: int) -> None:
    unit = Decimal("0.0001")

    path = candle_path(drawn, steps, unit)

    low, high = path.index(drawn.low), len(path) - 1 - path[::-1].index(drawn.high)
    if drawn.close >= drawn.open:
        assert low <= high
    else:
        assert path.index(drawn.high) <= len(path) - 1 - path[::-1].index(drawn.low)


@given(st.lists(candles(), min_size=1, max_size=5), st.sampled_from([1, 3, 5, 15, 60]))
def test_time_goes_strictly_forward_a_step_at_a_time(drawn: list[Candle], minutes: int) -> None:
    length = timedelta(minutes=minutes)
    row = [
        Candle("NSE:INFY", AT + length * number, each.open, each.high, each.low, each.close, each.volume)
        for number, each in enumerate(drawn)
    ]

    times = [tick.at for tick in candle_ticks(row, length, TICK)]

    assert times == [AT + CANDLE_STEP * step for step in range(len(row) * (length // CANDLE_STEP))]


def test_the_lines_between_the_four_prices_are_straight() -> None:
    path = candle_path(candle("100", "106", "94", "103"), 20, Decimal(1))

    assert path == [100, 99, 98, 97, 96, 95, 94, 96, 97, 99, 101, 103, 104, 106, 106, 105, 105, 104, 104, 103]


def test_open_and_close_are_rounded_to_the_nearest_tick_and_low_and_high_inwards() -> None:
    path = candle_path(candle("100.03", "100.18", "99.97", "100.07"), 20, TICK)

    assert [str(price) for price in (path[0], path[-1])] == ["100.05", "100.05"]
    assert [str(price) for price in (min(path), max(path))] == ["100.00", "100.15"]


def test_a_candle_that_holds_no_multiple_of_the_tick_size_stands_at_the_nearest() -> None:
    assert set(candle_path(candle("100.03", "100.04", "100.03", "100.04"), 20, TICK)) == {Decimal("100.05")}
    assert set(candle_path(candle("0.01", "0.01", "0.01", "0.01"), 20, TICK)) == {TICK}


def test_volume_builds_up_over_the_day_and_begins_anew_on_the_next() -> None:
    tomorrow = AT + timedelta(days=1)
    day = [candle("1", "2", "1", "2", 40), candle("1", "2", "1", "2", 30, AT + FIVE_MINUTES)]

    ticks = candle_ticks([*day, candle("1", "2", "1", "2", 20, tomorrow)], FIVE_MINUTES, TICK)

    volumes = [tick.volume for tick in ticks]
    assert [volumes[0], volumes[19], volumes[39], volumes[40], volumes[59]] == [2, 40, 70, 1, 20]
    assert volumes[:40] == sorted(volumes[:40])


def test_symbols_side_by_side_are_put_in_the_order_of_time() -> None:
    other = Candle("NSE:TCS", AT, Decimal(1), Decimal(2), Decimal(1), Decimal(2), 0)

    ticks = candle_ticks([candle("1", "2", "1", "2"), other], FIVE_MINUTES, TICK)

    assert [tick.symbol for tick in ticks] == ["NSE:INFY", "NSE:TCS"] * 20
