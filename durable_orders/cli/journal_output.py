"""The journal as a table or as JSON, line by line as it is read, and where it goes."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from durable_orders.cli.app import WIDE, console, fail
from durable_orders.cli.fitting import FittingTable
from durable_orders.cli.render import rupees, status_text
from durable_orders.json_text import jsonable
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.journal import JournalLine
from durable_orders.trading.ledger.journal_csv import write_csv
from durable_orders.trading.ledger.journal_events import EventLine, write_events_csv

__all__ = [
    "FORMAT",
    "Format",
    "OutputOption",
    "counted",
    "format_of",
    "until_the_reader_leaves",
    "whole_file",
    "write_csv",
    "write_events_csv",
    "write_events_table",
    "write_json",
    "write_table",
]

F = TypeVar("F", bound=StrEnum)

FORMAT = typer.Option("--format", case_sensitive=False, help="Without it, by the end of --output's name, or a table.")
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="Write to this file instead, whole or not at all.", dir_okay=False)
]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


PAGE = 500
"""Lines of a table that are laid out together."""


def write_json(lines: Iterable[JournalLine | EventLine | Mapping[str, Any]], file: TextIO) -> int:
    """One JSON array, with a line for each element. Returns how many there were, like the others here."""
    encode = json.JSONEncoder(default=jsonable, check_circular=False).encode
    count = 0
    for count, line in enumerate(lines, 1):
        shown = line if isinstance(line, Mapping) else asdict(line)
        file.write(f"{',' if count > 1 else '['}\n{encode(shown)}")
    file.write("\n]\n" if count else "[]\n")
    return count


def write_table(lines: Iterable[JournalLine], file: TextIO) -> int:
    """For people, with the totals below."""
    to = console if file is sys.stdout else Console(file=file, width=WIDE, highlight=False)
    sums, every = Sums(), iter(lines)
    while page := list(islice(every, PAGE)):
        to.print(_table(page, header=not sums.lines))
        for line in page:
            sums.add(line)
    if sums.lines:
        to.print(f"\n{sums}")
    return sums.lines


def write_events_table(lines: Iterable[EventLine], file: TextIO) -> int:
    """For people: the order, and what happened to it."""
    to = console if file is sys.stdout else Console(file=file, width=WIDE, highlight=False)
    count, every = 0, iter(lines)
    while page := list(islice(every, PAGE)):
        table = FittingTable(box=None, pad_edge=False, header_style="bold", show_header=not count)
        table.add_column("time (IST)", no_wrap=True, min_width=len("2026-01-05 09:15:00.000"))
        table.add_column("event", no_wrap=True, min_width=len("order_partially_filled"))
        table.add_column("order, and what happened", overflow="fold")
        for line in page:
            at = f"{line.at.astimezone(IST):%Y-%m-%d %H:%M:%S.%f}"[:-3]
            said = "  ".join(part for part in (line.order_id.split(":", 2)[-1], line.strategy, line.message) if part)
            table.add_row(at, line.type.value, printable(said))
        to.print(table)
        count += len(page)
    if count:
        to.print(f"\n{counted(count, 'event')}.")
    return count


@dataclass(slots=True)
class Sums:
    """What the lines add up to."""

    lines: int = 0
    fills: int = 0
    orders: set[str] = field(default_factory=set)
    realized: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)
    uncharged: int = 0

    def add(self, line: JournalLine) -> None:
        self.lines += 1
        self.orders.add(line.order_id)
        if line.trade_id is not None:
            self.fills += 1
            self.realized += line.realized_pnl or 0
            self.charges += line.charges or 0
            self.uncharged += line.charges is None

    def __str__(self) -> str:
        said = f"{counted(len(self.orders), 'order')}, {counted(self.fills, 'fill')}"
        if self.fills:
            said += f"; realized {rupees(self.realized)}, charges {rupees(self.charges)}"
        if self.uncharged:
            said += f" and those of {counted(self.uncharged, 'fill')}, which are not known"
        return f"{said}."


def counted(count: int, one: str, many: str = "") -> str:
    """As in `1 order`, `1,200 orders`."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"


def _table(lines: Iterable[JournalLine], *, header: bool) -> Table:
    """One line each. The widths are the same on every page."""
    table = FittingTable(box=None, pad_edge=False, header_style="bold", show_header=header)
    table.add_column("time (IST)", no_wrap=True, min_width=len("2026-01-05 09:15:00"))
    table.add_column("status", no_wrap=True, min_width=len("CANCELLED"))
    table.add_column("filled", no_wrap=True, min_width=len("1800 of 1800"), justify="right")
    table.add_column("price", no_wrap=True, min_width=len("24300.00"), justify="right")
    table.add_column("order", overflow="fold")
    for line in lines:
        table.add_row(
            f"{line.at.astimezone(IST):%Y-%m-%d %H:%M:%S}",
            status_text(line.status),
            f"{line.filled_quantity} of {line.quantity}",
            rupees(line.fill_price),
            _words(line),
        )
    return table


def _words(line: JournalLine) -> Text:
    prices = [rupees(line.price)] if line.price is not None else []
    prices += [f"trigger {rupees(line.trigger_price)}"] if line.trigger_price is not None else []
    terms = [line.side, str(line.quantity), line.symbol, line.order_type or line.reason, *prices, line.product]
    every = ("; ".join(line.reasons),) if line.reasons else ()
    last = every if line.trade_id is None else () if line.order_type else line.reasons[:1]
    said = "  ".join([line.client_order_id, line.strategy, " ".join(terms), *last])
    return printable(said)


def printable(said: str) -> Text:
    """Without what would break a line or steer a terminal."""
    return Text("".join(character if character.isprintable() else " " for character in said))


def format_of(formats: type[F], given: F | None, output: Path | None, *, as_json: bool) -> F:
    """What `--format`, `--json` and the end of `--output`'s name ask for together, of those that the command has; a
    table if none says anything."""
    if as_json:
        if given not in (None, formats("json")):
            raise typer.BadParameter(f"is {given}, and --json was given", param_hint="'--format'")
        return formats("json")
    if given == "xlsx" and output is None:
        raise typer.BadParameter("xlsx is a workbook, and needs --output FILE.xlsx", param_hint="'--format'")
    if given == "parquet" and output is None:
        raise typer.BadParameter("parquet needs --output FILE.parquet", param_hint="'--format'")
    if given is not None:
        return given
    by_name = output.suffix.lower().removeprefix(".") if output else ""
    if by_name in ("", "txt"):
        return formats("table")
    if by_name not in set(formats):
        raise typer.BadParameter(
            f"a .{by_name} is none of {', '.join(formats)}: give --format", param_hint="'--output'"
        )
    return formats(by_name)


@contextmanager
def whole_file(path: Path, *, binary: bool = False) -> Iterator[Any]:
    """A file to write, which is there under its name once the block has ended, and not before.

    If anything goes wrong, what was there before still is, and nothing else.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise typer.BadParameter(f"{path} must be a file", param_hint="'--output'")
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with half.open("xb") if binary else half.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        fail(f"{path}: cannot be written: {error.strerror or error}")
    except BaseException:
        half.unlink(missing_ok=True)
        raise


@contextmanager
def until_the_reader_leaves() -> Iterator[None]:
    """Whoever has read enough closes the pipe, as `head` does: the end, and no error."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the latter is what rich makes of the former
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush at the exit
        raise typer.Exit(0) from None
