"""The command that tells how well orders were executed."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, note
from durable_orders.cli.journal import DAY, FROM, TO, bounds
from durable_orders.cli.journal_output import FORMAT, OutputOption, format_of, whole_file
from durable_orders.cli.render import rupees
from durable_orders.execution_quality import By, Line, grouped, lines
from durable_orders.json_text import jsonable
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.trading.config.settings import Settings
    from durable_orders.trading.quality.tape import Tape

TICK = Decimal("0.05")
ONE_BY_ONE = (
    *("client_order_id", "symbol", "side", "order_type", "status", "filled_quantity", "quantity"),
    *("arrival_price", "average_price", "slippage_bps", "spread_paid_bps", "markout_60s_bps", "shortfall_rupees"),
    "intent_to_sent_ms",
)
IN_GROUPS = (
    *("orders", "filled_orders", "turnover", "slippage_bps", "slippage_rupees", "spread_paid_bps", "markout_60s_bps"),
    *("charges_rupees", "shortfall_rupees", "median_intent_to_sent_ms"),
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
        typer.Option(help="Recorded ticks, for markouts, VWAP and close; may be given several times.", dir_okay=False),
    ] = None,
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
    found = _found(place, settings, since, until, _tape(ticks or (), settings))
    told = grouped(found, by) if by is not None else found
    columns = ONE_BY_ONE if by is None else (by.value, *IN_GROUPS)
    if output is not None and wanted is Format.XLSX:
        _write_workbook(told, columns, output)
        note(f"{output} has {len(told)} lines")
    elif output is not None:
        with whole_file(output) as file:
            file.write(_text(told, columns, wanted, found))
        note(f"{output} has {len(told)} lines")
    elif wanted is Format.TABLE:
        _print_table(told, columns)
    else:
        sys.stdout.write(_text(told, columns, wanted, found))
        sys.stdout.flush()


def _found(
    place: Home, settings: "Settings", since: datetime | None, until: datetime | None, tape: "Tape | None"
) -> list[Line]:
    from durable_orders.trading.ledger.executions import executions

    with place.ledger(settings) as database, database.read() as connection:
        return list(lines(executions(connection, settings.account, since, until), tape))


def _tape(files: Sequence[Path], settings: "Settings") -> "Tape | None":
    """Raises `InvalidTicks` for a file that has none."""
    from durable_orders.trading.market.tick_files import read_ticks
    from durable_orders.trading.quality.tape import Tape

    if not files:
        return None
    return Tape(tick for file in files for tick in read_ticks(file, settings.market.symbol, TICK))


def _text(told: Sequence[Line], columns: Sequence[str], shape: Format, found: Sequence[Line]) -> str:
    if shape is Format.JSON:
        return json.dumps(told, default=jsonable, indent=2) + "\n"
    if shape is Format.HTML:
        from durable_orders.cli.quality_page import page

        return page(told, columns, found)
    rows = ["\t".join(columns), *("\t".join(_shown(line[name]) for name in columns) for line in told)]
    return "\n".join(rows) + "\n"


def _write_workbook(told: Sequence[Line], columns: Sequence[str], output: Path) -> None:
    """With every figure of a line, as in the JSON."""
    from durable_orders.cli.workbook import Sheets

    titles = list(told[0]) if told else columns
    with whole_file(output, binary=True) as file:
        sheets = Sheets(file)
        sheets.add("quality", titles, ([line[title] for title in titles] for line in told))
        sheets.close()


def _print_table(told: Sequence[Line], columns: Sequence[str]) -> None:
    from rich.table import Table

    if not told:
        console.print("No order was approved in that time.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name.replace("_", " "), justify="left" if isinstance(told[0][name], str) else "right")
    for line in told:
        table.add_row(*(_shown(line[name]) for name in columns))
    console.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return rupees(value) if isinstance(value, Decimal) else str(value)
