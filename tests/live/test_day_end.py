"""When a day is over, by the sessions of what was traded; and which looks at it count."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from durable_orders.activities import day_close
from durable_orders.activities.day_close import DayClose, Evening
from durable_orders.activities.day_closing import DayClosing
from durable_orders.activities.day_end import day_end, must_be_over
from durable_orders.trading.config.settings import Market, Settings
from durable_orders.trading.errors import BookGone, DayNotOver
from durable_orders.trading.exchange.paper_broker import PaperBroker
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.certificates import certificates_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.orders.order import Account, Mode
from durable_orders.trading.reconciliation.day import DayDifference, Kind
from tests.ledgers import open_empty_ledger

CRUDE, USD, INFY = "MCX:CRUDEOIL26DECFUT", "CDS:USDINR26DECFUT", "NSE:INFY"
SESSIONS = InstrumentSessions(Market())
ACCOUNT = Account("evening")


@pytest.mark.parametrize(
    ("day", "symbols", "at"),
    [
        ("2026-11-27", [], "16:00"),  # trades at the closing price of shares
        ("2026-11-27", [USD], "17:00"),
        ("2026-11-27", [INFY, CRUDE], "23:55"),
        ("2026-07-15", [CRUDE], "23:30"),
        ("2026-11-24", [], "23:55"),  # a holiday of shares, and the evening of commodities
        ("2026-11-24", [INFY], "23:55"),
        ("2026-11-29", [CRUDE], None),  # a Sunday
    ],
)
def test_a_day_is_over_with_the_last_session_of_what_was_traded(day: str, symbols: list[str], at: str | None) -> None:
    on = date.fromisoformat(day)
    end = day_end(SESSIONS, on, symbols)
    assert (end and f"{end.at.astimezone(IST):%H:%M}") == at
    must_be_over(end, on, datetime(on.year, on.month, on.day, 23, 56, tzinfo=IST))
    if end is not None:
        with pytest.raises(DayNotOver, match=f"trades until {at} IST on {day}"):
            must_be_over(end, on, end.at - timedelta(seconds=1))


def test_a_market_that_never_closes_has_no_end() -> None:
    assert day_end(None, date(2026, 11, 27), [CRUDE]) is None


class At:
    """A clock that a test moves."""

    def __init__(self, text: str) -> None:
        self.at = datetime.fromisoformat(text).replace(tzinfo=IST)

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_empty_ledger(tmp_path / "ledger.db")


def closing(database: Database, clock: At, sessions: InstrumentSessions | None = SESSIONS) -> DayClose:
    broker = PaperBroker(database, ACCOUNT, Settings().execution.paper, lambda _symbol: None)
    return DayClose(ACCOUNT, Mode.PAPER, broker, None, database, sessions, clock)


@pytest.mark.parametrize("day", ["2026-11-27", "2026-11-24"])
def test_no_day_is_certified_in_its_morning_though_nothing_was_ordered(database: Database, day: str) -> None:
    with pytest.raises(DayNotOver):
        closing(database, At(f"{day}T09:00:00")).close()
    with database.read() as connection:
        assert certificates_of(connection, ACCOUNT) == []


def test_a_certificate_from_before_the_end_is_not_that_of_the_day(database: Database) -> None:
    """As it was made in the morning, by settings of a market that never closes."""
    clock, day = At("2026-11-27T09:00:00"), date(2026, 11, 27)
    _, early = closing(database, clock, sessions=None).close()
    clock.at += timedelta(days=1)
    with pytest.raises(BookGone):
        closing(database, clock).close(day)
    clock.at = At("2026-11-27T16:00:00").at
    _, made = closing(database, clock).close()
    assert (early.number, made.number) == (1, 2)
    clock.at += timedelta(hours=1)
    assert closing(database, clock).close()[1] == made
    clock.at += timedelta(days=1)
    assert closing(database, clock).close(day)[1] == made


def test_the_next_try_is_at_the_end_of_the_day(database: Database) -> None:
    morning = closing(database, At("2026-11-27T09:00:00"))
    with pytest.raises(ApplicationError) as raised:
        DayClosing(ACCOUNT, database, lambda: morning).close_day("2026-11-27")
    assert (raised.value.type, raised.value.next_retry_delay) == ("DayNotOver", timedelta(hours=7))


def evening(*abouts: str) -> Evening:
    found = (
        DayDifference(kind=Kind.TRADE, order_id="o", about=about, ours=None, broker="1", cause=None) for about in abouts
    )
    return Evening(date(2026, 11, 27), tuple(found), {})


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([[]], []),
        ([["a"], []], []),
        ([["a"], ["a"], ["a"]], ["a"]),
        ([["a"], ["a"], ["b"], []], []),
        ([["a"], ["b"], ["a", "b"], ["a", "b"]], ["a", "b"]),
        ([["a"], ["a"], ["a", "new"], ["a", "new"]], ["a", "new"]),
        ([[str(number)] for number in range(10)], ["9"]),
    ],
)
def test_a_difference_of_the_last_look_is_never_dropped(
    monkeypatch: pytest.MonkeyPatch, database: Database, looks: list[list[str]], found: list[str]
) -> None:
    monkeypatch.setattr(day_close, "PAUSE_SECONDS", 0.0)
    day, left = closing(database, At("2026-11-27T16:00:00")), iter(looks)
    monkeypatch.setattr(day, "_look", lambda _day: evening(*next(left)))
    assert [each.about for each in day._steady_look(date(2026, 11, 27)).differences] == found
    assert list(left) == []
