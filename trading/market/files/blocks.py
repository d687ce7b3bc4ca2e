"""Rows of a file, some at a time: one by one for whoever looks at each, or as columns for whoever looks at all."""

import csv
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.ticks import MAX_PRICE
from durable_orders.trading.orders.order import PRICE_PLACES

BLOCK = 1000
"""Rows."""
MAX_WHOLE = 10**15
MOST_PLACES = -int(PRICE_PLACES.as_tuple().exponent)
"""Behind the point of a price."""
MOST_KNOWN = 50_000
"""Cells whose meaning is remembered at once."""

Cells = Sequence[Any]
"""Text, or what Parquet and JSON hold."""
Row = tuple[int, Cells | InvalidTicks]
Places = Sequence[tuple[int, int]]
"""Of each level of a side, best first, the columns of its price and its quantity."""
Found = TypeVar("Found")


class Doubt(Exception):
    """A block is not plain."""


class Known(dict[Hashable, Found]):
    """What cells mean. Each is asked for when it is met first, and not again before very many others were met."""

    def __init__(self, meaning: Callable[[Any], Found]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, cell: Hashable) -> Found:
        if len(self) >= MOST_KNOWN:
            self.clear()
        found = self[cell] = self._meaning(cell)
        return found


class Block:
    """Some rows that follow each other, each with its number. In place of a row there may be what is wrong with it."""

    has_columns = False
    """Whether all rows are as wide as the header, so that `column` can be asked."""

    def __init__(self, numbers: Sequence[int], rows: Sequence[Cells | InvalidTicks]) -> None:
        self.numbers = numbers
        self._rows = rows

    @property
    def rows(self) -> Sequence[Cells | InvalidTicks]:
        return self._rows

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, place: int, known: Known[Found]) -> list[Found]:
        """What the cells of a column mean."""
        raise NotImplementedError

    def cells(self, place: int) -> Sequence[str] | None:
        """The cells of a column, where they are text."""
        return None

    def wholes(self, place: int) -> list[int] | None:
        """The cells of a column as whole numbers; `None` where not all are."""
        return None

    def epochs(self, place: int) -> tuple[list[int], bool] | None:
        """The cells of a column as microseconds since 1970, and whether they are of UTC; `None` where they are not kept
        as such."""
        return None

    def has_whole_books(self, bids: Places, asks: Places) -> bool:
        """Whether every row has all levels of an order book, in order, in prices and quantities that need no look at
        each; `False` also where that cannot be told quickly."""
        return False


class CsvBlock(Block):
    """Of text: the cells of its lines."""

    def fit(self, width: int, fitted: Callable[[int, list[str]], Cells | InvalidTicks]) -> None:
        """Rows of another width are replaced by what is made of their number and their cells."""
        rows: Sequence[Any] = self.rows
        self._columns = list(zip(*rows, strict=True)) if set(map(len, rows)) == {width} else None
        if self._columns is None:
            numbered = zip(self.numbers, rows, strict=True)
            self._rows = [cells if len(cells) == width else fitted(number, cells) for number, cells in numbered]
        self.has_columns = self._columns is not None

    _columns: Sequence[Sequence[str]] | None = None

    def cells(self, place: int) -> Sequence[str] | None:
        return self._columns[place] if self._columns is not None else None

    def column(self, place: int, known: Known[Found]) -> list[Found]:
        return list(map(known.__getitem__, self.cells(place) or ()))

    def wholes(self, place: int) -> list[int] | None:
        try:
            return list(map(int, self.cells(place) or ()))
        except ValueError:
            return None


class TextBlock(CsvBlock):
    """Of whole lines without quotes, which are parted all at once."""

    def __init__(self, numbers: Sequence[int], text: str, separator: str) -> None:
        super().__init__(numbers, ())
        self._text = text
        self._separator = separator

    @property
    def rows(self) -> Sequence[Cells | InvalidTicks]:
        if not self._rows:
            self._rows = [line.split(self._separator) for line in self._text.split("\n")[:-1]]
        return self._rows

    def fit(self, width: int, fitted: Callable[[int, list[str]], Cells | InvalidTicks]) -> None:
        part, each = self._separator, width + 1
        cells = self._text.replace("\n", f"{part}\n{part}").split(part)
        if len(cells) == len(self) * each + 1 and cells[width::each].count("\n") == len(self):
            del cells[-1]
            self._columns = [cells[place::each] for place in range(width)]
            self.has_columns = True
        else:
            super().fit(width, fitted)


class ParquetBlock(Block):
    """Of what pyarrow holds: each value that differs is looked at once."""

    has_columns = True

    def __init__(self, numbers: Sequence[int], columns: Sequence[Any]) -> None:
        super().__init__(numbers, ())
        self._columns = columns

    @property
    def rows(self) -> Sequence[Cells | InvalidTicks]:
        if not self._rows:
            self._rows = list(zip(*map(_values, self._columns), strict=True))
        return self._rows

    def column(self, place: int, known: Known[Found]) -> list[Found]:
        encoded = self._columns[place].dictionary_encode()
        meanings = [known[cell] for cell in _values(encoded.dictionary)]
        indices = encoded.indices
        if indices.null_count:
            indices = indices.fill_null(len(meanings))
            meanings.append(known[None])
        return list(map(meanings.__getitem__, indices.to_pylist()))

    def wholes(self, place: int) -> list[int] | None:
        import pyarrow

        column = self._columns[place]
        is_whole = pyarrow.types.is_integer(column.type) and not column.null_count
        return cast("list[int]", column.to_pylist()) if is_whole else None

    def has_whole_books(self, bids: Places, asks: Places) -> bool:
        if not (bids and asks):
            return False
        below, above = ([self._columns[price] for price, _ in side] for side in (bids, asks))
        return _are_whole(below, above, [self._columns[units] for _, units in (*bids, *asks)])

    def epochs(self, place: int) -> tuple[list[int], bool] | None:
        import pyarrow

        column = self._columns[place]
        if not pyarrow.types.is_timestamp(column.type) or column.null_count:
            return None
        is_utc = column.type.tz is not None
        return _in_micros(column).view(pyarrow.int64()).to_pylist(), is_utc


def _are_whole(bids: list[Any], asks: list[Any], units: list[Any]) -> bool:
    """Prices without nulls, each of a type in which they are exact; quantities that are whole numbers."""
    import pyarrow
    from pyarrow import compute

    prices = [*bids, *asks]
    if any(column.null_count for column in (*prices, *units)):
        return False
    if not all(pyarrow.types.is_decimal(each.type) and each.type.scale <= MOST_PLACES for each in prices):
        return False
    if not all(pyarrow.types.is_integer(each.type) for each in units):
        return False
    order = [(asks[0], bids[0]), *pairwise(reversed(asks)), *pairwise(bids)]  # each pair: what is above, and below
    if not all(compute.all(compute.greater(above, below)).as_py() for above, below in order):
        return False
    if compute.min(bids[-1]).as_py() <= 0 or compute.max(asks[-1]).as_py() >= MAX_PRICE:
        return False
    bounds = [compute.min_max(each).as_py() for each in units]
    return all(each["min"] > 0 and each["max"] < MAX_WHOLE for each in bounds)


def _values(column: Any) -> list[Any]:
    """Nanoseconds are cut: Python's times end at microseconds."""
    import pyarrow

    if pyarrow.types.is_timestamp(column.type):
        column = _in_micros(column)
    return cast("list[Any]", column.to_pylist())


def _in_micros(column: Any) -> Any:
    import pyarrow

    return column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)


class RowStream:
    """The rows of blocks, one after the other, or whole blocks."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._waiting: deque[Block] = deque()

    def peek(self, count: int) -> list[Row]:
        """The first rows, that are still to come."""
        while sum(map(len, self._waiting)) < count and (block := next(self._blocks, None)) is not None:
            self._waiting.append(block)
        rows = (row for block in self._waiting for row in zip(block.numbers, block.rows, strict=True))
        return list(islice(rows, count))

    def blocks(self) -> Iterator[Block]:
        while self._waiting:
            yield self._waiting.popleft()
        yield from self._blocks

    def __iter__(self) -> Iterator[Row]:
        for block in self.blocks():
            yield from zip(block.numbers, block.rows, strict=True)


def in_blocks(rows: Iterable[Row]) -> RowStream:
    """Rows that come one by one. What is wrong with the file is raised behind the rows before it."""

    def blocks() -> Iterator[Block]:
        found = iter(rows)
        while True:
            some: list[Row] = []
            problem = _extended(some, found)
            if some:
                yield Block([number for number, _ in some], [cells for _, cells in some])
            if problem is not None:
                raise problem
            if not some:
                return

    return RowStream(blocks())


def csv_blocks(path: Path, chunks: Iterator[str], separator: str, number: int) -> Iterator[CsvBlock]:
    """All lines but empty ones, from that number on. Raises `InvalidTicks` behind those before the one that is no CSV.

    Up to the first quote a line is a row, and a separator parts its cells.
    """
    for chunk in chunks:
        text = chunk.replace("\r\n", "\n") if "\r" in chunk else chunk
        if '"' in text or "\r" in text or "\0" in text:
            yield from _by_line(path, chain([chunk], chunks), separator, number)
            return
        text = text if text.endswith("\n") else f"{text}\n"
        first, number = number + 1, number + text.count("\n")
        if text.startswith("\n") or "\n\n" in text:
            lines = ((each, line.split(separator)) for each, line in enumerate(text.split("\n"), first) if line)
            numbers, rows = zip(*lines, strict=True) if text.strip("\n") else ((), ())
            if rows:
                yield CsvBlock(numbers, rows)
        else:
            yield TextBlock(range(first, number + 1), text, separator)


def _by_line(path: Path, chunks: Iterator[str], separator: str, number: int) -> Iterator[CsvBlock]:
    lines = (line for chunk in chunks for line in _lines(chunk))
    reader = csv.reader(lines, strict=True, delimiter=separator)
    while True:
        before = reader.line_num
        rows: list[list[str]] = []
        try:
            problem = _extended(rows, reader)
        except csv.Error as error:
            problem = InvalidTicks(f"{path.name}: line {number + reader.line_num}: must be CSV: {error}")
        if kept := [
            (each, cells) for each, cells in zip(_line_numbers(number + before, rows), rows, strict=True) if cells
        ]:
            yield CsvBlock([each for each, _ in kept], [cells for _, cells in kept])
        if problem is not None:
            raise problem
        if not rows:
            return


def _lines(text: str) -> Iterator[str]:
    *lines, last = text.split("\n")
    return chain((f"{line}\n" for line in lines), [last] if last else [])


def _extended(rows: list[Any], found: Iterator[Any]) -> InvalidTicks | None:
    """Take a block's worth; what is wrong comes after what was right."""
    try:
        rows.extend(islice(found, BLOCK))  # keeps those before the error
    except InvalidTicks as error:
        return error
    return None


def _line_numbers(before: int, rows: list[list[str]]) -> list[int]:
    """The last line of each row: cells in quotes may hold line breaks."""
    numbers = []
    for cells in rows:
        before += 1 + sum(cell.count("\n") for cell in cells)
        numbers.append(before)
    return numbers
