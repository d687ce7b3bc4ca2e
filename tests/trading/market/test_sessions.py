"""Tables of days and times by segment, 2024 to 2026, each line with where it is from."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from durable_orders.trading.config.sessions import MarketSegment, WindowKind
from durable_orders.trading.config.settings import Calendar, Market, Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.ist import IST
from durable_orders.trading.market.calendar import Session, segment_calendar
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.session_data import SessionFile, SpecialDay, data_of, session_file
from durable_orders.trading.orders.order import OrderType, Side, Validity

S = MarketSegment
SHARES = (S.EQUITY, S.AUCTION_EQUITY)
DERIVATIVES = (S.EQUITY_FUTURES, S.EQUITY_OPTIONS)
COMMODITIES = (S.COMMODITY, S.AGRI, S.AGRI_INTERNATIONAL)
MASTER = """\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0,,0,0.1,1,EQ,NSE,NSE
408321,1595,TINY,TINY COMPANY,0,,0,0.01,1,EQ,NSE,NSE
110,1,CRUDEOIL26DECFUT,CRUDEOIL,0,2026-12-18,0,1,1,FUT,MCX-FUT,MCX
111,2,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.1,65,FUT,NFO-FUT,NFO
112,3,NIFTY27JANFUT,NIFTY,0,2027-01-26,0,0.1,65,FUT,NFO-FUT,NFO
113,4,NIFTY27FEBFUT,NIFTY,0,2027-02-23,0,0.1,65,FUT,NFO-FUT,NFO
114,5,NIFTY26DEC26000CE,NIFTY,0,2026-12-29,26000,0.05,65,CE,NFO-OPT,NFO
115,6,INFY26DECFUT,INFY,0,2026-12-29,0,0.1,400,FUT,NFO-FUT,NFO
116,7,USDINR26DECFUT,USDINR,0,2026-12-29,0,0.0025,1,FUT,CDS-FUT,CDS
117,8,MENTHAOIL26DECFUT,MENTHAOIL,0,2026-12-31,0,0.1,1,FUT,MCX-FUT,MCX
118,9,COTTONCNDY26DECFUT,COTTONCNDY,0,2026-12-31,0,10,1,FUT,MCX-FUT,MCX
"""


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> InstrumentSessions:
    path = tmp_path_factory.mktemp("master") / "master.csv"
    path.write_text(MASTER)
    return InstrumentSessions(Market(), Instruments.read(path))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def session_on(segment: MarketSegment, day: str) -> Session | None:
    return segment_calendar(segment).session_on(date.fromisoformat(day))


def hours(session: Session | None) -> str | None:
    return None if session is None else f"{session.opens:%H:%M}-{session.closes:%H:%M}"


@pytest.mark.parametrize(
    ("day", "shares", "derivatives"),
    [
        ("2024-01-20", "09:15-15:30", "09:15-15:30"),  # a Saturday (NSE, 19 January 2024)
        ("2024-01-22", None, None),  # by notice: Ram temple
        ("2024-03-02", "09:15-12:30", "09:15-12:30"),  # disaster recovery, a Saturday
        ("2024-03-25", None, None),  # Holi
        ("2024-05-18", "09:15-12:30", "09:15-12:30"),  # disaster recovery, a Saturday
        ("2024-05-20", None, None),  # by notice: general election
        ("2024-11-01", "18:00-19:00", "18:00-19:00"),  # Muhurat
        ("2024-11-20", None, None),  # by notice: assembly election
        ("2025-02-01", "09:15-15:30", "09:15-15:30"),  # Budget, a Saturday
        ("2025-10-21", "13:45-14:45", "13:45-14:45"),  # Muhurat
        ("2025-10-22", None, None),  # Balipratipada
        ("2026-01-15", None, None),  # by notice: municipal elections
        ("2026-02-01", "09:15-15:30", "09:15-15:30"),  # Budget, a Sunday (NSE/CMTR/72349)
        ("2026-07-31", "09:15-15:30", "09:15-15:30"),  # the last day before the closing auction
        ("2026-08-03", "09:15-15:30", "09:15-15:40"),  # SEBI, 16 January 2026; NSE/FAOP/74467
        ("2026-08-02", None, None),  # Sunday
        ("2026-11-24", None, None),  # Guru Nanak Jayanti
        ("2026-12-25", None, None),  # Christmas
    ],
)
def test_days_of_shares_and_their_derivatives(day: str, shares: str | None, derivatives: str | None) -> None:
    assert {hours(session_on(segment, day)) for segment in SHARES} == {shares}
    assert {hours(session_on(segment, day)) for segment in DERIVATIVES} == {derivatives}


@pytest.mark.parametrize(
    ("day", "currency"),
    [
        ("2024-01-22", None),  # BSE, 19 January 2024
        ("2024-02-19", None),  # Chhatrapati Shivaji Maharaj Jayanti
        ("2024-04-09", None),  # Gudi Padwa
        ("2024-09-16", "09:00-17:00"),  # RBI: Id-E-Milad on the 18th instead
        ("2024-09-18", None),
        ("2024-11-01", "18:00-19:00"),  # Muhurat
        ("2025-02-01", None),  # Saturday, Budget or not
        ("2025-04-01", None),  # banks close their year
        ("2025-09-05", "09:00-17:00"),  # NSE/CD/70033: on the 8th instead
        ("2025-09-08", None),
        ("2026-01-15", None),
        ("2026-03-19", None),  # NSE/CD/71962
        ("2026-08-26", None),  # NSE/CD/71962
        ("2026-08-25", "09:00-17:00"),
    ],
)
def test_days_of_currencies(day: str, currency: str | None) -> None:
    assert hours(session_on(S.CURRENCY, day)) == currency


@pytest.mark.parametrize(
    ("day", "commodity", "agri", "cotton"),
    [
        ("2024-01-01", "09:00-17:00", "09:00-17:00", "09:00-17:00"),  # the evening of New Year is shut
        ("2024-01-22", "17:00-23:55", None, "17:00-21:00"),  # Mint, 22 January 2024
        ("2024-03-08", "17:00-23:55", None, "17:00-21:00"),
        ("2024-03-11", "09:00-23:30", "09:00-17:00", "09:00-21:00"),  # the US clocks (Angel One)
        ("2024-03-29", None, None, None),  # Good Friday
        ("2024-11-01", "18:00-19:00", "18:00-19:00", "18:00-19:00"),  # Muhurat
        ("2024-11-04", "09:00-23:55", "09:00-17:00", "09:00-21:00"),
        ("2025-02-01", "09:00-17:00", "09:00-17:00", "09:00-17:00"),  # Budget
        ("2025-03-07", "09:00-23:55", "09:00-17:00", "09:00-21:00"),
        ("2025-03-10", "09:00-23:30", "09:00-17:00", "09:00-21:00"),  # MCX, from that day on
        ("2025-10-21", "13:45-14:45", "13:45-14:45", "13:45-14:45"),  # Muhurat
        ("2025-10-22", "17:00-23:30", None, "17:00-21:00"),
        ("2026-01-01", "09:00-17:00", "09:00-17:00", "09:00-17:00"),
        ("2026-01-15", "17:00-23:55", None, "17:00-21:00"),  # MCX, 12 January 2026
        ("2026-02-01", "09:00-17:00", "09:00-17:00", "09:00-17:00"),  # Budget
        ("2026-03-03", "17:00-23:55", None, "17:00-21:00"),
        ("2026-03-09", "09:00-23:30", "09:00-17:00", "09:00-21:00"),  # NSE/COM/72699 has the same days
        ("2026-06-26", "17:00-23:30", None, "17:00-21:00"),
        ("2026-10-02", None, None, None),
        ("2026-10-30", "09:00-23:30", "09:00-17:00", "09:00-21:00"),
        ("2026-11-10", "17:00-23:55", None, "17:00-21:00"),
        ("2026-11-24", "17:00-23:55", None, "17:00-21:00"),
        ("2026-11-30", "09:00-23:55", "09:00-17:00", "09:00-21:00"),
    ],
)
def test_days_of_commodities(day: str, commodity: str | None, agri: str | None, cotton: str | None) -> None:
    assert [hours(session_on(segment, day)) for segment in COMMODITIES] == [commodity, agri, cotton]


@pytest.mark.parametrize(
    ("symbol", "at", "variety"),
    [
        # what went wrong: varieties of days that one calendar of NSE has otherwise
        ("NSE:INFY", "2026-02-01 11:00", "regular"),
        ("NSE:INFY", "2026-01-15 11:00", "amo"),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-24 19:00", "regular"),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-10 19:00", "regular"),
        ("MCX:CRUDEOIL26DECFUT", "2026-03-03 19:00", "regular"),
        ("MCX:CRUDEOIL26DECFUT", "2026-06-26 18:00", "regular"),
        ("MCX:CRUDEOIL26DECFUT", "2026-01-01 19:00", "amo"),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-30 23:40", "regular"),
        ("MCX:CRUDEOIL26DECFUT", "2026-10-30 23:40", "amo"),
        ("MCX:MENTHAOIL26DECFUT", "2026-11-30 18:00", "neither"),
        ("MCX:COTTONCNDY26DECFUT", "2026-11-30 18:00", "regular"),
        # pre-open: shares by date, of futures the nearest only, of options none
        ("NSE:INFY", "2026-11-27 08:57", "amo"),
        ("NSE:INFY", "2026-11-27 08:59", "neither"),
        ("NSE:INFY", "2026-11-27 09:02", "regular"),
        ("NFO:NIFTY26DECFUT", "2026-11-27 09:02", "regular"),
        ("NFO:NIFTY27JANFUT", "2026-11-27 09:02", "amo"),
        ("NFO:NIFTY27JANFUT", "2026-12-21 09:02", "amo"),
        ("NFO:NIFTY27JANFUT", "2026-12-22 09:02", "regular"),  # the first of five days of trading up to the expiry
        ("NFO:NIFTY27FEBFUT", "2026-12-23 09:02", "amo"),
        ("NFO:NIFTY26DEC26000CE", "2026-11-27 09:02", "amo"),
        ("NFO:NIFTY26DECFUT", "2025-12-05 09:02", "amo"),  # the last Friday without one
        # the evening: not all is taken at once
        ("NSE:INFY", "2026-11-27 15:17", "regular"),
        ("NSE:INFY", "2026-11-27 15:35", "neither"),
        ("NSE:INFY", "2026-11-27 15:55", "regular"),
        ("NSE:INFY", "2026-11-27 16:00", "amo"),
        ("NFO:NIFTY26DECFUT", "2026-11-27 15:35", "regular"),
        ("NFO:NIFTY26DECFUT", "2026-11-27 15:42", "neither"),
        ("NFO:NIFTY26DECFUT", "2026-11-27 15:45", "amo"),
        ("CDS:USDINR26DECFUT", "2026-11-27 16:59", "regular"),
        ("CDS:USDINR26DECFUT", "2026-11-27 17:00", "amo"),
        ("NSE:INFY", "2026-11-28 11:00", "amo"),
    ],
)
def test_what_is_taken_when(sessions: InstrumentSessions, symbol: str, at: str, variety: str) -> None:
    calendar, now = sessions.of(symbol), moment(at)

    found = "regular" if calendar.is_regular(now) else "amo" if calendar.takes_amo(now) else "neither"
    assert found == variety


@pytest.mark.parametrize(
    ("symbol", "at", "deadline"),
    [
        ("NFO:NIFTY26DECFUT", "2026-11-27 15:35", "2026-11-27 15:40"),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-27 18:00", "2026-11-27 23:55"),
        ("MCX:CRUDEOIL26DECFUT", "2026-11-24 18:00", "2026-11-24 23:55"),
        ("NSE:INFY", "2026-11-27 10:00", "2026-11-27 15:30"),
        ("NSE:INFY", "2026-11-27 15:52", "2026-11-27 16:00"),
        ("NSE:INFY", "2026-11-27 18:00", "2026-11-30 15:30"),
        ("CDS:USDINR26DECFUT", "2026-11-27 16:00", "2026-11-27 17:00"),
    ],
)
def test_an_order_may_be_sent_until_the_end_of_its_own_session(
    sessions: InstrumentSessions, symbol: str, at: str, deadline: str
) -> None:
    assert sessions.of(symbol).deadline(moment(at)) == moment(deadline)


@pytest.mark.parametrize(
    ("segment", "day", "cutoff"),
    [
        (S.EQUITY, "2025-04-29", "15:20"),  # Zerodha square-off page
        (S.EQUITY, "2026-11-27", "15:25"),
        (S.AUCTION_EQUITY, "2026-11-27", "15:12"),
        (S.EQUITY_FUTURES, "2026-11-27", "15:25"),
        (S.CURRENCY, "2026-11-27", "16:45"),
        (S.COMMODITY, "2026-11-27", "23:30"),
        (S.COMMODITY, "2026-10-27", "23:05"),
        (S.COMMODITY, "2026-01-01", "16:35"),
        (S.AGRI, "2026-11-27", "16:35"),
    ],
)
def test_mis_ends_before_the_close(segment: MarketSegment, day: str, cutoff: str) -> None:
    session = session_on(segment, day)

    assert session is not None
    assert session.mis_cutoff == datetime.combine(session.date, time.fromisoformat(cutoff), IST)


@pytest.mark.parametrize(
    ("segment", "day", "at", "order_type", "validity", "taken"),
    [
        (S.AUCTION_EQUITY, "2026-11-27", "15:16", OrderType.LIMIT, Validity.DAY, False),
        (S.AUCTION_EQUITY, "2026-11-27", "15:21", OrderType.MARKET, Validity.DAY, True),
        (S.AUCTION_EQUITY, "2026-11-27", "15:21", OrderType.LIMIT, Validity.IOC, False),
        (S.AUCTION_EQUITY, "2026-11-27", "15:21", OrderType.SL, Validity.DAY, False),
        (S.AUCTION_EQUITY, "2026-11-27", "15:26", OrderType.MARKET, Validity.DAY, False),
        (S.AUCTION_EQUITY, "2026-11-27", "15:26", OrderType.LIMIT, Validity.DAY, True),
        (S.AUCTION_EQUITY, "2026-11-27", "15:29", OrderType.LIMIT, Validity.DAY, False),  # it may have ended
        (S.AUCTION_EQUITY, "2026-07-31", "15:16", OrderType.SL, Validity.DAY, True),
        (S.EQUITY, "2026-11-27", "15:16", OrderType.SL, Validity.DAY, True),
        (S.EQUITY, "2026-11-27", "09:06", OrderType.MARKET, Validity.DAY, False),
        (S.EQUITY, "2026-09-04", "09:06", OrderType.MARKET, Validity.DAY, True),
        (S.EQUITY_FUTURES, "2026-11-27", "09:02", OrderType.MARKET, Validity.DAY, True),
        (S.EQUITY_FUTURES, "2026-11-27", "09:02", OrderType.LIMIT, Validity.IOC, False),
        (S.EQUITY_FUTURES, "2026-11-27", "09:02", OrderType.SL, Validity.DAY, False),
        (S.EQUITY_FUTURES, "2025-12-05", "09:02", OrderType.LIMIT, Validity.DAY, False),
    ],
)
def test_what_each_window_takes(
    segment: MarketSegment, day: str, at: str, order_type: OrderType, validity: Validity, taken: bool
) -> None:
    session = session_on(segment, day)

    assert session is not None
    clock = time.fromisoformat(at)
    assert any(each.takes(clock, order_type, validity, Side.BUY) for each in session.windows) is taken


@pytest.mark.parametrize("segment", MarketSegment)
def test_a_day_beyond_the_lists_is_not_known(segment: MarketSegment) -> None:
    calendar = segment_calendar(segment)

    new_year = calendar.unknown_after(date(2026, 11, 9))
    assert new_year is not None
    assert new_year.date == date(2027, 1, 1)
    assert new_year.in_settings.startswith("market.known_until: 2027-12-31, and market.exceptions: [{date: ")
    assert calendar.next_session(date(2026, 12, 31)).known is False
    muhurat = calendar.session_on(date(2026, 11, 8))
    assert muhurat is not None
    assert not muhurat.known, "it trades, and at which hour is for a circular to say"
    assert "NSE/CMTR/71775" in muhurat.source
    key, _, written = muhurat.in_settings.replace('"HH:MM"', '"18:00"', 1).replace("HH:MM", "19:00").partition(": ")
    own = Market.model_validate({key.removeprefix("market."): yaml.safe_load(written)})
    assert hours(segment_calendar(segment, own).session_on(muhurat.date)) == "18:00-19:00", "what it says to write"


def test_the_users_own_word_lies_over_the_file() -> None:
    market = Market.model_validate(
        {
            "known_until": "2027-12-31",
            "exceptions": [
                {"date": "2026-11-08", "windows": [{"opens": "18:00", "closes": "19:00"}], "reason": "NSE/CMTR/1"},
                {"date": "2026-12-01", "closed": True, "segments": ["equity"]},
                {"date": "2026-12-05"},
                {"date": "2027-01-26", "closed": True},
            ],
        }
    )
    shares, futures = (segment_calendar(segment, market) for segment in (S.EQUITY, S.EQUITY_FUTURES))

    muhurat = shares.session_on(date(2026, 11, 8))
    assert muhurat is not None
    assert (hours(muhurat), muhurat.known, muhurat.source) == ("18:00-19:00", True, "market.exceptions: NSE/CMTR/1")
    assert shares.session_on(date(2026, 12, 1)) is None
    assert hours(futures.session_on(date(2026, 12, 1))) == "09:15-15:40"
    assert hours(shares.session_on(date(2026, 12, 5))) == "09:15-15:30", "a Saturday with ordinary hours"
    assert [(day.date.day, day.known) for day in shares.sessions(date(2027, 1, 24), 4)] == [(25, True), (27, True)]


def test_the_users_own_hours_of_every_day() -> None:
    window = {"opens": "09:15", "closes": "15:15"}
    market = Market.model_validate({"sessions": {"equity": {"windows": [window], "mis_cutoff": "14:00"}}})
    session = segment_calendar(S.EQUITY, market).session_on(date(2026, 11, 27))

    assert session is not None
    assert (hours(session), session.mis_cutoff) == ("09:15-15:15", moment("2026-11-27 14:00"))


@pytest.mark.parametrize(
    ("exception", "words"),
    [
        (
            {
                "date": "2026-11-08",
                "windows": [{"opens": "18:00", "closes": "19:00"}, {"opens": "18:30", "closes": "20:00"}],
            },
            "market.exceptions.0.windows: must follow one another without overlapping, were 18:00-19:00 and 18:30",
        ),
        ({"date": "2026-11-08", "segments": ["shares"]}, "market.exceptions.0.segments.0: must be 'equity'"),
        ({"date": "2026-02-30", "closed": True}, "market.exceptions.0.date: must be a valid date"),
        ({"date": "8 November", "closed": True}, "market.exceptions.0.date: must be a valid date"),
        (
            {"date": "2026-11-08", "windows": [{"opens": "19:00", "closes": "18:00"}]},
            "market.exceptions.0.windows.0: opens: must be before closes, was 19:00 to 18:00",
        ),
        (
            {"date": "2026-11-08", "closed": True, "windows": [{"opens": "18:00", "closes": "19:00"}]},
            "market.exceptions.0: windows: a day that is closed has none",
        ),
        ({"date": "2026-11-08", "open": True}, "market.exceptions.0.open: no such setting"),
    ],
)
def test_an_exception_that_makes_no_sense_is_one_line(tmp_path: Path, exception: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        Settings.load(_yaml(tmp_path, [exception]), {})
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("said", ["2026-13-01", "2026-02-30", "tomorrow"])
def test_a_date_that_is_none_is_one_line_with_its_key(tmp_path: Path, said: str) -> None:
    """As a person writes it into YAML, without quotes."""
    path = tmp_path / "settings.yaml"
    path.write_text(f"market:\n  exceptions: [{{date: {said}, closed: true}}]\n")
    with pytest.raises(InvalidSettings, match=r"settings\.yaml: market\.exceptions\.0\.date: ") as raised:
        Settings.load(path, {})
    assert "\n" not in str(raised.value)
    path.write_text("market: {known_until: 2027-12-31, settlement_prices: {NIFTY: {2026-12-29: 26012.35}}}\n")
    market = Settings.load(path, {}).market
    assert (market.known_until, *market.settlement_prices["NIFTY"]) == (date(2027, 12, 31), date(2026, 12, 29))


def test_a_day_may_be_said_once_for_a_segment(tmp_path: Path) -> None:
    twice = [{"date": "2026-11-08", "closed": True}, {"date": "2026-11-08", "segments": ["equity"]}]
    with pytest.raises(InvalidSettings, match=r"market\.exceptions: 2026-11-08 is there 2 times for equity"):
        Settings.load(_yaml(tmp_path, twice), {})


def _yaml(folder: Path, exceptions: Sequence[object]) -> Path:
    path = folder / "settings.yaml"
    path.write_text(json.dumps({"market": {"exceptions": exceptions}}))
    return path


def test_always_open_keeps_nothing_of_it(sessions: InstrumentSessions) -> None:
    own = InstrumentSessions(Market(calendar=Calendar.ALWAYS_OPEN))
    assert own.of("NSE:INFY").is_open(moment("2026-11-08 03:00"))


def test_shares_with_derivatives_end_in_the_auction(sessions: InstrumentSessions) -> None:
    kinds = {symbol: sessions.segment(symbol) for symbol in ("NSE:INFY", "BSE:INFY", "NSE:TINY", "NSE:UNKNOWN")}
    assert list(kinds.values()) == [S.AUCTION_EQUITY, S.AUCTION_EQUITY, S.EQUITY, S.EQUITY]


@pytest.mark.parametrize("segment", MarketSegment)
def test_every_day_of_the_lists_says_where_it_is_from(segment: MarketSegment) -> None:
    calendar, known = segment_calendar(segment), data_of(segment).known
    days = (known.until - known.since).days + 1

    for session in calendar.sessions(known.since, days):
        assert len(session.source) > 15
        assert session.known == (session.date != date(2026, 11, 8))
        assert session.opens < session.closes


def test_nothing_of_the_file_is_without_a_use() -> None:
    """A special day that the calendar would have just so is a mistake in one of the two."""
    for segment in MarketSegment:
        for day, special in data_of(segment).special.items():
            is_weekday = day.weekday() < 5
            if special.closed:
                assert is_weekday, f"{day} for {segment} is a weekend already"


def test_a_file_with_two_words_for_one_day_is_refused() -> None:
    with pytest.raises(ValidationError, match="one of them at most"):
        SpecialDay(days=(date(2026, 1, 1),), segments=(S.EQUITY,), closed=True, opens=time(17), source="x" * 20)


def test_windows_are_in_the_order_of_the_day() -> None:
    file: SessionFile = session_file()
    for ordinary in file.hours:
        kinds = [window.kind for window in ordinary.windows]
        assert kinds == sorted(kinds, key=list(WindowKind).index)
        assert ordinary.since <= date(2026, 12, 31)
        assert ordinary.windows[0].opens < ordinary.windows[-1].closes
        assert timedelta(0) < ordinary.cutoff_distance() < timedelta(hours=1)
