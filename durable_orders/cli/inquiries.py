"""Commands that only ask: show, list, events, positions. Of the server only what the ledger does not know: its client
is loaded for that alone."""

import asyncio
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_orders.assistant.explaining import Evidence, checked, evidence_of
from durable_orders.cli import render
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, console, link, note, print_json
from durable_orders.cli.commands import loading
from durable_orders.cli.filters import named, of_symbol
from durable_orders.cli.journal_output import FORMAT, Format, OutputOption, format_of
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import ServerUnreachable
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import FeedEvent, events_after, find_order, list_orders
from durable_orders.trading.orders.order import Account, Order, OrderId, Status
from durable_orders.trading.orders.order_ids import order_id_of
from durable_orders.workers.home import Home

if TYPE_CHECKING:
    from durable_orders.portfolio import Portfolio


class By(StrEnum):
    STRATEGY = "strategy"


FOLLOW_SECONDS = 0.3
"""How often `events --follow` asks the ledger."""
SERVER_SECONDS = 3.0
"""How long `list` waits for the server to name the orders that no worker has taken yet."""


@app.command()
def show(
    client_order_id: Annotated[str, typer.Argument(metavar="ID", help="The client order id, or the whole order id.")],
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an order, the figures of the checks that it passed, everything that happened to it, and where to see it in
    the Temporal UI."""
    order, evidence = asyncio.run(_show(home, config, client_order_id))
    if as_json:
        print_json({"order": order, "events": evidence.events, "checks": evidence.checks()})
        return
    console.print(render.order_text(order, link(home, order.order_id)), soft_wrap=True)
    for words in checked(evidence):
        console.print(words, soft_wrap=True, markup=False)
    console.print()
    console.print(
        render.events_table(evidence.events) if evidence.events else "Recorded, and no worker has taken it yet."
    )


async def _show(home: Path, config: Path | None, client_order_id: str) -> tuple[Order, Evidence]:
    """From the ledger, so that it works without a server too; from the server what the ledger does not know."""
    place = Home(home)
    settings = place.settings(config)
    order_id = order_id_of(settings.account, client_order_id)
    with place.ledger(settings) as database:
        with database.read() as connection:
            order = find_order(connection, order_id)
            found = evidence_of(connection, order) if order is not None else Evidence()
        return (order, found) if order is not None else (await _from_server(place, settings, database, order_id), found)


async def _from_server(home: Home, settings: Settings, ledger: Database, order_id: OrderId) -> Order:
    from durable_orders.not_started import as_it_stands
    from durable_orders.workers.connection import connect

    return await as_it_stands(await connect(home, settings), ledger, order_id)


@app.command(name="list")
def list_command(
    open_only: Annotated[bool, typer.Option("--open", help="Only orders that have not ended.")] = False,
    status: Annotated[list[Status] | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, newest first.")] = 200,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the account's orders, newest first."""
    wanted = Wanted(open_only, status or None, of_symbol(symbol), named("--strategy", strategy), limit)
    found = asyncio.run(_listed(home, config, wanted))
    if as_json:
        print_json(found)
    elif found:
        console.print(render.orders_table(found, console.width))
    else:
        console.print("No orders.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which orders to list."""

    open_only: bool
    statuses: list[Status] | None
    symbol: str | None
    strategy: str | None
    limit: int

    def include(self, order: Order) -> bool:
        """Whether an open order is among them."""
        return (
            (self.statuses is None or order.status in self.statuses)
            and self.symbol in (None, order.symbol)
            and self.strategy in (None, order.strategy)
        )


async def _listed(home: Path, config: Path | None, wanted: Wanted) -> list[Order]:
    """What the ledger has, and before it what waits for a worker, if there is a server to ask."""
    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database:
        fresh = [order for order in await _untaken(place, settings, database) if wanted.include(order)]
        with database.read() as connection:
            recorded = list_orders(connection, Account(settings.account), **asdict(wanted))
    known = {order.order_id for order in recorded}
    every = [*recorded, *(order for order in fresh if order.order_id not in known)]
    return sorted(every, key=lambda order: order.created_at, reverse=True)[: wanted.limit]


async def _untaken(home: Home, settings: Settings, ledger: Database) -> list[Order]:
    with loading():
        from durable_orders.not_started import not_started
        from durable_orders.workers.connection import connect

    try:
        async with asyncio.timeout(SERVER_SECONDS):
            return await not_started(await connect(home, settings), ledger, settings.account)
    except (ServerUnreachable, TimeoutError):
        return []


@app.command()
def events(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only events after this feed id.")] = 0,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what happened in the account, oldest first."""
    try:
        asyncio.run(_events(home, config, after, follow, as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None  # the way to end --follow


async def _events(home: Path, config: Path | None, after: int, follow: bool, as_json: bool) -> None:
    place = Home(home)
    settings = place.settings(config)
    printer = EventPrinter(as_json)
    with place.ledger(settings) as database:
        while True:
            with database.read() as connection:
                found = events_after(connection, after, account=Account(settings.account))
            if found:
                printer.print(found)
                after = found[-1].feed_id
            elif not follow:
                return
            else:
                await asyncio.sleep(FOLLOW_SECONDS)


class EventPrinter:
    """Prints batches of events as one table, or as one JSON object a line."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._ids = 0
        """The width of the longest id so far; 0 before the header has been printed."""

    def print(self, found: list[FeedEvent]) -> None:
        if self._as_json:
            sys.stdout.write("".join(f"{event.model_dump_json()}\n" for event in found))
        else:
            first, self._ids = not self._ids, max(self._ids, *(len(render.client_id(event)) for event in found))
            console.print(render.events_table(found, ids=self._ids, header=first, width=console.width))
        sys.stdout.flush()


@app.command()
def positions(
    by: Annotated[
        By | None, typer.Option(case_sensitive=False, help="What each strategy's own trades came to instead.")
    ] = None,
    shape: Annotated[Format | None, FORMAT] = None,
    output: OutputOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the account's net positions: what they earned and cost, in all and today, and where the broker has
    something else; or the same by strategy. As CSV, JSON, a workbook or Parquet with --output."""
    from durable_orders.portfolio import portfolio_of

    wanted = format_of(Format, shape, output, as_json=as_json)
    if output is not None and wanted is Format.TABLE:
        raise typer.BadParameter("a file is .csv, .json, .xlsx or .parquet", param_hint="'--output'")

    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database, database.read() as connection:
        realized_by = settings.ledger.realized_by
        found = portfolio_of(connection, Account(settings.account), datetime.now(UTC), realized_by)
    if output is not None or wanted is Format.CSV:
        from durable_orders.cli.positions_output import write_positions

        count = write_positions(found, wanted, output, by_strategy=by is not None)
        if output is not None:
            note(f"{output} has {count} positions")
    elif wanted is Format.JSON:
        print_json(found.positions if by is None else found.strategies)
    else:
        _print_positions(found, by)


def _print_positions(found: "Portfolio", by: By | None) -> None:
    if not found.positions:
        console.print("No positions.")
    elif by is not None:
        console.print(render.strategies_table(found))
    else:
        console.print(render.positions_table(found.positions, console.width))
        console.print(render.result_text(found.total))
        for words in render.unexplained_lines(found.positions):
            console.print(words, soft_wrap=True)
