"""Ticks files: both layouts, both formats, and one clear line about every bad one."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.files.reading import Reading, recorded_ticks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.shipped import SHIPPED_SYMBOL, shipped_day
from durable_orders.trading.market.tick_files import read_ticks
from durable_orders.trading.market.ticks import Depth, Level, Tick

TICK = Decimal("0.05")
CANDLES = "datetime,open,high,low,close,volume\n"
FIRST = "2025-04-29 09:15:00+05:30,100,102,99,101,40\n"
SECOND = "2025-04-29 09:20:00+05:30,101,103,100,102,60\n"
TICKS = "timestamp,symbol,last_price\n"
ONE = "2025-04-29 09:15:00+05:30,NSE:INFY,1500.1\n"
BOOK = "timestamp,last_price,bid1_price,bid1_quantity,ask1_price,ask1_quantity\n"
BID = "2025-04-29 09:15:00+05:30,1500.2,1500.1,10"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "day.csv"


def read(file: Path, content: str, symbol: str | None = "NSE:INFY") -> list[Tick]:
    file.write_text(content)
    return read_ticks(file, symbol, TICK)


def test_ticks_are_taken_as_they_are(file: Path) -> None:
    content = (
        "timestamp,symbol,last_price,volume,bid,ask\n"
        "2025-04-29 09:15:00+05:30,NSE:INFY,1500.1,10,1500.05,1500.15\n"
        "2025-04-29T03:45:00.5Z,NSE:M&M,2900,25.0,,\n"
        "2025-04-29T03:45:00.5Z,NSE:M&M,2900.1,,,2900.2\n"
    )

    assert read(file, content, None) == [
        Tick("NSE:INFY", Decimal("1500.1"), moment("09:15:00"), 10, Decimal("1500.05"), Decimal("1500.15")),
        Tick("NSE:M&M", Decimal(2900), moment("09:15:00.500"), 25),
        Tick("NSE:M&M", Decimal("2900.1"), moment("09:15:00.500"), ask=Decimal("2900.2")),
    ]


def test_the_order_book_is_read_level_by_level(file: Path) -> None:
    sides = ("bid", "ask")
    header = ",".join(f"{side}{n}_price,{side}{n}_quantity" for side in sides for n in range(1, 6))
    bids, asks = "99.9,5,99.8,6,,,,,,", "100,7,100.1,8,100.2,9,100.3,10,100.4,11"
    rows = [f"2025-04-29 09:15:00+05:30,100,{bids},{asks}", f"2025-04-29 09:15:01+05:30,100,{','.join([''] * 20)}"]
    whole, none = read(file, "\n".join([f"timestamp,last_price,{header}", *rows, ""]))

    assert whole.depth == Depth(
        bids=(Level(Decimal("99.9"), 5), Level(Decimal("99.8"), 6)),
        asks=tuple(Level(100 + Decimal(n) / 10, 7 + n) for n in range(5)),
    )
    assert none.depth is None


def moment(time: str) -> datetime:
    return datetime.fromisoformat(f"2025-04-29 {time}+05:30")


def test_candles_are_walked_through(file: Path) -> None:
    ticks = read(file, CANDLES + FIRST + SECOND)

    assert len(ticks) == 40
    assert [str(ticks[step].last_price) for step in (0, 6, 13, 19, 20, 39)] == [
        "100.00",
        "99.00",
        "102.00",
        "101.00",
        "101.00",
        "102.00",
    ]
    assert (ticks[0].at, ticks[20].at, ticks[39].at) == (moment("09:15:00"), moment("09:20:00"), moment("09:24:45"))
    assert (ticks[0].volume, ticks[19].volume, ticks[39].volume) == (2, 40, 100)


def test_a_candle_time_without_a_zone_is_ist(file: Path) -> None:
    assert read(file, (CANDLES + FIRST + SECOND).replace("+05:30", "")) == read(file, CANDLES + FIRST + SECOND)


def test_the_length_of_candles_is_their_shortest_distance(file: Path) -> None:
    after_a_halt = SECOND.replace("09:20", "11:00") + SECOND.replace("09:20", "11:03")

    ticks = read(file, CANDLES + FIRST + after_a_halt)

    assert len(ticks) == 3 * 12
    assert ticks[11].at == moment("09:17:45")


def test_a_file_of_several_symbols_names_each(file: Path) -> None:
    header = CANDLES.replace("\n", ",symbol\n")
    rows = [row.replace("\n", f",{name}\n") for row in (FIRST, SECOND) for name in ("NSE:INFY", "NSE:TCS")]

    ticks = read(file, header + "".join(rows), None)

    assert [tick.symbol for tick in ticks] == ["NSE:INFY", "NSE:TCS"] * 40


def test_the_file_outweighs_the_setting_where_both_name_a_symbol(file: Path) -> None:
    (tick,) = read(file, TICKS + ONE, "NSE:TCS")

    assert tick.symbol == "NSE:INFY"


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + (TICKS + ONE + "\n").replace("\n", "\r\n").encode())

    assert len(read_ticks(file, None, TICK)) == 1


BAD_FILES = {
    "empty": ("", "day.csv: is empty"),
    "blank": ("\n\n", "day.csv: is empty"),
    "header only": (CANDLES, "day.csv: has a header but no rows"),
    "unknown header": (
        "a,b\n1,2\n",
        "day.csv: header: must be timestamp,last_price"
        "[,symbol,volume,bid,ask,bid1_price,bid1_quantity to ask5_quantity] or datetime",
    ),
    "column twice": (CANDLES.replace("\n", ",open\n") + FIRST, "day.csv: header: open: must be there only once"),
    "a level without a price": (
        BOOK + BID + ",,20\n",
        "day.csv: line 2: ask1_price: must be there, its ask1_quantity is",
    ),
    "a level without units": (BOOK + BID + ",1500.3,\n", "day.csv: line 2: ask1_quantity: must be a number, was ''"),
    "a crossed book": (BOOK + BID + ",1500,20\n", "day.csv: line 2: depth: the best bid of 1500.1 must be below"),
    "half a line": (CANDLES + FIRST + SECOND[:29], "day.csv: line 3: high: is missing, the line is half-written"),
    "too few fields": (CANDLES + FIRST[:-4] + "\n", "day.csv: line 2: volume: is missing, the line is half-written"),
    "too many fields": (TICKS + "1,2,3,4\n", "day.csv: line 2: last_price: must be the last of 3 fields, there are 4"),
    "open quote": (TICKS + '"2025\n', "day.csv: line 2: must be CSV"),
    "no number": (CANDLES + FIRST.replace("102", "1o2"), "day.csv: line 2: high: must be a number, was '1o2'"),
    "no time": (CANDLES + FIRST.replace("09:15", "9h15"), "day.csv: line 2: datetime: must be a time as in"),
    "candles out of order": (
        CANDLES + FIRST + SECOND.replace("09:20", "09:25") + SECOND,
        "day.csv: line 4: datetime: must be later than the candle before",
    ),
    "a candle twice": (CANDLES + FIRST + FIRST, "day.csv: line 3: datetime: must be later than the candle before it"),
    "ticks out of order": (
        TICKS + ONE + ONE.replace("09:15", "09:14"),
        "day.csv: line 3: timestamp: must not be earlier",
    ),
    "candle price zero": (CANDLES + FIRST.replace("99", "0"), "day.csv: line 2: low: must be above 0, was '0'"),
    "candle price negative": (CANDLES + FIRST.replace("99", "-99"), "day.csv: line 2: low: must be above 0, was '-99'"),
    "candle price NaN": (CANDLES + FIRST.replace("101", "nan"), "day.csv: line 2: close: must be a finite number"),
    "candle price infinite": (CANDLES + FIRST.replace("102", "inf"), "day.csv: line 2: high: must be a finite number"),
    "tick price negative": (
        TICKS + ONE.replace("1500", "-1500"),
        "day.csv: line 2: NSE:INFY: last_price: must be above 0",
    ),
    "tick price NaN": (TICKS + ONE.replace("1500.1", "NaN"), "day.csv: line 2: NSE:INFY: last_price: must be a finite"),
    "tick price infinite": (
        TICKS + ONE.replace("1500.1", "inf"),
        "line 2: NSE:INFY: last_price: must be a finite number",
    ),
    "high below low": (CANDLES + FIRST.replace("102", "98"), "day.csv: line 2: high: must not be below the low of 99"),
    "open outside": (CANDLES + FIRST.replace("100", "98.95"), "day.csv: line 2: open: must lie between the low of 99"),
    "close outside": (CANDLES + FIRST.replace("101", "103"), "day.csv: line 2: close: must lie between the low of 99"),
    "negative volume": (CANDLES + FIRST.replace(",40", ",-1"), "day.csv: line 2: volume: must be a whole number"),
    "half a share": (CANDLES + FIRST.replace(",40", ",0.5"), "day.csv: line 2: volume: must be a whole number"),
    "endless volume": (CANDLES + FIRST.replace(",40", ",1e999999"), "day.csv: line 2: volume: must be a whole number"),
    "symbol not one": (TICKS + ONE.replace("NSE:INFY", "infy"), "day.csv: line 2: symbol: must be an exchange and a"),
    "one candle": (CANDLES + FIRST, "day.csv: datetime: must hold two candles of one symbol"),
    "candles of a week": (
        CANDLES + FIRST + SECOND.replace("04-29 09:20", "05-06 09:15"),
        "must be 1 to 60 minutes apart, or a day, were 7 days",
    ),
    "candles of seconds": (CANDLES + FIRST + SECOND.replace("09:20:00", "09:15:30"), "must be 1 to 60 minutes apart"),
}


@pytest.mark.parametrize(("content", "complaint"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_the_place_and_the_rule(file: Path, content: str, complaint: str) -> None:
    with pytest.raises(InvalidTicks) as refused:
        read(file, content)

    assert complaint in str(refused.value)
    assert str(refused.value).startswith("day.csv: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [CANDLES + FIRST + SECOND, TICKS + ONE.replace("NSE:INFY", "")])
def test_a_file_of_nobody_is_refused(file: Path, content: str) -> None:
    with pytest.raises(InvalidTicks, match=r"day.csv: line 2: symbol: must be in the file, or set as market.symbol"):
        read(file, content, None)


def test_every_truncation_of_a_file_is_refused_or_told_unless_it_ends_with_a_line(file: Path) -> None:
    content = CANDLES + FIRST + SECOND + SECOND.replace("09:20", "09:25")
    told = 0
    for end in range(len(content)):
        if content[:end].count("\n") >= 3 and content[:end].endswith("\n"):
            continue
        file.write_text(content[:end])
        report = ReadingReport()
        try:
            list(recorded_ticks([file], Reading("NSE:INFY"), report))
        except InvalidTicks:
            continue
        else:
            assert "day.csv: the last line has no line break, and was taken as whole" in report.notes
            told += 1
    assert told < 10


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    for name in ("absent.csv", "absent.parquet"):
        with pytest.raises(InvalidTicks, match=rf"^{name}: cannot be read: No such file or directory$"):
            read_ticks(tmp_path / name, "NSE:INFY", TICK)


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    file.write_bytes(TICKS.encode() + b"\xff\xfe\n")

    with pytest.raises(InvalidTicks, match=r"^day.csv: line 2: must be UTF-8 text$"):
        read_ticks(file, None, TICK)


def store(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_candles_in_parquet_give_the_same_ticks_as_in_csv(tmp_path: Path) -> None:
    rows = [line.split(",") for line in shipped_day().read_text().splitlines()]
    columns: dict[str, Any] = {name: list(cells) for name, *cells in zip(*rows, strict=True)}
    columns["datetime"] = [datetime.fromisoformat(cell) for cell in columns["datetime"]]
    for name in ("open", "high", "low", "close"):
        columns[name] = [float(cell) for cell in columns[name]]
    columns["volume"] = [int(cell) for cell in columns["volume"]]

    path = store(tmp_path / "day.parquet", columns)

    assert read_ticks(path, SHIPPED_SYMBOL, TICK) == read_ticks(shipped_day(), SHIPPED_SYMBOL, TICK)


def test_ticks_in_parquet_keep_exact_prices_and_cut_nanoseconds(tmp_path: Path) -> None:
    at = datetime(2025, 4, 29, 3, 45, tzinfo=UTC)
    nanoseconds = [1745898300_000_000_001, 1745898300_500_000_999]
    path = store(
        tmp_path / "ticks.parquet",
        {
            "timestamp": pyarrow.array(nanoseconds, pyarrow.timestamp("ns", "UTC")),
            "last_price": [Decimal("1500.05"), Decimal("1500.10")],
            "bid": [1500.0, None],
            "volume": pyarrow.array([10.0, None]),
        },
    )

    first, second = read_ticks(path, "NSE:INFY", TICK)

    assert first == Tick("NSE:INFY", Decimal("1500.05"), at, 10, Decimal(1500))
    assert second == Tick("NSE:INFY", Decimal("1500.10"), at + timedelta(milliseconds=500))
    assert second.at.tzinfo is IST


@pytest.mark.parametrize(
    ("prices", "complaint"),
    [
        ([100.0, float("nan")], "^day.parquet: row 2: NSE:INFY: last_price: must be a finite number, was NaN$"),
        ([100.0, None], "^day.parquet: row 2: last_price: must be a number, was ''$"),
        ([], "^day.parquet: has a header but no rows$"),
    ],
)
def test_bad_rows_of_parquet_are_refused_by_their_number(
    tmp_path: Path, prices: list[float | None], complaint: str
) -> None:
    columns = {
        "timestamp": pyarrow.array([datetime(2025, 4, 29, tzinfo=UTC)] * len(prices), pyarrow.timestamp("us", "UTC")),
        "last_price": pyarrow.array(prices, pyarrow.float64()),
    }

    with pytest.raises(InvalidTicks, match=complaint):
        read_ticks(store(tmp_path / "day.parquet", columns), "NSE:INFY", TICK)


@pytest.mark.parametrize("kept", [0, 3, 200])
def test_half_of_a_parquet_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = store(tmp_path / "day.parquet", {"timestamp": ["2025-04-29 09:15:00+05:30"], "last_price": ["1"]})
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(InvalidTicks, match=r"^day.parquet: cannot be read: .+$") as refused:
        read_ticks(path, "NSE:INFY", TICK)
    assert "\n" not in str(refused.value)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(InvalidTicks, match=r"day.parquet: .*pip install 'durable-orders\[parquet\]'"):
        read_ticks(tmp_path / "day.parquet", "NSE:INFY", TICK)
