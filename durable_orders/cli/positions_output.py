"""Positions as a file: CSV, JSON, a workbook or Parquet, a row for each line that `positions` prints."""

import csv
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from durable_orders.cli import journal_output
from durable_orders.cli.journal_output import Format
from durable_orders.json_text import json_text, rupees
from durable_orders.portfolio import Portfolio, PositionLine, StrategyLine
from durable_orders.trading.orders.order import Frozen

BINARY = (Format.XLSX, Format.PARQUET)


def write_positions(found: Portfolio, shape: Format, output: Path | None, *, by_strategy: bool = False) -> int:
    """To the file, whole or not at all, or to stdout: the account's, or with `by_strategy` each strategy's own. Returns
    how many lines there were. `shape` is not a table."""
    kind: type[Frozen] = StrategyLine if by_strategy else PositionLine
    lines: Sequence[Frozen] = _own(found) if by_strategy else found.positions
    if output is None:
        _write_text(kind, lines, shape, sys.stdout)
        return len(lines)
    with journal_output.whole_file(output, binary=shape in BINARY) as file:
        if shape is Format.XLSX:
            _write_workbook(found, file)
        elif shape is Format.PARQUET:
            from durable_orders.cli.parquet import write_rows

            write_rows("positions", _columns(kind), map(_row, lines), file)
        else:
            _write_text(kind, found.strategies if by_strategy and shape is Format.JSON else lines, shape, file)
    return len(lines)


def _own(found: Portfolio) -> list[StrategyLine]:
    return [line for each in found.strategies for line in each.lines]


def _columns(kind: type[Frozen]) -> tuple[str, ...]:
    """Those of the JSON, in its order."""
    return tuple(kind.model_fields)


def _row(line: Frozen) -> tuple[Any, ...]:
    """What each strategy has of a position is one text, as in `breakout 75; manual -75`."""
    own = {name: getattr(line, name) for name in _columns(type(line))}
    if isinstance(line, PositionLine):
        own["strategies"] = "; ".join(f"{name} {quantity}" for name, quantity in line.strategies.items())
    return tuple(own.values())


def _write_text(kind: type[Frozen], lines: Sequence[Frozen], shape: Format, file: TextIO) -> None:
    if shape is Format.JSON:
        file.write(f"{json_text(lines, indent=2)}\n")
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_columns(kind))
    for line in lines:
        writer.writerow([rupees(each) if isinstance(each, Decimal) else each for each in _row(line)])


def _write_workbook(found: Portfolio, file: Any) -> None:
    """A sheet of the positions, one of each strategy's own, and one of what they add up to."""
    from durable_orders.cli.workbook import Sheets

    book = Sheets(file)
    sheets: tuple[tuple[str, type[Frozen], Sequence[Frozen]], ...] = (
        ("positions", PositionLine, found.positions),
        ("by strategy", StrategyLine, _own(found)),
    )
    for name, kind, lines in sheets:
        book.add(name, [column.replace("_", " ") for column in _columns(kind)], map(_row, lines))
    book.begin("totals", [("", 34)], header=False)
    for number, (name, amount) in enumerate(found.total.model_dump().items()):
        book.row(number, (f"{name.replace('_', ' ')}", amount))
    book.close()
