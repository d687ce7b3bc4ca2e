"""Feeds go forward in time for ever, and a restart goes on where the feed was."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import ALWAYS_OPEN, SessionCalendar, segment_calendar
from durable_orders.trading.market.feeds import ReplayFeed, SyntheticFeed, Timed
from durable_orders.trading.market.ticks import Tick

NSE = segment_calendar(MarketSegment.EQUITY)
OPEN = ALWAYS_OPEN
TICK = Decimal("0.05")
PRICES = {"NSE:INFY": Decimal("1500.10"), "NSE:TCS": Decimal(3500), "NSE:IDEA": Decimal("0.60")}

calendars = st.sampled_from([NSE, OPEN])


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+05:30")


def ticks_at(*times: str) -> list[Tick]:
    return [Tick("NSE:INFY", Decimal(100 + number), at(time)) for number, time in enumerate(times)]


@st.composite
def recordings(draw: st.DrawFn) -> list[Tick]:
    """Ticks of up to ten days, holiday and weekends among them; at least one within a session, no two at once."""
    begin = at("2025-04-25 00:00:00")
    seconds = draw(st.sets(st.integers(0, 10 * 86_400), max_size=25)) | {12 * 3600}
    return [Tick("NSE:INFY", Decimal(s + 1), begin + timedelta(seconds=s)) for s in sorted(seconds)]


def shown(feed: Iterable[Timed]) -> list[tuple[str, Decimal]]:
    return [(timed.tick.at.strftime("%Y-%m-%d %H:%M:%S"), timed.tick.last_price) for timed in feed]


def test_further_rounds_are_played_on_the_next_session_days() -> None:
    feed = ReplayFeed(ticks_at("2025-04-29 09:15:00", "2025-04-29 15:29:45"), 60, NSE)

    assert shown(islice(feed, 8)) == [
        ("2025-04-29 09:15:00", Decimal(100)),
        ("2025-04-29 15:29:45", Decimal(101)),
        ("2025-04-30 09:15:00", Decimal(100)),
        ("2025-04-30 15:29:45", Decimal(101)),
        ("2025-05-02 09:15:00", Decimal(100)),  # the 1st is a holiday
        ("2025-05-02 15:29:45", Decimal(101)),
        ("2025-05-05 09:15:00", Decimal(100)),  # over the weekend
        ("2025-05-05 15:29:45", Decimal(101)),
    ]


def test_a_recording_of_several_days_keeps_its_own_dates_in_the_first_round() -> None:
    feed = ReplayFeed(ticks_at("2025-04-25 10:00:00", "2025-04-29 11:00:00"), 60, NSE, rounds=2)

    assert shown(feed) == [
        ("2025-04-25 10:00:00", Decimal(100)),
        ("2025-04-29 11:00:00", Decimal(101)),
        ("2025-04-30 10:00:00", Decimal(100)),
        ("2025-05-02 11:00:00", Decimal(101)),
    ]


def test_the_wait_is_market_time_by_speed_within_a_session_and_nothing_between() -> None:
    feed = ReplayFeed(ticks_at("2025-04-29 09:15:00", "2025-04-29 09:15:15", "2025-04-29 09:16:15"), 60, NSE, rounds=2)

    assert [timed.wait for timed in feed] == [0, 0.25, 1, 0, 0.25, 1]


def test_ticks_outside_the_sessions_are_left_out() -> None:
    recorded = ticks_at("2025-04-29 09:07:00", "2025-04-29 09:15:00", "2025-04-29 15:30:00", "2025-05-01 11:00:00")

    assert shown(ReplayFeed(recorded, 60, NSE, rounds=1)) == [("2025-04-29 09:15:00", Decimal(101))]
    assert len(shown(ReplayFeed(recorded, 60, OPEN, rounds=1))) == 4


def test_a_recording_without_a_session_is_refused() -> None:
    with pytest.raises(InvalidTicks, match=r"no tick lies in a session .* 03 May 2025 11:00 IST, on a weekend$"):
        ReplayFeed(ticks_at("2025-05-03 11:00:00"), 60, NSE)


def test_times_that_would_fit_as_utc_are_asked_for_their_zone() -> None:
    with pytest.raises(
        InvalidTicks, match=r"03:45 IST, before the opening, and would be in one if that were UTC: give its zone"
    ):
        ReplayFeed(ticks_at("2025-04-29 03:45:00", "2025-04-29 03:50:00"), 60, NSE)


@given(recordings(), calendars, st.integers(2, 4))
def test_time_goes_strictly_forward_over_rounds_and_every_tick_is_in_its_session(
    recorded: list[Tick], calendar: SessionCalendar, rounds: int
) -> None:
    feed = list(ReplayFeed(recorded, 60, calendar, rounds=rounds))

    assert all(before.tick.at < after.tick.at for before, after in pairwise(feed))
    assert all(timed.session.contains(timed.tick.at) and timed.wait >= 0 for timed in feed)
    one = len(feed) // rounds
    assert [t.tick.last_price for t in feed] == [t.tick.last_price for t in feed[:one]] * rounds
    assert [t.tick.at.time() for t in feed] == [t.tick.at.time() for t in feed[:one]] * rounds


@given(recordings(), calendars, st.data())
def test_a_restart_at_any_tick_gives_exactly_the_continuation(
    recorded: list[Tick], calendar: SessionCalendar, data: st.DataObject
) -> None:
    whole = list(ReplayFeed(recorded, 60, calendar, rounds=3))
    last = data.draw(st.integers(0, len(whole) - 1))

    restarted = ReplayFeed(recorded, 60, calendar, rounds=3, start_after=whole[last].tick.at)

    assert list(restarted) == whole[last + 1 :]


def test_a_restart_between_two_ticks_waits_for_the_rest_of_the_time() -> None:
    recorded = ticks_at("2025-04-29 09:15:00", "2025-04-29 09:16:00")

    first = next(iter(ReplayFeed(recorded, 60, NSE, start_after=at("2025-05-02 09:15:30"))))

    assert (first.tick.at, first.wait) == (at("2025-05-02 09:16:00"), 0.5)


def test_a_restart_while_the_market_is_closed_begins_with_the_next_session() -> None:
    recorded = ticks_at("2025-04-29 09:15:00", "2025-04-29 15:29:45")

    first = next(iter(ReplayFeed(recorded, 60, NSE, start_after=at("2025-04-30 20:00:00"))))

    assert (first.tick.at, first.wait) == (at("2025-05-02 09:15:00"), 0)


def test_a_restart_before_the_recording_begins_with_it() -> None:
    recorded = ticks_at("2025-04-29 09:15:00")

    first = next(iter(ReplayFeed(recorded, 60, NSE, start_after=at("2025-04-01 12:00:00"))))

    assert first.tick == recorded[0]


def synthetic(seed: int = 7, start: str = "2025-04-29 09:15:00", calendar: SessionCalendar = OPEN) -> SyntheticFeed:
    return SyntheticFeed(PRICES, TICK, seed, 0.5, at(start), calendar)


def test_the_same_seed_gives_the_same_ticks_and_another_one_others() -> None:
    feed = synthetic()

    ticks = list(islice(feed, 300))

    assert list(islice(feed, 300)) == ticks == list(islice(synthetic(), 300))
    assert list(islice(synthetic(seed=8), 300)) != ticks


def test_symbols_take_turns_from_their_start_prices_in_even_steps() -> None:
    ticks = [timed.tick for timed in islice(synthetic(), 6)]

    assert [tick.symbol for tick in ticks] == [*PRICES, *PRICES]
    assert {tick.symbol: tick.last_price for tick in ticks[:3]} == PRICES
    assert [tick.at for tick in ticks] == [at("2025-04-29 09:15:00") + timedelta(seconds=n / 2) for n in range(6)]
    assert [timed.wait for timed in islice(synthetic(), 3)] == [0, 0.5, 0.5]


@given(st.integers())
def test_synthetic_prices_move_on_the_grid_and_never_fall_below_ten_ticks(seed: int) -> None:
    walks: dict[str, list[Decimal]] = {symbol: [] for symbol in PRICES}
    for timed in islice(synthetic(seed), 300):
        walks[timed.tick.symbol].append(timed.tick.last_price)

    for prices in walks.values():
        assert all(price % TICK == 0 and price >= 10 * TICK for price in prices)
        assert all(abs(after - before) <= max(before / 5000, TICK) for before, after in pairwise(prices))
        assert len(set(prices)) > 1


def test_a_synthetic_book_stands_around_the_same_prices() -> None:
    plain = [timed.tick for timed in islice(synthetic(), 300)]
    booked = [timed.tick for timed in islice(SyntheticFeed(PRICES, TICK, 7, 0.5, plain[0].at, with_book=True), 300)]

    assert [(tick.symbol, tick.last_price, tick.at) for tick in booked] == [
        (tick.symbol, tick.last_price, tick.at) for tick in plain
    ]
    traded = dict.fromkeys(PRICES, 0)
    for tick in booked:
        assert tick.depth is not None
        bid, ask = tick.depth.bids[0].price, tick.depth.asks[0].price
        assert ask - bid == TICK
        assert tick.last_price in (bid, ask)
        assert tick.volume >= traded[tick.symbol]
        traded[tick.symbol] = tick.volume
    assert all(traded.values())


def test_a_synthetic_market_skips_the_hours_in_which_it_is_closed() -> None:
    feed = synthetic(start="2025-04-30 15:29:59", calendar=NSE)

    assert [(timed.tick.at, timed.wait) for timed in islice(feed, 4)] == [
        (at("2025-04-30 15:29:59"), 0),
        (at("2025-04-30 15:29:59.500"), 0.5),
        (at("2025-05-02 09:15:00"), 0),
        (at("2025-05-02 09:15:00.500"), 0.5),
    ]


def test_an_always_open_market_passes_midnight_at_its_pace() -> None:
    before, after = islice(synthetic(start="2025-04-30 23:59:59.500"), 2)

    assert (after.tick.at, after.wait) == (at("2025-05-01 00:00:00"), 0.5)
    assert before.session.closes == after.session.opens


def test_a_synthetic_feed_of_nothing_or_without_time_is_refused() -> None:
    with pytest.raises(InvalidTicks, match="at least one symbol"):
        SyntheticFeed({}, TICK, 1, 1.0, at("2025-04-29 09:15:00"))
    with pytest.raises(InvalidTicks, match="interval: must be at least a microsecond, was 0"):
        SyntheticFeed(PRICES, TICK, 1, 0.0, datetime(2025, 4, 29, tzinfo=IST))
