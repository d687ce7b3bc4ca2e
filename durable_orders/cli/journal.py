"""The command that prints the journal: every fill, and every order without one, for whoever asks, years later."""

import sys
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from durable_orders.cli import journal_output
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, note
from durable_orders.cli.filters import named, of_symbol
from durable_orders.cli.journal_output import Format
from durable_orders.trading.ist import IST, YEARS
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.journal import Chosen, journal_lines
from durable_orders.trading.ledger.journal_events import journal_events
from durable_orders.trading.orders.order import Status
from durable_orders.workers.home import Home


def _workbook(lines: Any, file: Any) -> int:
    from durable_orders.cli.workbook import write_workbook

    return write_workbook(lines, file)


def _events_workbook(lines: Any, file: Any) -> int:
    from durable_orders.cli.workbook import write_events_workbook

    return write_events_workbook(lines, file)


def _parquet(lines: Any, file: Any) -> int:
    from durable_orders.cli.parquet import write_parquet

    return write_parquet(lines, file)


def _events_parquet(lines: Any, file: Any) -> int:
    from durable_orders.cli.parquet import write_events_parquet

    return write_events_parquet(lines, file)


WRITERS = {
    Format.TABLE: journal_output.write_table,
    Format.JSON: journal_output.write_json,
    Format.CSV: journal_output.write_csv,
    Format.XLSX: _workbook,
    Format.PARQUET: _parquet,
}
EVENT_WRITERS = WRITERS | {
    Format.TABLE: journal_output.write_events_table,
    Format.CSV: journal_output.write_events_csv,
    Format.XLSX: _events_workbook,
    Format.PARQUET: _events_parquet,
}
DAY = typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Only this day, in IST.")
FROM = typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="From this day on.")
TO = typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="To the end of this day.")


@app.command()
def journal(
    date: Annotated[datetime | None, DAY] = None,
    first: Annotated[datetime | None, FROM] = None,
    last: Annotated[datetime | None, TO] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol, such as NSE:INFY.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    account: Annotated[str | None, typer.Option(help="Of this account, instead of the settings' own.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option(case_sensitive=False, help="Only orders that stand like this.")
    ] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Everything that happened, instead of what was traded.")
    ] = False,
    shape: Annotated[Format | None, journal_output.FORMAT] = None,
    output: journal_output.OutputOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the journal, oldest first: one line for each fill, and one for each order that has none; or every event.

    Days are by the time of the trade, or of an order's last change. docs/journal.md explains the columns of the CSV.
    """
    place = Home(home)
    settings = place.settings(config)
    since, until = bounds(date, first, last)
    chosen = Chosen(
        account=named("--account", account) or settings.account,
        since=since,
        until=until,
        symbol=of_symbol(symbol),
        strategy=named("--strategy", strategy),
        statuses=status or None,
        realized_by=settings.ledger.realized_by,
    )
    wanted = journal_output.format_of(Format, shape, output, as_json=as_json)
    _print(place.ledger(settings), chosen, wanted, output, events=events)


def _print(ledger: Database, chosen: Chosen, shape: Format, output: Path | None, *, events: bool) -> None:
    ask: Any = journal_events if events else journal_lines
    write: Any = (EVENT_WRITERS if events else WRITERS)[shape]
    with ledger as database, database.read() as connection:
        lines = ask(connection, chosen)
        if output is not None:
            with journal_output.whole_file(output, binary=shape in (Format.XLSX, Format.PARQUET)) as file:
                count = write(lines, file)
        else:
            with journal_output.until_the_reader_leaves():
                count = write(lines, sys.stdout)
    if output is not None:
        note(f"{output} has {count} lines of the journal")
    elif not count and shape is Format.TABLE:
        console.print("Nothing in the journal for that.")


def bounds(
    date: datetime | None, first: datetime | None, last: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """From the beginning of the first day to the end of the last one, in IST."""
    if date is not None and (first or last):
        raise typer.BadParameter("is one day: give either it, or --from and --to", param_hint="'--date'")
    first, last = date or first, date or last
    for given in (first, last):
        if given is not None and given.year not in YEARS:
            raise typer.BadParameter(f"the year must be {YEARS[0]} to {YEARS[-1]}", param_hint="a date")
    if first and last and last < first:
        raise typer.BadParameter(f"must not lie before --from, {first:%Y-%m-%d}", param_hint="'--to'")
    since = datetime.combine(first, time(0), IST) if first else None
    return since, datetime.combine(last + timedelta(days=1), time(0), IST) if last else None
