"""The three header rows of yfinance, which has a column for each price and ticker, as one header and a row a ticker."""

from collections.abc import Iterator
from itertools import islice

from durable_orders.trading.errors import InvalidTicks
from durable_orders.trading.market.files.blocks import Row, in_blocks
from durable_orders.trading.market.files.containers import Grid

FIELDS = ("open", "high", "low", "close")


def one_header(grid: Grid) -> Grid:
    """The grid as it is, unless its first rows are yfinance's header: prices, tickers (in either order), and the time's
    name."""
    begin = grid.rows.peek(2)
    rows = [[str(cell) for cell in cells] for _, cells in begin if not isinstance(cells, InvalidTicks)]
    if len(rows) < 2 or any(cell.strip() for cell in rows[1][1:]) or not rows[1][0].strip():
        return grid
    first, second = list(grid.columns), rows[0]
    fields, tickers = (first, second) if _has_fields(first) else (second, first)
    if not _has_fields(fields):
        return grid
    names = tuple(dict.fromkeys(tickers[1:]))
    wanted = tuple(dict.fromkeys(fields[1:]))
    places = {
        name: [
            next((n for n in range(1, len(first)) if (fields[n], tickers[n]) == (field, name)), None)
            for field in wanted
        ]
        for name in names
    }

    def expanded() -> Iterator[Row]:
        for number, cells in islice(grid.rows, 2, None):
            if isinstance(cells, InvalidTicks):
                yield number, cells
                continue
            for name, columns in places.items():
                yield number, [cells[0], name, *(cells[n] if n is not None else "" for n in columns)]

    return Grid(grid.name, grid.unit, (rows[1][0].strip(), "symbol", *wanted), in_blocks(expanded()), grid.done)


def _has_fields(cells: list[str]) -> bool:
    return {cell.strip().lower() for cell in cells} >= {*FIELDS}
