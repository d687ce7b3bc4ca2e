"""`journal --output day.xlsx`: what a spreadsheet finds in it."""

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from durable_orders.cli import workbook
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
