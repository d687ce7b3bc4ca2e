"""The command that tells how well orders were executed."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TextIO

import typer

from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    SetOption,
    app,
    console,
    note,
    prints_aside,
)
from durable_orders.cli.fitting import PagedTable
from durable_orders.cli.journal import DAY, FROM, TO, bounds
from durable_orders.cli.journal_output import (
    FORMAT,
    PAGE,
    OutputOption,
    format_of,
    until_the_reader_leaves,
    whole_file,
    write_json,
)
from durable_orders.cli.render import rupees
from durable_orders.execution_quality import By, Line, grouped, lines
from durable_orders.trading.errors import StrategyFailed
from durable_orders.trading.ist import IST
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.trading.config.settings import Settings
    from durable_orders.trading.quality.tape import Tape

ONE_BY_ONE = (
    *("client_order_id", "symbol", "side", "order_type", "status", "filled_quantity", "quantity"),
    *("arrival_price", "average_price", "slippage_bps", "spread_paid_bps", "markout_60s_bps", "shortfall_rupees"),
    "intent_to_sent_ms",
)
IN_GROUPS = (
    *("orders", "filled_orders", "turnover", "slippage_bps", "slippage_rupees", "spread_paid_bps", "markout_60s_bps"),
    *("charges_rupees", "shortfall_rupees", "median_intent_to_sent_ms"),
)


DRIFT = (
    *("symbol", "side", "orders", "backtest_orders", "quantity", "backtest_quantity", "average_price"),
    *("backtest_average_price", "drift_bps", "drift_rupees", "slippage_bps", "backtest_slippage_bps"),
)


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    HTML = "html"
    XLSX = "xlsx"


@app.command()
def quality(
    by: Annotated[By | None, typer.Option(case_sensitive=False, help="In groups, instead of one by one.")] = None,
    date: Annotated[datetime | None, DAY] = None,
    first: Annotated[datetime | None, FROM] = None,
    last: Annotated[datetime | None, TO] = None,
    ticks: Annotated[
        list[Path] | None,
        typer.Option(help="File or folder of recorded ticks, for markouts, VWAP and close; may be repeated."),
    ] = None,
    drift: Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="Beside a backtest of that strategy over the same --ticks."),
    ] = None,
    given: SetOption = None,
    shape: Annotated[Format | None, FORMAT] = None,
    output: OutputOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how well orders were executed: slippage, spread, markouts, shortfall, and where the time went.

    What was not recorded is empty, and never guessed. docs/quality.md has the formulas.
    """
    wanted = format_of(Format, shape, output, as_json=as_json)
    place = Home(home)
    settings = place.settings(config)
    since, until = bounds(date, first, last)
    if drift is not None:
        if by is not None:
            raise typer.BadParameter("is told by symbol and side: leave out --by", param_hint="--drift")
        _tell(_drift(place, settings, drift, given or (), ticks or (), (since, until)), DRIFT, wanted, output)
        return
    if given:
        raise typer.BadParameter("is for --drift: a parameter of its strategy", param_hint="--set")
    tape = _tape(place, ticks or (), settings)
    columns = ONE_BY_ONE if by is None else (by.value, *IN_GROUPS)
    with _reading(place, settings, since, until, tape) as found:
        if wanted is Format.HTML:
            every = list(found)
            _tell(every if by is None else grouped(every, by), columns, wanted, output, every)
        else:
            _tell(found if by is None else grouped(found, by), columns, wanted, output)


def _tell(
    told: Iterable[Line], columns: Sequence[str], wanted: Format, output: Path | None, plotted: Sequence[Line] = ()
) -> None:
    """Line by line as they are read. `plotted` are the orders that the page's plots show."""
    if output is None:
        with until_the_reader_leaves():
            _write(told, columns, wanted, sys.stdout, plotted)
        return
    with whole_file(output, binary=wanted is Format.XLSX) as file:
        count = _write(told, columns, wanted, file, plotted)
    note(f"{output} has {count} lines")


def _write(told: Iterable[Line], columns: Sequence[str], wanted: Format, file: Any, plotted: Sequence[Line]) -> int:
    """Returns how many lines there were."""
    match wanted:
        case Format.XLSX:
            return _write_workbook(told, columns, file)
        case Format.JSON:
            return write_json(told, file)
        case Format.HTML:
            from durable_orders.cli.quality_page import page

            file.write(page(every := list(told), columns, plotted))
            return len(every)
        case Format.TABLE if file is sys.stdout:
            return _print_table(told, columns)
        case Format.TABLE:
            return _write_rows(told, columns, file)


def _drift(
    place: Home,
    settings: "Settings",
    file: Path,
    given: Sequence[str],
    ticks: Sequence[Path],
    within: "tuple[datetime | None, datetime | None]",
) -> list[Line]:
    """Of the strategy's orders within these moments; of the days of the ticks where none is said."""
    from durable_orders.cli.backtest import on_paper, played_over
    from durable_orders.drift import drift
    from durable_orders.trading.ledger.executions import executions
    from durable_orders.trading.strategies.files import load_strategy

    if not ticks:
        raise typer.BadParameter("needs the ticks of those days: give --ticks", param_hint="--drift")
    with prints_aside(as_json=True):
        loaded = load_strategy(file, given=given)
    played = played_over(loaded, on_paper(settings, {"ticks": tuple(ticks)}, {}, None), place, as_json=True)
    for words in played.notes:
        note(words)
    if played.failure is not None:
        raise StrategyFailed(played.failure)
    since, until = within if any(within) else _days(played.first, played.last)
    with place.ledger(settings) as database, database.read() as connection:
        own = executions(connection, settings.account, since, until)
        theirs = [each for each in played.orders if _is_within(each.created_at, since, until)]
        return drift((each for each in own if each.strategy == loaded.name), theirs)


def _is_within(at: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


def _days(first: datetime | None, last: datetime | None) -> tuple[datetime | None, datetime | None]:
    """Whole days, in IST."""
    if first is None or last is None:
        return None, None
    midnights = (each.astimezone(IST).replace(hour=0, minute=0, second=0, microsecond=0) for each in (first, last))
    since, until = midnights
    return since, until + timedelta(days=1)


@contextmanager
def _reading(
    place: Home, settings: "Settings", since: datetime | None, until: datetime | None, tape: "Tape | None"
) -> Iterator[Iterable[Line]]:
    """The orders of that time, which are read a few hundred at a time."""
    from durable_orders.trading.ledger.executions import executions

    with place.ledger(settings) as database, database.read() as connection:
        yield lines(executions(connection, settings.account, since, until), tape)


def _tape(place: Home, files: Sequence[Path], settings: "Settings") -> "Tape | None":
    """Read as a backtest reads them: by the instruments and `market.recordings` of the settings. Raises `InvalidTicks`
    for a file that has none."""
    from durable_orders.trading.market.files.report import ReadingReport
    from durable_orders.trading.market.instrument_sessions import InstrumentSessions
    from durable_orders.trading.market.recorded_ticks import market_ticks
    from durable_orders.trading.quality.tape import Tape
    from durable_orders.workers.instruments import instruments_of

    if not files:
        return None
    told = ReadingReport()
    market = settings.replaced({"market": {"ticks": tuple(files)}}).market
    instruments = instruments_of(place, settings)
    tape = Tape(market_ticks(market, instruments, InstrumentSessions(market, instruments), told))
    for words in told.lines():
        note(words)
    return tape


def _write_rows(told: Iterable[Line], columns: Sequence[str], file: TextIO) -> int:
    count = 0
    file.write("\t".join(columns) + "\n")
    for count, line in enumerate(told, 1):  # noqa: B007  (counted for the caller)
        file.write("\t".join([_shown(line[name]) for name in columns]) + "\n")
    return count


def _write_workbook(told: Iterable[Line], columns: Sequence[str], file: BinaryIO) -> int:
    """With every figure of a line, as in the JSON."""
    from durable_orders.cli.workbook import Sheets

    every = iter(told)
    first = next(every, None)
    titles, count = columns if first is None else list(first), 0

    def rows() -> Iterator[list[Any]]:
        nonlocal count
        for count, line in enumerate(chain(() if first is None else (first,), every), 1):  # noqa: B007
            yield [line[title] for title in titles]

    sheets = Sheets(file)
    sheets.add("quality", titles, rows())
    sheets.close()
    return count


def _print_table(told: Iterable[Line], columns: Sequence[str]) -> int:
    count, every, table = 0, iter(told), None
    while page := list(islice(every, PAGE)):
        if table is None:
            left = [isinstance(page[0][name], str) for name in columns]
            table = PagedTable(console, [name.replace("_", " ") for name in columns], left=left)
        table.print([[_shown(line[name]) for name in columns] for line in page])
        count += len(page)
    if not count:
        none = (
            "Neither the account nor the backtest traded."
            if columns is DRIFT
            else "No order was approved in that time."
        )
        console.print(none)
    return count


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return rupees(value) if isinstance(value, Decimal) else str(value)
