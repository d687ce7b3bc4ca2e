"""Tables that fit: where the columns of a row have no room side by side, they stand below each other."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

ANY_WIDTH = 10_000
GAP = "  "


class FittingTable(Table):
    """Nothing is cut, least of all within a number: on a terminal too narrow for a line a row, each row is a block."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.update(max_width=ANY_WIDTH)
        if Measurement.get(console, wide, self).minimum <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            yield from self._blocks()

    def _blocks(self) -> Iterator[RenderableType]:
        names = [str(column.header) for column in self.columns]
        label = max(map(len, names)) + 2
        for number, row in enumerate(zip(*(column.cells for column in self.columns), strict=True)):
            block = Table.grid(padding=0)
            block.add_column(width=label, no_wrap=True, style="bold")
            block.add_column(overflow="fold")
            for name, cell in zip(names, row, strict=True):
                if str(cell):
                    block.add_row(name, Text(cell) if isinstance(cell, str) else cell)
            if number:
                yield Text()
            yield block


class PagedTable:
    """Any number of rows, some hundred at a time; a column is as wide as its widest cell so far. Where a row has room,
    it is laid out here: `rich` takes most of a second for a thousand."""

    def __init__(self, console: Console, names: Sequence[str], *, left: Sequence[bool]) -> None:
        """`left` are the columns of words; figures stand to the right."""
        self._console, self._names, self._left = console, list(names), left
        self._widths = [len(name) for name in names]
        self._begun = False

    def print(self, rows: Sequence[Sequence[str]]) -> None:
        self._widths = [
            max(self._widths[number], *map(len, cells)) for number, cells in enumerate(zip(*rows, strict=True))
        ]
        if sum(self._widths) + len(GAP) * (len(self._names) - 1) > self._console.width:
            self._console.print(self._wrapped(rows))
        else:
            if not self._begun:
                self._console.print(Text(self._line(self._names), style="bold"))
            self._console.out("\n".join(map(self._line, rows)), highlight=False)
        self._begun = True

    def _line(self, cells: Sequence[str]) -> str:
        each = zip(cells, self._widths, self._left, strict=True)
        return GAP.join([cell.ljust(width) if left else cell.rjust(width) for cell, width, left in each]).rstrip()

    def _wrapped(self, rows: Sequence[Sequence[str]]) -> Table:
        table = FittingTable(box=None, header_style="bold", pad_edge=False, show_header=not self._begun)
        for name, left in zip(self._names, self._left, strict=True):
            table.add_column(name, justify="left" if left else "right")
        for row in rows:
            table.add_row(*row)
        return table
