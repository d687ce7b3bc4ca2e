"""Data files as their sources give them: the same figures from each layout, and what is told of it."""

from collections.abc import Iterable
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.files.reading import Reading, recorded_ticks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.recorded_bars import earlier_ticks
from durable_orders.trading.market.ticks import Tick
from tests.trading.market.made_files import (
    DAYS,
    FIVE,
    FIVE_MINUTES,
    HEADER,
    ONE_DAY,
    SYMBOL,
    TICK_FILES,
    UDIFF,
    Content,
    aware,
    candles_in_parquet,
    kite,
    lines,
    naive,
    stamped,
    write,
)

MASTER = Instruments.shipped()
SESSIONS = InstrumentSessions(Market(), MASTER)


def read(paths: Path | Iterable[Path], symbol: str | None = SYMBOL, **how: object) -> tuple[list[Tick], ReadingReport]:
    report = ReadingReport()
    wanted = {"instruments": MASTER, "sessions": SESSIONS} | how
    files = [paths] if isinstance(paths, Path) else paths
    return list(recorded_ticks(files, Reading(symbol, **wanted), report)), report  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[Tick]:
    ticks, _ = read(write(tmp_path_factory.mktemp("kite"), *FIVE_MINUTES["kite"]))
    assert [len(ticks), ticks[0].at, ticks[-1].at] == [60, aware("09:15"), aware("09:29") + timedelta(seconds=45)]
    assert [str(ticks[n].last_price) for n in (0, 6, 13, 19, 20, 40, 59)] == [
        "100.0",
        "99.0",
        "102.0",
        "101.5",
        "101.5",
        "102.0",
        "98.5",
    ]
    assert [ticks[n].volume for n in (19, 39, 59)] == [40, 1088, 1148]
    return ticks


@pytest.mark.parametrize(("name", "content"), FIVE_MINUTES.values(), ids=FIVE_MINUTES.keys())
def test_candles_of_every_layout_give_the_same_figures(
    tmp_path: Path, expected: list[Tick], name: str, content: Content
) -> None:
    ticks, _ = read(write(tmp_path, name, content))

    assert ticks == expected


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("zoned", [False, True])
def test_parquet_gives_the_same_figures(tmp_path: Path, expected: list[Tick], *, narrow: bool, zoned: bool) -> None:
    times = [aware(row[0]) if zoned else aware(row[0]).replace(tzinfo=None) for row in FIVE]

    ticks, _ = read(candles_in_parquet(tmp_path, times, narrow=narrow))

    assert ticks == expected


def test_several_files_and_a_folder_give_the_same_figures(tmp_path: Path, expected: list[Tick]) -> None:
    (tmp_path / "both").mkdir()
    paths = []
    for number, row in enumerate((FIVE[:2], FIVE[2:])):
        more = [*row, ("09:30", 98, 99, 97, 98, 0)] if number else row
        content = lines(HEADER, more, lambda t, *p: f"{stamped(t)},{','.join(map(str, p))}")
        paths.append(write(tmp_path / "both", f"{1 - number}.csv", content))
    write(tmp_path / "both", "notes.md", "left alone")

    for given in (tmp_path / "both", paths):
        ticks, _ = read(given)
        assert ticks[:60] == expected
    assert any(words.startswith("left out of the folder both: notes.md") for words in read(tmp_path / "both")[1].notes)
    with pytest.raises(InvalidTicks, match="candles of NSE:INFY at 2025-04-29 09:15 are in two files"):
        read([paths[0], paths[0]])


def test_a_file_in_a_folder_is_whose_its_name_says(tmp_path: Path) -> None:
    for name in ("NSE_INFY.csv", "TCS.csv"):
        write(tmp_path, name, kite(HEADER, stamped))

    ticks, report = read(tmp_path, None)

    assert {tick.symbol for tick in ticks} == {"NSE:INFY", "NSE:TCS"}
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)
    assert "TCS.csv was taken for NSE:TCS by its name" in report.notes
    write(tmp_path, "INFY.csv", kite(HEADER, stamped))
    with pytest.raises(InvalidTicks, match="symbol: must say which of NSE:INFY, BSE:INFY it is, was 'INFY'"):
        read(tmp_path / "INFY.csv", None)


@pytest.mark.parametrize(("name", "content"), ONE_DAY.values(), ids=ONE_DAY.keys())
def test_a_daily_candle_lasts_from_the_opening_to_the_close(tmp_path: Path, name: str, content: Content) -> None:
    ticks, _ = read(write(tmp_path, name, content))

    assert len(ticks) == 3 * 25
    for number, (day, opening, high, low, close, volume) in enumerate(DAYS):
        own = ticks[number * 25 : number * 25 + 25]
        assert {tick.at.date().isoformat() for tick in own} == {day}
        assert (own[0].at.time(), own[-1].at.time()) == (time(9, 15), time(15, 29, 45))
        prices = [tick.last_price for tick in own]
        assert [prices[0], max(prices), min(prices), prices[-1]] == [
            Decimal(each) for each in (opening, high, low, close)
        ]
        assert own[-1].volume == volume


@pytest.mark.parametrize(("name", "content"), TICK_FILES.values(), ids=TICK_FILES.keys())
def test_ticks_of_every_layout_give_the_same_figures(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str, content: Content
) -> None:
    ticks, _ = read(write(tmp_path, name, content), None)

    assert ticks == read(write(tmp_path_factory.mktemp("own"), *TICK_FILES["own"]), None)[0]
    assert [(tick.symbol, str(tick.last_price), tick.volume) for tick in ticks] == [
        (SYMBOL, "100.05", 10),
        (SYMBOL, "100.2", 25),
    ]
    first, second = (tick.depth for tick in ticks)
    assert first is not None
    assert second is not None
    assert [len(first.bids), len(first.asks), len(second.bids), len(second.asks)] == [1, 1, 1, 0]


def test_without_volume_there_is_none(tmp_path: Path) -> None:
    content = lines(HEADER.removesuffix(",volume"), FIVE, lambda t, *p: f"{stamped(t)},{','.join(map(str, p[:4]))}")

    ticks, _ = read(write(tmp_path, "a.csv", content))

    assert {tick.volume for tick in ticks} == {0}


def test_the_last_hour_of_a_session_is_a_quarter(tmp_path: Path) -> None:
    clocks = [f"{hour:02}:15" for hour in range(9, 16)]
    content = lines(HEADER, [(t,) for t in clocks], lambda t: f"{stamped(t)},1220,1230,1210,1222.75,0")

    ticks, _ = read(write(tmp_path, "a.csv", content), "NSE:SBIN")

    last = [tick for tick in ticks if tick.at >= aware("15:15")]
    assert (len(last), last[-1].at) == (60, aware("15:30") - timedelta(seconds=15))
    assert [str(each.last_price) for each in (last[0], last[-1])] == ["1220.00", "1222.75"]
    assert len(ticks) == 6 * 240 + 60


def test_what_is_left_out_is_told_once(tmp_path: Path) -> None:
    content = kite(f"{HEADER},SMA,RSI", naive, after=",1,2")

    report = read(write(tmp_path, "a.csv", content))[1]

    assert report.lines() == [
        "times without a zone were taken as IST (--zone says otherwise)",
        "columns that are not needed were left out: SMA, RSI",
    ]


def test_rows_outside_sessions_are_told_with_the_reason(tmp_path: Path) -> None:
    outside = [
        "2025-10-21 09:15",
        "2025-10-22 10:00",
        "2025-10-25 10:00",
        "2025-10-23 09:01",
        "2025-10-23 08:00",
        "2025-10-23 15:30",
    ]
    inside = ["2025-10-20 09:15", "2025-10-20 09:20"]
    content = lines(HEADER, [(t,) for t in sorted(inside + outside)], lambda t: f"{t}:00+05:30,100,100,100,100,1")

    ticks, report = read(write(tmp_path, "a.csv", content))

    assert len(ticks) == 40
    assert report.outside == {
        "outside the hour of Muhurat": 1,
        "on a holiday": 1,
        "on a weekend": 1,
        "in the pre-open": 1,
        "before the opening": 1,
        "in the evening, after the close": 1,
    }
    with pytest.raises(InvalidTicks, match=r"no tick lies in a session.*25 Oct 2025 10:00 IST, on a weekend"):
        read(
            write(
                tmp_path, "b.csv", lines(HEADER, [("10:00",), ("10:05",)], lambda t: f"2025-10-25 {t}+05:30,1,1,1,1,1")
            )
        )


def test_a_zone_is_never_guessed(tmp_path: Path, expected: list[Tick]) -> None:
    path = write(
        tmp_path, "a.csv", kite(HEADER, lambda t: f"{aware(t) - timedelta(hours=5, minutes=30):%Y-%m-%d %H:%M}")
    )

    with pytest.raises(
        InvalidTicks, match=r"of the first 3, 0 lie in a session as IST and 3 as UTC: say which with --zone"
    ):
        read(path)
    assert read(path, zone=ZoneInfo("UTC"))[0] == expected


def test_a_day_and_a_month_are_never_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", f"{HEADER}\n04/03/2025,1,1,1,1,1\n05/03/2025,1,1,1,1,1\n")

    with pytest.raises(InvalidTicks, match=r"line 2: date: may be of two days, say which with --dates day-first or"):
        read(path)
    assert {tick.at.month for tick in read(path, day_first=True)[0]} == {3}


ROWS = f"{stamped('09:15')},100,102,99,101,40\n{stamped('09:20')},101,103,100,102,60\n"


def test_rows_that_cannot_be_are_an_error_or_counted(tmp_path: Path) -> None:
    bad = (
        f"{stamped('09:25')},100,1o2,99,101,1\n{stamped('09:30')},100,98,99,100,1\n{stamped('09:35')},100,9,99,100,1\n"
    )
    path = write(tmp_path, "a.csv", f"{HEADER}\n{ROWS}{bad}")

    with pytest.raises(InvalidTicks, match=r"^a.csv: line 4: high: must be a number, was '1o2'$"):
        read(path)
    ticks, report = read(path, skip_bad=True)

    assert len(ticks) == 40
    assert report.lines() == [
        "rows skipped that cannot be: 3 (2 high: must not be below the low, 1 high: must be a number)",
        "the first of them: a.csv: line 4: high: must be a number, was '1o2'",
    ]


def ticks_at(*moments: str) -> str:
    return "timestamp,last_price\n" + "".join(f"{at}+05:30,{n}\n" for n, at in enumerate(moments, 100))


@pytest.mark.parametrize("wrong", ["2026-04-29 10:00", "2026-04-29 21:00"], ids=["in a session", "in none"])
@pytest.mark.parametrize("place", [0, 2])
def test_one_wrong_date_does_not_cost_the_ticks_after_it(tmp_path: Path, wrong: str, place: int) -> None:
    right = ["2025-04-29 10:00", "2025-04-29 10:02", "2025-04-29 10:04", "2025-04-30 10:00", "2025-04-30 10:01"]
    path = write(tmp_path, "a.csv", ticks_at(*right[:place], wrong, *right[place:]))

    ticks, report = read(path, skip_bad=True)

    assert [f"{tick.at:%Y-%m-%d %H:%M}" for tick in ticks] == right
    assert report.skipped.total() + report.outside.total() == 1


def test_ticks_out_of_order_are_counted_by_the_rule_alone(tmp_path: Path) -> None:
    minutes = ("10:05", "10:04", "10:06", "10:05", "10:07")
    path = write(tmp_path, "a.csv", ticks_at(*(f"2025-04-29 {at}" for at in minutes)))

    ticks, report = read(path, skip_bad=True)

    assert [tick.at.minute for tick in ticks] == [5, 6, 7]
    assert report.skipped == {"timestamp: must not be earlier than the tick before it": 2}


def test_what_is_left_out_of_the_history_is_told(tmp_path: Path) -> None:
    history = write(tmp_path, "old.csv", ticks_at("2025-04-28 10:00", "2025-04-28 21:00", "2025-04-29 10:00"))
    played, _ = read(write(tmp_path, "new.csv", ticks_at("2025-04-29 09:30")))
    told = ReadingReport()

    earlier = earlier_ticks(Market(history=history, symbol=SYMBOL), MASTER, SESSIONS, played[0].at, told)

    assert [tick.at.day for tick in earlier] == [28]
    assert told.lines() == [
        "old.csv, the history: rows left out, outside the sessions of their symbol: 1 "
        "(1 in the evening, after the close)",
        "old.csv, the history: ticks left out, not from before the recording: 1",
    ]


def test_an_unknown_symbol_is_an_error(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.csv", f"{HEADER},symbol\n{ROWS.replace('40', '40,NSE:INFI').replace('60', '60,NSE:INFI')}"
    )

    with pytest.raises(
        InvalidTicks, match=r"line 2: symbol: must be in the instrument master \(did you mean NSE:INFY\? "
    ):
        read(path)


def test_a_future_of_the_exchange_s_own_file_is_counted_in_units(tmp_path: Path) -> None:
    row = "2025-04-29,2025-04-29,FO,NSE,IDF,57133,,NIFTY,,NIFTY25MAYFUT,24370.00,24442,24290,24400.00,24400,{},75\n"
    untraded = row.replace("57133", "57502").replace("NIFTY25MAYFUT", "NIFTY25MAY24400PE").replace("24370.00", "0.00")
    path = write(tmp_path, "a.csv", f"{UDIFF}\n{row.format(120)}{untraded.format(0)}")

    ticks, report = read(path, None)

    assert (ticks[-1].symbol, ticks[-1].volume) == ("NFO:NIFTY25MAYFUT", 120 * 75)
    assert report.left_out == {"not traded": 1}


def test_contracts_of_the_older_file_are_named_as_kite_names_them(tmp_path: Path) -> None:
    header = "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,CONTRACTS,TIMESTAMP,"
    contracts = (
        "FUTIDX,NIFTY,30-May-2024,0,XX",
        "OPTIDX,NIFTY,30-May-2024,22500,CE",
        "OPTIDX,NIFTY,09-May-2024,22500,PE",
    )
    rows = [f"{each},100,100,100,100,3,02-MAY-2024," for each in (*contracts, "OPTSTK,TCS,30-May-2024,4000,CE")]
    path = write(tmp_path, "a.csv", "\n".join([header, *rows, ""]))

    with pytest.raises(InvalidTicks, match=r"SYMBOL: must be in the instrument master .* was 'NFO:TCS24MAY4000CE'"):
        read(path, None, instruments=Instruments.shipped())
    ticks, _ = read(path, None, instruments=Instruments.shipped(), skip_bad=True)

    assert {tick.symbol: tick.volume for tick in ticks} == {
        "NFO:NIFTY24MAYFUT": 75,
        "NFO:NIFTY24MAY22500CE": 75,
        "NFO:NIFTY2450922500PE": 75,
    }


TICKER = "timestamp,symbol,last_price,bid,ask,bid1_price,bid1_quantity,ask1_price,ask1_quantity"


def ticks_of(folder: Path, *rows: str, **how: object) -> tuple[list[Tick], ReadingReport]:
    return read(write(folder, "t.csv", "\n".join([TICKER, *(f"2025-04-29 {row}" for row in rows), ""])), None, **how)


def test_prices_of_nothing_are_not_known(tmp_path: Path) -> None:
    ticks, report = ticks_of(tmp_path, "09:15:01,NSE:INFY,0,0,0,,,,", "09:15:02,NSE:INFY,100,0,100.5,0.0,0,100.5,3")

    assert [(tick.bid, tick.ask, tick.depth is not None and tick.depth.bids) for tick in ticks] == [
        (None, Decimal("100.5"), ())
    ]
    assert report.left_out == {"without a last price": 1}


def test_symbols_a_moment_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    ticks, _ = ticks_of(
        tmp_path, "09:15:03,NSE:INFY,100,,,,,,", "09:15:01,NSE:TCS,200,,,,,,", "09:15:02,NSE:TCS,201,,,,,,"
    )

    assert [int(tick.last_price) for tick in ticks] == [200, 201, 100]
    with pytest.raises(InvalidTicks, match="line 3: timestamp: must be at most 60 s earlier than another symbol's"):
        ticks_of(tmp_path, "09:17:03,NSE:INFY,100,,,,,,", "09:15:01,NSE:TCS,200,,,,,,")
    with pytest.raises(InvalidTicks, match="line 3: timestamp: must not be earlier than the tick before it"):
        ticks_of(tmp_path, "09:15:03,NSE:INFY,100,,,,,,", "09:15:02,NSE:INFY,200,,,,,,")


def test_a_crossed_book_of_the_pre_open_is_left_out_and_one_of_the_day_is_an_error(tmp_path: Path) -> None:
    crossed = "NSE:INFY,100,,,101,5,99,5"
    ticks, report = ticks_of(tmp_path, f"09:05:01,{crossed}", "09:15:02,NSE:INFY,100,,,,,,")

    assert [tick.at.time() for tick in ticks] == [time(9, 15, 2)]
    assert report.outside == {"in the pre-open": 1}
    assert "crossed order books outside continuous trading were left out" in report.notes
    with pytest.raises(InvalidTicks, match=r"line 2: depth: the best bid of 101 must be below the best ask"):
        ticks_of(tmp_path, f"09:16:01,{crossed}")
