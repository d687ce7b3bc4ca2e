"""Files of rows whatever they come in: CSV (plain, gzipped, UTF-16), Parquet, JSON, JSON lines; one by one, as rows.

A row is read when it is asked for, except of a JSON file that is one value.
"""

import csv
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.files.blocks import (
    BLOCK,
    Block,
    Cells,
    ParquetBlock,
    RowStream,
    csv_blocks,
    in_blocks,
)
from durable_orders.trading.market.files.report import ReadingReport
from durable_orders.trading.market.recordings.places import COVERAGE

JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".txt", ".tsv", ".gz", ".json", *JSON_LINES, *PARQUET)
"""Of a folder's files, those that are read."""
NAMED = 3
"""Files that one note names."""
ZIPPED = b"PK\x03\x04"
CHUNK = 1 << 16
"""Characters of text that are read at once."""
PEEKED = 1000
"""Records of JSON whose keys are taken for the columns."""
KITE_CANDLE = ("date", "open", "high", "low", "close", "volume", "oi")
"""Of Kite's historical API, whose candles are lists (Kite documentation, historical candle data)."""


@dataclass(slots=True)
class Grid:
    """A header and rows, to be gone through once."""

    name: str
    unit: str
    """How a row is counted: `line`, from 1 with the header, or `row`, from 1."""
    columns: tuple[str, ...]
    rows: RowStream
    done: Callable[[], float] = lambda: 0.0
    """How much of the file was read, from 0 to 1."""

    close: Callable[[], None] = lambda: None
    """Ends the reading before the last row."""

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
    text = _Text(path, file, begin)
    lines = text.lines()
    if path.suffix.lower() in JSON_LINES:
        return _records(path, "line", _json_lines(path, lines))
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise InvalidTicks(f"{path.name}: is empty")
    if first.lstrip()[0] in "{[":
        return _json(path, chain([first], lines))
    return _csv(path, first, text, file, report)


def _opened(path: Path) -> "_Bytes":
    """The bytes, unpacked if they are gzipped, whatever the name says."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise _unreadable(path, problem.strerror) from None
    is_packed = file.peek(2)[:2] == b"\x1f\x8b"
    found = _Bytes(cast(Any, gzip.GzipFile(fileobj=file) if is_packed else file))
    found.packed, found.size = file, path.stat().st_size
    return found


def _begin(path: Path, file: "_Bytes") -> bytes:
    try:
        return file.peek(4)[:4]
    except (OSError, EOFError, zlib.error) as problem:
        raise _unreadable(path, problem.strerror or problem if isinstance(problem, OSError) else problem) from None


def _unreadable(path: Path, why: object) -> InvalidTicks:
    return InvalidTicks(f"{path.name}: cannot be read: {why}")


class _Text:
    """The lines of a file with their breaks: UTF-16 if it says so by its mark or its zeros, else UTF-8."""

    def __init__(self, path: Path, file: "_Bytes", begin: bytes) -> None:
        self._path = path
        self._file = file
        self._wide = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(begin[:2])
        if self._wide is None and begin[1:2] == b"\x00":
            self._wide = "utf-16-le"
        self._text = TextIOWrapper(file, self._wide or "utf-8-sig", newline="" if self._wide else "\n")

    def lines(self) -> Iterator[str]:
        with self._explained():
            yield from chain(self._text)  # the text itself would be closed with this generator

    def chunks(self) -> Iterator[str]:
        """Many lines at once."""
        rest = ""
        with self._explained():
            while text := self._text.read(CHUNK):
                text = rest + text
                cut = text.rfind("\n") + 1
                rest = text[cut:]
                if cut:
                    yield text[:cut]
        if rest:
            yield rest

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Closes the file at its end, and says what is wrong with it."""
        try:
            yield
        except UnicodeDecodeError:
            rule = "must be UTF-16 text" if self._wide else f"line {_undecodable(self._path)}: must be UTF-8 text"
            raise InvalidTicks(f"{self._path.name}: {rule}") from None
        except (OSError, EOFError, zlib.error) as problem:
            raise _unreadable(self._path, problem) from None
        self._file.close()


def _undecodable(path: Path) -> int:
    """The number of the first line that is no UTF-8."""
    number = 0
    with _opened(path) as file, suppress(UnicodeDecodeError):
        for line in file:
            number += 1
            line.decode("utf-8")
    return number


class _Bytes(BufferedReader):
    """Remembers its last bytes, and how much of the file was read."""

    end = b""
    packed: BufferedReader
    size: int

    def read1(self, size: int = -1, /) -> bytes:
        found = super().read1(size)
        self.end = found[-2:] or self.end
        return found

    def close(self) -> None:
        super().close()
        self.packed.close()

    def done(self) -> float:
        """From 0 to 1."""
        return 1.0 if self.packed.closed else self.packed.tell() / max(self.size, 1)

    @property
    def ends_a_line(self) -> bool:
        return self.end.rstrip(b"\0")[-1:] in (b"\n", b"\r")


def _csv(path: Path, header_line: str, text: _Text, file: _Bytes, report: ReadingReport) -> Grid:
    """With the separator of its header: a comma, a semicolon or a tabulator."""
    separator = max(",;\t", key=header_line.count)
    reader = csv.reader(chain([header_line], text.lines()), strict=True, delimiter=separator)
    try:
        columns = tuple(column.strip() for column in next(reader))
    except csv.Error as problem:
        raise InvalidTicks(f"{path.name}: line {reader.line_num}: must be CSV: {problem}") from None
    found = csv_blocks(path, text.chunks(), separator, reader.line_num)

    def blocks() -> Iterator[Block]:
        width, is_empty = len(columns), True
        for block in found:
            is_empty = False
            block.fit(width, lambda number, cells: _fitted(f"{path.name}: line {number}", columns, cells))
            yield block
        if is_empty:
            raise InvalidTicks(f"{path.name}: has a header but no rows")
        if not file.ends_a_line:
            report.note(f"{path.name}: the last line has no line break, and was taken as whole")

    return Grid(path.name, "line", columns, RowStream(blocks()), file.done, file.close)


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

    return Grid(path.name, unit, columns, in_blocks(rows()))


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

    number = 0

    def blocks() -> Iterator[Block]:
        nonlocal number
        try:
            for group in range(file.num_row_groups):  # one reader of them all keeps what it has read of each
                for batch in file.iter_batches(BLOCK, row_groups=[group]):
                    yield ParquetBlock(range(number + 1, number + 1 + batch.num_rows), batch.columns)
                    number += batch.num_rows
        except (pyarrow.ArrowException, OSError) as problem:
            raise _unreadable(path, str(problem).splitlines()[0]) from None
        finally:
            file.close()
        if not number:
            raise InvalidTicks(f"{path.name}: has a header but no rows")

    total = max(file.metadata.num_rows, 1)
    return Grid(
        path.name, "row", tuple(file.schema_arrow.names), RowStream(blocks()), lambda: number / total, file.close
    )
