"""Files of rows whatever they come in: CSV (plain, gzipped, UTF-16), Parquet, JSON, JSON lines; one by one, as rows.

A row is read when it is asked for, except of a JSON file that is one value.
"""

import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.recordings.places import COVERAGE

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".txt", ".tsv", ".gz", ".json", *JSON_LINES, *PARQUET)
"""Of a folder's files, those that are read."""
NAMED = 3
"""Files that one note names."""
ZIPPED = b"PK\x03\x04"
PEEKED = 1000
"""Records of JSON whose keys are taken for the columns."""
KITE_CANDLE = ("date", "open", "high", "low", "close", "volume", "oi")
"""Of Kite's historical API, whose candles are lists (Kite documentation, historical candle data)."""
BATCH = 10_000
"""Rows of a Parquet file in memory at once."""

Cells = Sequence[Any]
"""Text, or what Parquet and JSON hold."""


@dataclass(slots=True)
class Grid:
    """A header and rows, to be gone through once. In place of a row there may be what is wrong with it."""

    name: str
    unit: str
    """How a row is counted: `line`, from 1 with the header, or `row`, from 1."""
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Cells | InvalidTicks]]

    def place(self, number: int) -> str:
        return f"{self.name}: {self.unit} {number}"


def files_of(paths: Iterable[Path], report: ReadingReport) -> list[Path]:
    """The files of these paths; of a folder and those in it the files that hold rows, by name.

    Raises `InvalidTicks` for a folder that has none, or cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        taken, others = _inside(path)
        told = [_left_out(path, suffix, names) for suffix, names in others.items()]
        if not taken:
            rule = f"the folder has no file of {', '.join(SUFFIXES)}"
            raise InvalidTicks("; ".join([f"{path.name}: {rule}", *told]))
        for words in told:
            report.note(words)
        found += taken
    return found


def _left_out(folder: Path, suffix: str, names: list[str]) -> str:
    every = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    why = (
        "a recorder's log of when it listened" if suffix == COVERAGE else f"no file of {suffix or 'this name'} is read"
    )
    return f"left out of the folder {folder.name}: {every} ({why})"


def _inside(folder: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """The files with rows in a folder and in its folders, and the names of the others by what they end in. Neither
    hidden ones nor folders that are links."""

    def unreadable(problem: OSError) -> None:
        raise _unreadable(folder, problem.strerror)

    taken: list[Path] = []
    others: dict[str, list[str]] = {}
    for inner, below, names in os.walk(folder, onerror=unreadable):
        below[:] = sorted(each for each in below if not each.startswith("."))
        for name in sorted(each for each in names if not each.startswith(".")):
            file = Path(inner, name)
            suffix = COVERAGE if name == COVERAGE else file.suffix.lower()
            if suffix in SUFFIXES:
                taken.append(file)
            else:
                others.setdefault(suffix, []).append(str(file.relative_to(folder)))
    return taken, others


def grid_of(path: Path, report: ReadingReport) -> Grid:
    """The rows of a file. Raises `InvalidTicks` if it cannot be read or has no header."""
    if path.suffix.lower() in PARQUET:
        return _parquet(path)
    file = _opened(path)
    begin = _begin(path, file)
    if begin == ZIPPED:
        file.close()
        raise InvalidTicks(f"{path.name}: is a ZIP archive or a workbook: must be CSV, Parquet or JSON")
    lines = _lines(path, file, begin)
    if path.suffix.lower() in JSON_LINES:
        return _records(path, "line", _json_lines(path, lines))
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InvalidTicks(f"{path.name}: is empty")
    if first.lstrip()[0] in "{[":
        return _json(path, chain([first], lines))
    return _csv(path, chain([first], lines), report)


def _opened(path: Path) -> BufferedReader:
    """The bytes, unpacked if they are gzipped, whatever the name says."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise _unreadable(path, problem.strerror) from None
    if file.peek(2)[:2] == b"\x1f\x8b":
        return BufferedReader(cast(Any, gzip.GzipFile(fileobj=file)))
    return file


def _begin(path: Path, file: BufferedReader) -> bytes:
    try:
        return file.peek(4)[:4]
    except (OSError, EOFError, zlib.error) as problem:
        raise _unreadable(path, problem.strerror or problem if isinstance(problem, OSError) else problem) from None


def _unreadable(path: Path, why: object) -> InvalidTicks:
    return InvalidTicks(f"{path.name}: cannot be read: {why}")


def _lines(path: Path, file: BufferedReader, begin: bytes) -> Iterator[str]:
    """Lines of text with their breaks: UTF-16 if it says so by its mark or its zeros, else UTF-8."""
    wide = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(begin[:2])
    if wide is None and begin[1:2] == b"\x00":
        wide = "utf-16-le"
    number = 0
    try:
        if wide is not None:
            yield from TextIOWrapper(file, wide, newline="")
            return
        for line in file:
            yield line.decode("utf-8" if number else "utf-8-sig")
            number += 1
    except UnicodeDecodeError:
        rule = "must be UTF-16 text" if wide else f"line {number + 1}: must be UTF-8 text"
        raise InvalidTicks(f"{path.name}: {rule}") from None
    except (OSError, EOFError, zlib.error) as problem:
        raise _unreadable(path, problem) from None
    finally:
        file.close()


def _csv(path: Path, lines: Iterator[str], report: ReadingReport) -> Grid:
    """With the separator of its header: a comma, a semicolon or a tabulator."""
    header_line = next(lines)
    separator = max(",;\t", key=header_line.count)
    last = _Last(header_line)
    reader = csv.reader(last.of(chain([header_line], lines)), strict=True, delimiter=separator)

    def records() -> Iterator[tuple[int, list[str]]]:
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as problem:
            raise InvalidTicks(f"{path.name}: line {reader.line_num}: must be CSV: {problem}") from None

    found = records()
    _, header = next(found)
    columns = tuple(column.strip() for column in header)

    def rows() -> Iterator[tuple[int, Cells | InvalidTicks]]:
        width, number = len(columns), 0
        for number, cells in found:
            if len(cells) == width:
                yield number, cells
            else:
                yield number, _fitted(f"{path.name}: line {number}", columns, cells)
        if not number:
            raise InvalidTicks(f"{path.name}: has a header but no rows")
        if not last.line.endswith(("\n", "\r")):
            report.note(f"{path.name}: the last line has no line break, and was taken as whole")

    return Grid(path.name, "line", columns, rows())


class _Last:
    """Remembers the last line that went by."""

    def __init__(self, line: str) -> None:
        self.line = line

    def of(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self.line = line
            yield line


def _fitted(place: str, columns: tuple[str, ...], cells: list[str]) -> Cells | InvalidTicks:
    """A row of another width: right where the rest is empty, as after a comma at the end of each line."""
    width = len(columns)
    if len(cells) < width and not any(columns[len(cells) :]):
        return [*cells, *[""] * (width - len(cells))]
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    if len(cells) < width:
        half = ",".join(cells)[:60]
        return InvalidTicks(f"{place}: {columns[len(cells)]}: is missing, the line is half-written, was {half!r}")
    words = f"must be the last of {width} fields, there are {len(cells)}"
    return InvalidTicks(f"{place}: {columns[-1]}: {words}, was {cells[width - 1][:60]!r}")


def _json(path: Path, lines: Iterable[str]) -> Grid:
    """One value, or a value on each line."""
    text = "".join(lines)
    try:
        return _records(path, "row", enumerate(_rows_of(path, _loaded(text)), 1))
    except json.JSONDecodeError as problem:
        first = text.lstrip().splitlines()[0]
        if problem.msg == "Extra data":
            with suppress(json.JSONDecodeError):
                _loaded(first)
                return _records(path, "line", _json_lines(path, text.splitlines()))
        raise InvalidTicks(f"{path.name}: line {problem.lineno}: must be JSON: {problem.msg}") from None


def _loaded(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _rows_of(path: Path, value: Any) -> list[Any]:
    """The list in what Kite's historical API answers, or in what wraps one."""
    for key in ("data", "candles", "ticks", "data"):
        if isinstance(value, dict) and key in value:
            value = value[key]
    if isinstance(value, list):
        return value
    raise InvalidTicks(f"{path.name}: must be a list of candles or ticks, or Kite's answer with data.candles")


def _json_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """A tick or candle a line, or a list of them, as KiteTicker hands them over."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = _loaded(line)
        except json.JSONDecodeError as problem:
            yield number, InvalidTicks(f"{path.name}: line {number}: must be JSON: {problem.msg}")
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict | list):
            yield from ((number, each) for each in value)
        else:
            yield number, value


def _records(path: Path, unit: str, found: Iterator[tuple[int, Any]]) -> Grid:
    """Of dictionaries, whose keys are the columns, or of lists, which are Kite's candles."""
    begin = list(islice(found, PEEKED))
    if not begin:
        raise InvalidTicks(f"{path.name}: is empty")
    keys = dict.fromkeys(key for _, each in begin if isinstance(each, dict) for key in each)
    columns = tuple(keys) or KITE_CANDLE

    def rows() -> Iterator[tuple[int, Cells | InvalidTicks]]:
        for number, each in chain(begin, found):
            if isinstance(each, dict) and keys:
                late = next((key for key in each if key not in keys), None)
                words = f"{late}: must be in the first {PEEKED} rows too"
                yield number, [each.get(key) for key in columns] if late is None else _wrong(number, words)
            elif isinstance(each, list) and not keys and len(each) >= len(KITE_CANDLE) - 1:
                yield number, [*each, None][: len(KITE_CANDLE)]
            elif isinstance(each, InvalidTicks):
                yield number, each
            else:
                yield number, _wrong(number, f"must be a candle or a tick, was {str(each)[:60]!r}")

    def _wrong(number: int, words: str) -> InvalidTicks:
        return InvalidTicks(f"{path.name}: {unit} {number}: {words}")

    return Grid(path.name, unit, columns, rows())


def _parquet(path: Path) -> Grid:
    """Needs pyarrow, the extra `parquet`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        words = "reading Parquet needs pyarrow: pip install 'durable-orders[parquet]'"
        raise InvalidTicks(f"{path.name}: {words}") from None
    try:
        file = parquet.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise _unreadable(path, "No such file or directory") from None
    except (pyarrow.ArrowException, OSError) as problem:
        raise _unreadable(path, str(problem).splitlines()[0]) from None

    def rows() -> Iterator[tuple[int, Cells | InvalidTicks]]:
        number = 0
        try:
            for batch in file.iter_batches(BATCH):
                columns = [_values(column, pyarrow) for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, cells
        except (pyarrow.ArrowException, OSError) as problem:
            raise _unreadable(path, str(problem).splitlines()[0]) from None
        finally:
            file.close()
        if not number:
            raise InvalidTicks(f"{path.name}: has a header but no rows")

    return Grid(path.name, "row", tuple(file.schema_arrow.names), rows())


def _values(column: Any, pyarrow: Any) -> list[Any]:
    """Nanoseconds are cut: Python's times end at microseconds."""
    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    return cast("list[Any]", column.to_pylist())
