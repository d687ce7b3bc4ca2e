"""The command that prints a financial year."""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, note
from durable_orders.cli.journal_output import (
    FORMAT,
    OutputOption,
    counted,
    format_of,
    until_the_reader_leaves,
    whole_file,
)
from durable_orders.cli.render import rupees
from durable_orders.json_text import jsonable
from durable_orders.statement import By, Line, financial_year, year_of
from durable_orders.statement import statement as lines_of
from durable_orders.trading.ist import IST
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.trading.ledger.yearly import Earning

SHOWN = ("trades", "bought", "sold", "realized", "charges", "net", "turnover")


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


@app.command()
def statement(
    year: Annotated[
        str | None, typer.Option(metavar="YYYY-YY", help="The financial year, as in 2025-26; this one if not given.")
    ] = None,
    by: Annotated[
        list[By] | None, typer.Option(case_sensitive=False, help="Only by these; by all three if not given.")
    ] = None,
    shape: Annotated[Format | None, FORMAT] = None,
    output: OutputOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a financial year by month, class of instrument and strategy, with the turnover of a tax audit.

    docs/statement.md says what is counted, and by which source.
    """
    from durable_orders.trading.ledger.yearly import earnings

    named = year or year_of(datetime.now(IST).date())
    try:
        since, until = financial_year(named)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--year'") from None
    wanted = format_of(Format, shape, output, as_json=as_json)
    place = Home(home)
    settings = place.settings(config)
    keys = [each for each in By if each in (by or By)]
    with place.ledger(settings) as database, database.read() as connection:
        found = earnings(connection, settings.account, since, until, settings.ledger.realized_by)
        if wanted is Format.XLSX and output is not None:
            count = _write_workbook(list(found), keys, output)
        else:
            told = lines_of(found, keys)
            count = len(told)
            if output is not None:
                with whole_file(output) as file:
                    file.write(_text(told, keys, wanted))
            elif wanted is Format.TABLE:
                _print_table(told, keys, named)
            else:
                with until_the_reader_leaves():
                    sys.stdout.write(_text(told, keys, wanted))
    if output is not None:
        note(f"{output} has {counted(count, 'line')} of {named}")


def _write_workbook(found: "Sequence[Earning]", keys: Sequence[By], output: Path) -> int:
    """A sheet of all lines, and one of each way to add them up."""
    from durable_orders.cli.workbook import Sheets

    told = lines_of(found, keys)
    with whole_file(output, binary=True) as file:
        sheets = Sheets(file)
        sheets.add("statement", _columns(keys), [list(line.values()) for line in told])
        for key in keys if len(keys) > 1 else ():
            sheets.add(f"by {key}", _columns([key]), [list(line.values()) for line in lines_of(found, [key])])
        sheets.close()
    return len(told)


def _columns(keys: Sequence[By]) -> list[str]:
    from durable_orders.statement import SUMS

    return [*(key.value for key in keys), "trades", "uncharged_trades", *SUMS]


def _text(told: Sequence[Line], keys: Sequence[By], shape: Format) -> str:
    if shape is Format.JSON:
        return json.dumps(told, default=jsonable, indent=2) + "\n"
    file = StringIO()
    separator = "," if shape is Format.CSV else "\t"
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow(_columns(keys))
    writer.writerows([[jsonable(value) for value in line.values()] for line in told])
    return file.getvalue()


def _print_table(told: Sequence[Line], keys: Sequence[By], year: str) -> None:
    from rich.table import Table

    if not told:
        console.print(f"Nothing was traded in {year}.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key in keys:
        table.add_column(key.value)
    for name in SHOWN:
        table.add_column(name, justify="right")
    for line in told:
        figures = (line[name] if isinstance(line[name], int) else rupees(line[name]) for name in SHOWN)
        table.add_row(*(line[key.value] for key in keys), *(str(figure) for figure in figures))
    console.print(table)
    if uncharged := sum(line["uncharged_trades"] for line in told):
        console.print(f"Charges of {counted(uncharged, 'trade')} are not known, and not in it.")
