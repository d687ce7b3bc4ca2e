"""Ticks that are read a block at a time are those, and the complaints are those, of rows that are read one by one: the
same rows as CSV and as JSON lines, which are read one by one."""

import json
import pickle
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from durable_orders.trading.config.settings import Market
from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.ist import IST
from durable_orders.trading.market.feeds import RecordedFeed, ReplayFeed
from durable_orders.trading.market.files.reading import Reading, recorded_batches, recorded_ticks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.files.rows import Rows
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.ticks import LEVELS, Tick

MASTER = Instruments.shipped()
SESSIONS = InstrumentSessions(Market(), MASTER)
NAMES = ("timestamp", "symbol", "last_price", "volume", "bid", "ask")
SYMBOLS = ("NSE:INFY", "NFO:NIFTY25MAYFUT", "MCX:CRUDEOIL25MAYFUT")
PRICES = ("1500", "1500.05", "1500.10", "101.49999999999999", "0.1")
ODD = ("0", "", "-5", "nan", "x", "1,500.50", "1e3", " 7 ", "0.00001", "99999999999")
Cells = tuple[str, ...]


def read(file: Path, *, skip_bad: bool = True) -> tuple[list[Tick], ReadingReport]:
    report = ReadingReport()
    how = Reading(instruments=MASTER, sessions=SESSIONS, skip_bad=skip_bad)
    return list(recorded_ticks([file], how, report)), report


def both(folder: Path, rows: Sequence[Cells], names: Sequence[str] = NAMES) -> tuple[Path, Path]:
    made, lines = folder / "made.csv", folder / "made.jsonl"
    quoted = (",".join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    made.write_text("\n".join([",".join(names), *quoted]) + "\n")
    lines.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    return made, lines


def rows_of(seed: int, oddness: float) -> list[Cells]:
    """Three days of three symbols with pre-opens, evenings, moments out of order, and here and there an odd cell."""
    chance, at, rows = random.Random(seed), datetime(2025, 4, 28, 9, 5, tzinfo=IST).replace(tzinfo=None), list[Cells]()
    for number in range(2500):
        at += timedelta(seconds=chance.choice((0, 0.25, 1, 20, 40)))
        if number % 800 == 799:
            at = datetime.combine(at.date() + timedelta(days=1), at.replace(hour=9, minute=5).time())
        shown = at - timedelta(seconds=chance.choice((5, 90))) if chance.random() < oddness else at
        zone = "" if chance.random() < oddness else "+05:30"
        row = [shown.isoformat(" ") + zone, chance.choice(SYMBOLS), chance.choice(PRICES), str(number)]
        row += [chance.choice(PRICES), chance.choice(PRICES)]
        if chance.random() < oddness:
            row[chance.randrange(len(row))] = chance.choice(ODD)
        rows.append(tuple(row))
    return rows


@pytest.mark.parametrize("oddness", [0, 0.0005, 0.01])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_read_as_rows_are(tmp_path: Path, oddness: float, seed: int) -> None:
    rows = rows_of(seed, oddness)
    quick, slow = both(tmp_path, rows)

    (ticks, report), (expected, of_rows) = read(quick), read(slow)

    assert ticks == expected
    assert (report.rows, report.skipped, report.left_out, report.outside, report.notes) == (
        *(of_rows.rows, of_rows.skipped, of_rows.left_out, of_rows.outside, of_rows.notes),
    )


BOOK = tuple(
    f"{side}{number}_{what}"
    for side in ("bid", "ask")
    for number in range(1, LEVELS + 1)
    for what in ("price", "quantity")
)
NO_LEVEL = (("0", "0"), ("", ""), ("0", "5"), ("1400", "0"), ("", "0"))


def book_of(chance: random.Random, oddness: float, thinness: float) -> Cells:
    """Five levels around 1500; thin ones end early, odd ones have a cell that cannot be, or a level out of order."""
    cells = list[str]()
    for sign in (-1, 1):
        depth = chance.randint(0, LEVELS) if chance.random() < thinness else LEVELS
        for level in range(LEVELS):
            price = f"{1500 + sign * 0.05 * (level + 1):.2f}"
            cells += (price, str(chance.randint(1, 900))) if level < depth else chance.choice(NO_LEVEL)
    if chance.random() < oddness:
        cells[chance.randrange(len(cells))] = chance.choice((*ODD, "1500", "1499.95"))
    return tuple(cells)


@pytest.mark.parametrize("oddness", [0, 0.0005, 0.01])
@pytest.mark.parametrize("thinness", [0, 0.001, 0.3])
def test_order_books_are_read_in_blocks_as_row_by_row(tmp_path: Path, oddness: float, thinness: float) -> None:
    chance = random.Random(f"{oddness} {thinness}")
    rows = [(*row, *book_of(chance, oddness, thinness)) for row in rows_of(6, 0)]
    quick, slow = both(tmp_path, rows, (*NAMES, *BOOK))

    (ticks, report), (expected, of_rows) = read(quick), read(slow)

    assert ticks == expected
    assert (report.rows, report.skipped, report.notes) == (of_rows.rows, of_rows.skipped, of_rows.notes)
    assert sum(tick.depth is not None for tick in ticks) > len(ticks) // 2


@pytest.mark.parametrize("is_exact", [True, False], ids=["decimals", "floats"])
def test_a_book_of_plain_parquet_is_never_read_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_exact: bool
) -> None:
    """What makes five levels as quick as none: nothing plain is given back to be read again."""
    chance = random.Random(1)
    rows = [(*row, *book_of(chance, 0, 0)) for row in rows_of(6, 0) if "09:30" < row[0][11:16] < "15:00"]
    _, slow = both(tmp_path, rows, (*NAMES, *BOOK))
    expected, _ = read(slow)
    write_parquet(tmp_path / "made.parquet", rows, is_exact=is_exact)
    monkeypatch.setattr(Rows, "tick", None)

    ticks, _ = read(tmp_path / "made.parquet", skip_bad=False)

    assert ticks == expected
    assert pickle.loads(pickle.dumps(ticks)) == ticks  # noqa: S301
    assert {tick.depth for tick in ticks} == {tick.depth for tick in expected}


@pytest.mark.parametrize("thinness", [0, 0.002, 0.3])
@pytest.mark.parametrize("is_exact", [True, False], ids=["decimals", "floats"])
def test_order_books_of_parquet_are_those_of_rows(tmp_path: Path, thinness: float, is_exact: bool) -> None:
    """With levels that are not there, of no price or no quantity, and some out of order."""
    chance = random.Random(f"{thinness}")
    rows = [(*row, *book_of(chance, 0, thinness)) for row in rows_of(7, 0)]
    for number in range(0, len(rows), 611):
        place = len(NAMES) + 2 * chance.randrange(2 * LEVELS)
        rows[number] = (*rows[number][:place], "1502", *rows[number][place + 1 :])
    write_parquet(tmp_path / "made.parquet", rows, is_exact=is_exact)
    _, slow = both(tmp_path, rows, (*NAMES, *BOOK))

    (ticks, report), (expected, of_rows) = read(tmp_path / "made.parquet"), read(slow)

    assert ticks == expected
    assert report.skipped == of_rows.skipped
    assert report.skipped


def write_parquet(path: Path, rows: Sequence[Cells], *, is_exact: bool) -> None:
    """`is_exact` is as a recorder writes prices, else they are floats."""
    names = (*NAMES, *BOOK)
    price = pyarrow.decimal128(14, 4) if is_exact else pyarrow.float64()
    kinds = {"timestamp": pyarrow.timestamp("us", "+05:30"), "symbol": pyarrow.string(), "volume": pyarrow.int64()}
    kinds |= {name: pyarrow.int64() for name in names if name.endswith("quantity")}
    columns = [
        pyarrow.array([_cell(kinds.get(name, price), row[place]) for row in rows], kinds.get(name, price))
        for place, name in enumerate(names)
    ]
    parquet.write_table(pyarrow.table(columns, names=names), path)


def _cell(kind: pyarrow.DataType, cell: str) -> object:
    if pyarrow.types.is_timestamp(kind):
        return datetime.fromisoformat(cell)
    if cell == "":
        return None
    if pyarrow.types.is_decimal(kind):
        return Decimal(cell).quantize(Decimal("0.0001"))
    return cell if pyarrow.types.is_string(kind) else float(cell) if kind == pyarrow.float64() else int(cell)


def test_a_fault_is_met_behind_the_rows_before_it(tmp_path: Path) -> None:
    rows = rows_of(1, 0)
    rows[2200] = (*rows[2200][:2], "x", *rows[2200][3:])
    made, _ = both(tmp_path, rows)
    how, found = Reading(instruments=MASTER, sessions=SESSIONS), list[Tick]()

    with pytest.raises(InvalidTicks, match=r"made.csv: line 2202: last_price: must be a number, was 'x'"):
        found.extend(recorded_ticks([made], how, ReadingReport()))

    assert found
    assert found[-1].at < datetime.fromisoformat(rows[2200][0])


def test_line_breaks_in_cells_and_empty_lines_are_counted(tmp_path: Path) -> None:
    made = tmp_path / "made.csv"
    odd = '2025-04-29 09:15:00+05:30,NSE:INFY,"15\n00",5,,\n\n'
    made.write_text(
        ",".join(NAMES)
        + "\n"
        + odd
        + "2025-04-29 09:15:01+05:30,NSE:INFY,1500,x,,\n2025-04-29 09:15:02+05:30,NSE:INFY,1500,5,,\n"
    )

    _, report = read(made)

    assert [words.partition(": ")[2].partition(":")[0] for words in report.first.values()] == ["line 3", "line 5"]


PARQUET = {
    "decimals": (pyarrow.timestamp("us", "+05:30"), pyarrow.decimal128(12, 2), pyarrow.int64()),
    "floats": (pyarrow.timestamp("ms", "UTC"), pyarrow.float64(), pyarrow.float64()),
    "naive": (pyarrow.timestamp("ns"), pyarrow.float64(), pyarrow.int32()),
    "text": (pyarrow.string(), pyarrow.string(), pyarrow.string()),
}


@pytest.mark.parametrize("kinds", PARQUET.values(), ids=PARQUET.keys())
def test_parquet_of_every_kind_gives_the_ticks_of_csv(tmp_path: Path, kinds: tuple[pyarrow.DataType, ...]) -> None:
    rows = [tuple(cell.replace("101.49999999999999", "101.5") for cell in row) for row in rows_of(2, 0)]
    rows = [row if row[4] == "1500" else (*row[:4], "", row[5]) for row in rows]
    moment, price, units = kinds
    made: list[list[object]] = []
    for at, symbol, last, volume, bid, ask in rows:
        when = at if moment == pyarrow.string() else datetime.fromisoformat(at)
        if isinstance(when, datetime) and moment.tz is None:
            when = when.replace(tzinfo=None)
        prices = [None if not each else _as(price, each) for each in (last, bid, ask)]
        made.append([when, symbol, prices[0], _as(units, volume), *prices[1:]])
    types = (moment, pyarrow.string(), price, units, price, price)
    arrays = [pyarrow.array(cells, kind) for cells, kind in zip(zip(*made, strict=True), types, strict=True)]
    parquet.write_table(pyarrow.table(arrays, names=NAMES), tmp_path / "made.parquet")
    csv, _ = both(tmp_path, rows)

    assert read(tmp_path / "made.parquet")[0] == read(csv)[0]


def _as(kind: pyarrow.DataType, cell: str) -> object:
    if kind == pyarrow.string():
        return cell
    if pyarrow.types.is_decimal(kind):
        return Decimal(cell).quantize(Decimal("0.01"))
    return float(cell) if kind == pyarrow.float64() else int(float(cell))


def test_files_of_days_and_symbols_are_one_stream_in_the_order_of_time(tmp_path: Path) -> None:
    """Two days in a file for each symbol, as a recorder leaves them; ticks of one moment in the order of the files."""
    rows = rows_of(3, 0)
    whole, _ = both(tmp_path, rows)
    expected, _ = read(whole)
    folder = tmp_path / "days"
    for day in {row[0][:10] for row in rows}:
        (folder / day).mkdir(parents=True)
        for symbol in SYMBOLS:
            lines = [",".join(row) for row in rows if row[1] == symbol and row[0].startswith(day)]
            (folder / day / f"{symbol.replace(':', '_')}.csv").write_text("\n".join([",".join(NAMES), *lines]) + "\n")

    ticks, report = read(folder)

    assert [(tick.at, tick.symbol) for tick in ticks] == sorted(
        ((tick.at, tick.symbol) for tick in ticks), key=lambda each: each[0]
    )
    by_symbol = {symbol: [tick for tick in ticks if tick.symbol == symbol] for symbol in SYMBOLS}
    assert by_symbol == {symbol: [tick for tick in expected if tick.symbol == symbol] for symbol in SYMBOLS}
    assert report.rows == len(rows)


def test_a_recording_is_played_as_a_replay_of_all_of_it(tmp_path: Path) -> None:
    made, _ = both(tmp_path, rows_of(4, 0))
    how = Reading(instruments=MASTER, sessions=SESSIONS)
    feed = RecordedFeed(lambda: recorded_batches([made], how, ReadingReport()), SESSIONS)
    ticks, _ = read(made)

    replayed = ReplayFeed(ticks, 1.0, SESSIONS, rounds=1)

    assert feed.begins == ticks[0].at
    for _ in "twice":
        played = [(timed.tick, timed.session.opens) for timed in feed]
        assert played == [(timed.tick, timed.session.opens) for timed in replayed]


def test_how_much_was_read_is_told_up_to_the_end(tmp_path: Path) -> None:
    made, _ = both(tmp_path, rows_of(5, 0))
    told: list[float] = []
    how = Reading(instruments=MASTER, sessions=SESSIONS)

    batches = list(recorded_batches([made], how, ReadingReport(), told.append))

    assert len(batches) > 2
    assert told == sorted(told)
    assert told[-1] == 1
    assert {tick.at.tzinfo for batch in batches for tick in batch} == {IST}
