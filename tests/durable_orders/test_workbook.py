"""`journal --output day.xlsx`: what a spreadsheet finds in it."""

import io
import json
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet
import pytest

from durable_orders.cli import workbook
from durable_orders.cli.journal_output import Format
from durable_orders.cli.parquet import write_parquet
from durable_orders.cli.positions_output import write_positions
from durable_orders.portfolio import Portfolio, PositionLine, StrategyLine, StrategyResult, totals
from durable_orders.trading.ledger.journal import JournalLine
from durable_orders.trading.orders.order import Mode, OrderType, Product, Side, Status, Validity
from tests.durable_orders.program import once_started

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
AT = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
DAY_IN_EXCEL = 46349 + (9 * 60 + 30) / 1440
"""23 November 2026, 9:30, in days since the end of 1899."""


def line(number: int, reasons: Sequence[str] = (), **changes: Any) -> JournalLine:
    content: dict[str, Any] = {
        "at": AT,
        "account": "paper",
        "order_id": f"order:paper:n{number}",
        "client_order_id": f"n{number}",
        "broker_order_id": None,
        "trade_id": None,
        "mode": Mode.PAPER,
        "strategy": "s",
        "symbol": "NSE:INFY",
        "side": Side.BUY,
        "product": Product.MIS,
        "order_type": OrderType.LIMIT,
        "validity": Validity.DAY,
        "quantity": 10,
        "price": Decimal("1500.05"),
        "trigger_price": None,
        "filled_quantity": 0,
        "fill_price": None,
        "realized_pnl": None,
        "charges": None,
        "status": Status.REJECTED,
        "tag": "",
        "reason": "",
        "reasons": tuple(reasons),
    }
    return JournalLine(**{**content, **changes})


def sheets(content: bytes) -> dict[str, list[list[str]]]:
    """The cells of each sheet, by its name, as a spreadsheet reads them; one of a formula is shown as that."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
        return {
            name: _rows(ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")))  # noqa: S314
            for number, name in enumerate(names, 1)
        }


def _rows(sheet: ElementTree.Element) -> list[list[str]]:
    return [[_cell(cell) for cell in row] for row in sheet.iter(f"{SHEET}row")]


def _cell(cell: ElementTree.Element) -> str:
    if cell.find(f"{SHEET}f") is not None:
        return "FORMULA"
    return "".join(cell.itertext())


def written(lines: Sequence[JournalLine]) -> dict[str, list[list[str]]]:
    file = io.BytesIO()
    assert workbook.write_workbook(lines, file) == len(lines)
    return sheets(file.getvalue())


def test_every_line_is_a_row_with_all_reasons_and_numbers_are_numbers() -> None:
    fill: dict[str, Any] = {
        "trade_id": "t1",
        "filled_quantity": 10,
        "fill_price": Decimal("1500.05"),
        "status": Status.FILLED,
    }
    money: dict[str, Any] = {"realized_pnl": Decimal("-12.5"), "charges": Decimal("1.25")}
    found = written([line(1, ["LOT_SIZE: a", "TICK_SIZE: b"]), line(2, **fill, **money)])
    header, refused, filled = found["journal"]
    assert header == [title for title, _ in workbook.FILLS]
    assert refused[-1] == "LOT_SIZE: a; TICK_SIZE: b"
    assert float(refused[0]) == pytest.approx(DAY_IN_EXCEL)
    assert filled[1:8] == ["n2", "s", "NSE:INFY", "BUY", "10", "10", "1500.05"]
    assert dict(found["totals"][1:4]) == {
        "fills": "1",
        "realized (rupees, before charges)": "-12.5",
        "charges (rupees)": "1.25",
    }


def test_what_a_strategy_says_is_never_a_formula() -> None:
    [_, row] = written([line(1, ["=cmd()"], client_order_id="=1+1")])["journal"]
    assert row[1] == "=1+1"
    assert "FORMULA" not in row


def test_more_than_a_sheet_holds_goes_on_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    found = written([line(number) for number in range(5)])
    assert [len(rows) for rows in found.values()] == [3, 3, 2, 5]
    assert list(found) == ["journal", "journal 2", "journal 3", "totals"]


def test_the_end_of_the_name_says_that_it_is_a_workbook(tmp_path: Path) -> None:
    program, file = once_started(tmp_path / "home"), tmp_path / "day.xlsx"
    answer = program.here("journal", "--output", str(file))
    assert (answer.code, answer.out) == (0, "")
    assert list(sheets(file.read_bytes())) == ["journal", "totals"]
    events = program.here("journal", "--events", "--output", str(file))
    assert (events.code, list(sheets(file.read_bytes()))) == (0, ["events", "totals"])
    refused = program.here("journal", "--format", "xlsx")
    assert "xlsx is a workbook, and needs --output FILE.xlsx" in refused.error


def test_parquet_has_amounts_as_decimals_and_times_in_ist() -> None:
    lines = [line(1, ["LOT_SIZE: odd", "TICK_SIZE: off"]), line(2, fill_price=Decimal("1500.1234"), filled_quantity=10)]
    file = io.BytesIO()
    assert write_parquet(iter(lines), file) == 2
    told = pyarrow.parquet.read_table(io.BytesIO(file.getvalue()))
    first, second = told.to_pylist()
    assert (first["price"], first["fill_price"], first["reasons"]) == (
        *(Decimal("1500.05"), None),
        "LOT_SIZE: odd; TICK_SIZE: off",
    )
    assert (second["fill_price"], second["filled_quantity"], second["side"]) == (Decimal("1500.1234"), 10, "BUY")
    assert (str(told.schema.field("at").type), first["at"]) == ("timestamp[us, tz=Asia/Kolkata]", AT)
    empty = io.BytesIO()
    assert write_parquet(iter([]), empty) == 0
    assert pyarrow.parquet.read_table(io.BytesIO(empty.getvalue())).column_names == told.column_names


def test_rows_are_what_a_data_frame_takes() -> None:
    row = line(1, ["a", "b"]).as_row()
    assert (row["side"], row["price"], row["reasons"], row["at"]) == ("BUY", Decimal("1500.05"), "a; b", AT)
    assert type(row["status"]) is str


def test_positions_are_a_workbook_parquet_and_csv_too(tmp_path: Path) -> None:
    held = position_line(realized_pnl=Decimal("-12.5"), strategies={"breakout": 75, "=cmd()": -1})
    unknown = position_line(symbol="NSE:TCS", last_price=None, unrealized_pnl=None, day_pnl=None, at_broker=10)
    files = {shape: tmp_path / f"held.{shape}" for shape in ("xlsx", "parquet", "csv", "json")}
    for shape, file in files.items():
        assert write_positions(portfolio(held, unknown), Format(shape), file) == 2
    book = sheets(files["xlsx"].read_bytes())
    [names, first, second] = book["positions"]
    assert (names[:4], first[1], first[3]) == (["account", "symbol", "product", "quantity"], "NSE:INFY", "10")
    assert "breakout 75; =cmd() -1" in first
    assert "FORMULA" not in first
    assert "NSE:TCS" in second
    assert dict(book["totals"][:1])["realized pnl"] == "-12.5"
    told = pyarrow.parquet.read_table(files["parquet"]).to_pylist()
    assert [row["realized_pnl"] for row in told] == [Decimal("-12.5"), Decimal(0)]
    assert (told[0]["at_broker"], told[1]["at_broker"], told[1]["last_price"]) == (None, 10, None)
    header, *rows = files["csv"].read_text().splitlines()
    assert (header.split(",")[:2], len(rows)) == (["account", "symbol"], 2)
    assert ",-12.50," in rows[0]
    assert [each["symbol"] for each in json.loads(files["json"].read_text())] == ["NSE:INFY", "NSE:TCS"]
    names, own = book["by strategy"]
    assert (names[0], own[0], own[-1]) == ("strategy", "breakout", "-12.5")


def test_each_strategys_own_go_into_a_file(tmp_path: Path) -> None:
    files = {shape: tmp_path / f"own.{shape}" for shape in ("parquet", "csv", "json")}
    for shape, file in files.items():
        assert write_positions(portfolio(position_line()), Format(shape), file, by_strategy=True) == 1
    [told] = pyarrow.parquet.read_table(files["parquet"]).to_pylist()
    assert (told["strategy"], told["net_pnl"], told["quantity"]) == ("breakout", Decimal("-12.5"), 75)
    assert files["csv"].read_text().splitlines()[1].startswith("breakout,NSE:INFY,MIS,75,")
    [each] = json.loads(files["json"].read_text())
    assert (each["strategy"], each["net_pnl"], each["lines"][0]["symbol"]) == ("breakout", "-12.50", "NSE:INFY")


def portfolio(*lines: PositionLine) -> Portfolio:
    """These, and one position of one strategy."""
    zero = Decimal(0)
    sums = {"realized_pnl": zero, "unrealized_pnl": zero, "charges": Decimal("12.5"), "uncharged_fills": 0}
    sums["net_pnl"] = Decimal("-12.5")
    own = StrategyLine(strategy="breakout", symbol="NSE:INFY", product="MIS", quantity=75, **sums)
    result = StrategyResult(strategy="breakout", lines=(own,), **sums)
    return Portfolio(positions=lines, total=totals(lines), strategies=(result,))


def position_line(**changes: Any) -> PositionLine:
    zero = Decimal(0)
    content: dict[str, Any] = dict.fromkeys(PositionLine.model_fields, zero)
    content |= {"account": "paper", "symbol": "NSE:INFY", "product": "MIS", "quantity": 10, "uncharged_fills": 0}
    content |= {"strategies": {}, "at_broker": None, "unexplained": 0, "likely_cause": None}
    return PositionLine(**content | changes)


def test_positions_go_into_the_file_that_is_named(tmp_path: Path) -> None:
    program, file = once_started(tmp_path / "home"), tmp_path / "held.xlsx"
    assert program.here("positions", "--output", str(file)).code == 0
    assert list(sheets(file.read_bytes())) == ["positions", "by strategy", "totals"]
    assert program.here("positions", "--by", "strategy").out == "No positions.\n"
    assert program.here("positions", "--by", "strategy", "--json").json == []
    assert program.here("positions", "--format", "csv").out.startswith("account,symbol,product,quantity,")
    assert "parquet needs --output FILE.parquet" in program.here("positions", "--format", "parquet").error
    assert program.here("positions", "--output", str(tmp_path / "held.doc")).code == 2
