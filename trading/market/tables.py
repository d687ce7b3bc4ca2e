"""CSV files of rows, where every complaint names the file, the line and the column."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from io import StringIO
from pathlib import Path

from durable_orders.trading.errors import RefusedError

MAX_WHOLE = 10**15
SHOWN = 60
"""Characters of a bad value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of text, to be gone through once. Raises `error` where something is wrong."""

    name: str
    unit: str
    """How a row is counted: `line`, from 1 with the header."""
    columns: tuple[str, ...]
    records: Iterable[tuple[int, Sequence[str]]]
    error: type[RefusedError]

    def __post_init__(self) -> None:
        for column in self.columns:
            if self.columns.count(column) > 1:
                raise self.error(f"{self.name}: header: {column}: must be there only once")

    def __iter__(self) -> Iterator["Row"]:
        for row in self.rows():
            if isinstance(row, RefusedError):
                raise row
            yield row

    def rows(self) -> Iterator["Row | RefusedError"]:
        """Each row, or what is wrong with its fields. A last row without all of them is a file that is half-written."""
        last: Row | RefusedError | None = None
        for number, cells in self.records:
            if last is not None:
                yield last
            last = self._row(number, cells)
        if last is None:
            raise self.error(f"{self.name}: has a header but no rows")
        if isinstance(last, RefusedError):
            raise last
        yield last

    def _row(self, number: int, cells: Sequence[str]) -> "Row | RefusedError":
        width = len(self.columns)
        row = Row(self, number, dict(zip(self.columns, cells, strict=False)))
        if len(cells) < width:
            column, half = self.columns[len(cells)], ",".join(cells)
            return Row(self, number, {column: half}).problem(column, "is missing, the line is half-written")
        if len(cells) > width:
            return row.problem(self.columns[-1], f"must be the last of {width} fields, there are {len(cells)}")
        return row


@dataclass(frozen=True, slots=True)
class Row:
    table: Table
    number: int
    cells: dict[str, str]

    @property
    def place(self) -> str:
        return f"{self.table.name}: {self.table.unit} {self.number}"

    def problem(self, column: str, rule: str) -> RefusedError:
        value = self.cells.get(column, "")
        return self.table.error(f"{self.place}: {column}: {rule}, was {value[:SHOWN]!r}")

    def text(self, column: str) -> str:
        """Empty where the table has no such column."""
        return self.cells.get(column, "").strip()

    def decimal(self, column: str) -> Decimal:
        """Any number that `Decimal` knows, so NaN and infinity too."""
        try:
            return Decimal(self.text(column))
        except InvalidOperation:
            raise self.problem(column, "must be a number") from None

    def whole(self, column: str, least: int) -> int:
        """A whole number of at least that; `1500.0` is one too, as pandas writes it."""
        number = self.decimal(column)
        if not number.is_finite() or number != number.to_integral_value() or not least <= number < MAX_WHOLE:
            raise self.problem(column, f"must be a whole number of at least {least}")
        return int(number)

    def day(self, column: str) -> date:
        """A midnight is a date too, as pandas writes it."""
        try:
            at = datetime.fromisoformat(self.text(column))
            if at.time() != time(0):
                raise ValueError(at)
            return at.date()
        except ValueError:
            raise self.problem(column, "must be a date as in 2025-05-29") from None


def read_csv(path: Path, error: type[RefusedError]) -> Table:
    """UTF-8 with a header. Raises `error` if it cannot be read, is empty, or ends in the middle of a line."""
    text = _text(path, error)
    records = _records(path, text, error)
    try:
        _, header = next(records)
    except StopIteration:
        raise error(f"{path.name}: is empty") from None
    table = Table(path.name, "line", tuple(column.strip() for column in header), records, error)
    if not text.endswith(("\n", "\r")):
        raise _half_written(table, text)
    return table


def _text(path: Path, error: type[RefusedError]) -> str:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise error(f"{path.name}: cannot be read: {problem.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"{path.name}: line {line}: must be UTF-8 text") from None


def _records(path: Path, text: str, error: type[RefusedError]) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line that is not blank."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as problem:
        raise error(f"{path.name}: line {reader.line_num}: must be CSV: {problem}") from None


def _half_written(table: Table, text: str) -> RefusedError:
    """Even a line with all its fields may have lost the end of the last one: 24370.7 is also how 243 begins."""
    lines = text.split("\n")
    fields = lines[-1].count(",") + 1
    last = table.columns[min(fields, len(table.columns)) - 1] if len(lines) > 1 else "header"
    row = Row(table, len(lines), {last: lines[-1]})
    return row.problem(last, "the last line must end with a line break, without one it may be half-written")
