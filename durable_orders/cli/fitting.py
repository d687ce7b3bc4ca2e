"""Tables that fit: where the columns of a row have no room side by side, they stand below each other."""

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

ANY_WIDTH = 10_000


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
