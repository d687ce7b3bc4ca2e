"""Commands that only ask: show, list, events, positions."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from durable_orders.cli import render
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, connected, console, print_json
from durable_orders.portfolio import PositionLine, position_lines
from trading.ledger.migrate import open_database
from trading.ledger.reading import FeedEvent, events_after, list_orders
from trading.order import Account, Order, Status
from workers.connection import ui_link
from workers.home import Home

FOLLOW_SECONDS = 0.3
"""How often `events --follow` asks the ledger."""


@app.command()
def show(
    client_order_id: Annotated[str, typer.Argument(metavar="ID")],
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an order, everything that happened to it, and where to see it in the Temporal UI."""
    order, events = asyncio.run(_show(home, config, client_order_id))
    if as_json:
        print_json({"order": order, "events": events})
        return
    console.print(render.order_lines(order, ui_link(Home(home), order.order_id)))
    console.print()
    console.print(render.events_table(events, with_order=False))


async def _show(home: Path, config: Path | None, client_order_id: str) -> tuple[Order, list[FeedEvent]]:
    async with await connected(home, config) as orders:
        handle = orders.handle(client_order_id)
        return await handle.now(), await handle.events()


@app.command(name="list")
def list_command(
    open_only: Annotated[bool, typer.Option("--open", help="Only orders that have not ended.")] = False,
    status: Annotated[list[Status] | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Only this strategy.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 200,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the account's orders, newest first."""
    place = Home(home)
    settings = place.settings(config)
    with open_database(place.ledger_url(settings)) as database, database.read() as connection:
        found = list_orders(
            connection,
            Account(settings.account),
            statuses=status or None,
            symbol=symbol,
            strategy=strategy,
            open_only=open_only,
            limit=limit,
        )
    if as_json:
        print_json(found)
    elif found:
        console.print(render.orders_table(found))
    else:
        console.print("No orders.")


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
        raise typer.Exit(0) from None


async def _events(home: Path, config: Path | None, after: int, follow: bool, as_json: bool) -> None:
    place = Home(home)
    settings = place.settings(config)
    with open_database(place.ledger_url(settings)) as database:
        while True:
            with database.read() as connection:
                found = events_after(connection, after, account=Account(settings.account))
            if found:
                _print_events(found, as_json)
                after = found[-1].feed_id
            elif not follow:
                return
            else:
                await asyncio.sleep(FOLLOW_SECONDS)


def _print_events(found: list[FeedEvent], as_json: bool) -> None:
    if not as_json:
        console.print(render.events_table(found))
        return
    for event in found:
        sys.stdout.write(event.model_dump_json() + "\n")
    sys.stdout.flush()


@app.command()
def positions(home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the account's net positions."""
    place = Home(home)
    settings = place.settings(config)
    with open_database(place.ledger_url(settings)) as database, database.read() as connection:
        lines: list[PositionLine] = position_lines(connection, Account(settings.account))
    if as_json:
        print_json(lines)
    elif lines:
        console.print(render.positions_table(lines))
    else:
        console.print("No positions.")
