"""What holds for every moment, whatever the layers of the calendar say."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.config.sessions import MarketSegment
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import ALWAYS_OPEN, SessionCalendar, segment_calendar

NSE = segment_calendar(MarketSegment.EQUITY)

moments = st.builds(datetime.fromtimestamp, st.integers(1_577_836_800, 1_893_456_000), st.sampled_from([IST, UTC]))
"""In the years 2020 to 2029."""
calendars = st.sampled_from([*map(segment_calendar, MarketSegment), ALWAYS_OPEN])


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2025-04-29 09:14:59+05:30", False),
        ("2025-04-29 09:15:00+05:30", True),
        ("2025-04-29 03:45:00+00:00", True),
        ("2025-04-29 15:29:59+05:30", True),
        ("2025-04-29 15:30:00+05:30", False),
        ("2025-05-01 11:00:00+05:30", False),  # Maharashtra Day
        ("2025-05-03 11:00:00+05:30", False),  # Saturday
        ("2025-05-04 11:00:00+05:30", False),  # Sunday
        ("2026-01-26 11:00:00+05:30", False),  # Republic Day, another year
    ],
)
def test_when_nse_is_open(moment: str, is_open: bool) -> None:
    assert NSE.is_open(datetime.fromisoformat(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2025-04-29 08:00:00+05:30", date(2025, 4, 29)),
        ("2025-04-29 12:00:00+05:30", date(2025, 4, 29)),
        ("2025-04-29 15:30:00+05:30", date(2025, 4, 30)),
        ("2025-04-30 15:30:00+05:30", date(2025, 5, 2)),  # over the holiday
        ("2025-05-02 15:30:00+05:30", date(2025, 5, 5)),  # over the weekend
        ("2025-04-29 19:00:00+00:00", date(2025, 4, 30)),  # 00:30 in India
        ("2025-12-31 20:00:00+05:30", date(2026, 1, 1)),
    ],
)
def test_the_session_at_or_after_a_moment(moment: str, session: date) -> None:
    found = NSE.session_at_or_after(datetime.fromisoformat(moment))

    assert found.date == session
    assert found.opens == datetime(session.year, session.month, session.day, 9, 15, tzinfo=IST)
    assert found.closes == datetime(session.year, session.month, session.day, 15, 30, tzinfo=IST)


def test_the_next_session_comes_after_the_date_even_if_that_is_one() -> None:
    assert NSE.next_session(date(2025, 4, 29)).date == date(2025, 4, 30)
    assert NSE.next_session(date(2025, 4, 30)).date == date(2025, 5, 2)


@given(calendars, moments)
def test_no_session_is_passed_over(calendar: SessionCalendar, moment: datetime) -> None:
    session = calendar.session_at_or_after(moment)

    assert moment < session.closes
    assert calendar.is_open(moment) == (session.opens <= moment)
    day = moment.astimezone(IST).date()
    while day < session.date:
        today = calendar.session_on(day)
        assert today is None or moment >= today.closes
        day += timedelta(days=1)


@given(calendars, moments)
def test_an_order_of_a_session_is_none_of_after_the_market(calendar: SessionCalendar, moment: datetime) -> None:
    """There may be a while in which neither is taken. In the pre-open of futures both are."""
    if calendar.is_open(moment):
        assert calendar.is_regular(moment)
    if calendar.is_regular(moment) and calendar.takes_amo(moment):
        session = calendar.session_at_or_after(moment)
        assert moment < session.opens
    assert calendar.deadline(moment) > moment


@given(moments)
def test_always_open_is_open_at_every_moment_and_its_sessions_follow_without_a_gap(moment: datetime) -> None:
    session = ALWAYS_OPEN.session_at_or_after(moment)

    assert ALWAYS_OPEN.is_open(moment)
    assert session.contains(moment)
    following = ALWAYS_OPEN.next_session(session.date)
    assert following.opens == session.closes == ALWAYS_OPEN.session_at_or_after(session.closes).opens
