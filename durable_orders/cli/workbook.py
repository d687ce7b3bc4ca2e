"""Workbooks (XlsxWriter), written as they are read: a row is on the disk once it is full."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import xlsxwriter

from durable_orders.cli.journal_output import Sums
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.journal import JournalLine
from durable_orders.trading.ledger.journal_events import EventLine

MOST_ROWS = 1_048_576
"""Of one sheet; what is more goes on with the next."""
LONGEST = 32_767
"""Characters of a cell."""
PLAIN = 14
"""Characters of a column that says nothing else."""
TIME, MONEY = "yyyy-mm-dd hh:mm:ss.000", "#,##0.00##"
FILLS: Sequence[tuple[str, int]] = (
    ("time (IST)", 23),
    ("order", 24),
    ("strategy", 16),
    ("symbol", 24),
    ("side", 6),
    ("quantity", 9),
    ("filled", 9),
    ("price", 12),
    ("status", 11),
    ("product", 8),
    ("type", 8),
    ("validity", 8),
    ("limit", 12),
    ("trigger", 12),
    ("realized", 14),
    ("charges", 12),
    ("trade", 18),
    ("order at the broker", 22),
    ("mode", 7),
    ("wanted because", 24),
    ("why it stands so", 60),
)
"""Columns, with their widths in characters."""
EVENTS: Sequence[tuple[str, int]] = (
    ("time (IST)", 23),
    ("order", 40),
    ("number", 8),
    ("strategy", 16),
    ("symbol", 24),
    ("event", 24),
    ("status", 11),
    ("what happened", 80),
)


def write_workbook(lines: Iterable[JournalLine], file: BinaryIO) -> int:
    """A row for each line, and a sheet with what they add up to. Returns how many lines there were."""
    book, sums = _Book(file, "journal", FILLS), Sums()
    for line in lines:
        sums.add(line)
        book.add(_row(line))
    totals: list[tuple[str, Any]] = [
        ("orders", len(sums.orders)),
        ("fills", sums.fills),
        ("realized (rupees, before charges)", sums.realized),
        ("charges (rupees)", sums.charges),
        ("fills whose charges are not known", sums.uncharged),
    ]
    book.end(totals)
    return sums.lines


def write_events_workbook(lines: Iterable[EventLine], file: BinaryIO) -> int:
    book, count = _Book(file, "events", EVENTS), 0
    for count, line in enumerate(lines, 1):  # noqa: B007  (counted for the caller)
        own = (line.order_id, line.sequence, line.strategy, line.symbol, line.type.value, str(line.status))
        book.add((line.at, *own, line.message))
    book.end([("events", count)])
    return count


def _row(line: JournalLine) -> tuple[Any, ...]:
    terms = (line.symbol, line.side.value, line.quantity, line.filled_quantity, line.fill_price)
    kind = (line.product.value, line.order_type or "", line.validity or "", line.price, line.trigger_price)
    return (
        *(line.at, line.client_order_id, line.strategy, *terms, line.status.value, *kind),
        *(line.realized_pnl, line.charges, line.trade_id, line.broker_order_id, line.mode.value),
        *(line.reason, "; ".join(line.reasons)),
    )


class Sheets:
    """A workbook, sheet by sheet. Nothing of a text is taken for a formula."""

    def __init__(self, file: BinaryIO) -> None:
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True, "strings_to_formulas": False})
        self._time = self._book.add_format({"num_format": TIME})
        self._money = self._book.add_format({"num_format": MONEY})
        self._bold = self._book.add_format({"bold": True})

    def add(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A sheet with a header."""
        self.begin(name, [(title, max(len(title), PLAIN)) for title in columns])
        for number, row in enumerate(rows, 1):
            self.row(number, row)

    def begin(self, name: str, columns: Sequence[tuple[str, int]], *, header: bool = True) -> None:
        """The next sheet. `columns` are titles and widths in characters."""
        self._sheet = self._book.add_worksheet(name)
        for number, (title, width) in enumerate(columns):
            self._sheet.set_column(number, number, width)
            if header:
                self._sheet.write_string(0, number, title, self._bold)
        if header:
            self._sheet.freeze_panes(1, 0)

    def row(self, row: int, values: Sequence[Any]) -> None:
        for number, value in enumerate(values):
            self._write(row, number, value)

    def close(self) -> None:
        self._book.close()

    def _write(self, row: int, column: int, value: Any) -> None:
        if value is None or value == "":
            return
        if isinstance(value, Decimal):
            self._sheet.write_number(row, column, float(value), self._money)
        elif isinstance(value, int):
            self._sheet.write_number(row, column, value)
        elif hasattr(value, "astimezone"):
            self._sheet.write_datetime(row, column, value.astimezone(IST).replace(tzinfo=None), self._time)
        else:
            self._sheet.write_string(row, column, str(value)[:LONGEST])


class _Book:
    """Sheets of the same rows, and one of their totals."""

    def __init__(self, file: BinaryIO, name: str, columns: Sequence[tuple[str, int]]) -> None:
        self._sheets = Sheets(file)
        self._name, self._columns = name, columns
        self._count = 0
        self._begin()

    def _begin(self) -> None:
        self._count += 1
        self._sheets.begin(self._name if self._count == 1 else f"{self._name} {self._count}", self._columns)
        self._next = 1

    def add(self, row: Sequence[Any]) -> None:
        if self._next >= MOST_ROWS:
            self._begin()
        self._sheets.row(self._next, row)
        self._next += 1

    def end(self, totals: Sequence[tuple[str, Any]]) -> None:
        self._sheets.begin("totals", [("", 34)], header=False)
        for number, each in enumerate(totals):
            self._sheets.row(number, each)
        self._sheets.close()
