"""Commands that change an order: cancel, amend."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, connected, fail
from durable_orders.cli.ordering import PriceOption, TriggerOption, TypeOption, money, print_order, show_order
from trading.explained import explained
from trading.order import Amendment, Order, OrderType, Status

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The client order id, or the whole order id.")]


@app.command()
def cancel(
    client_order_id: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")] = "by hand",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel an order and wait for its end, which the broker's book decides.

    Exit code 1 if it ended otherwise, or has not ended after 30 seconds: the request stands then, and goes on.
    """
    order = asyncio.run(_cancel(home, config, client_order_id, reason))
    print_order(order, home, as_json)
    if not order.status.terminal:
        fail(f"{order.client_order_id} is still {order.status}; the cancel request stands and goes on")
    if order.status is not Status.CANCELLED:
        fail(f"{order.client_order_id} was not cancelled: it is {order.status}")


async def _cancel(home: Path, config: Path | None, client_order_id: str, reason: str) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).cancel(reason)


@app.command()
def amend(
    client_order_id: IdArgument,
    price: PriceOption = None,
    quantity: Annotated[int | None, typer.Option(help="The new total, filled part included.")] = None,
    trigger: TriggerOption = None,
    order_type: Annotated[OrderType | None, TypeOption] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a working order: price, quantity, trigger price or type."""
    content = {"price": money("price", price), "trigger_price": money("trigger_price", trigger)}
    try:
        change = Amendment(quantity=quantity, order_type=order_type, **content)
    except ValidationError as error:
        raise explained(error) from None
    show_order(asyncio.run(_amend(home, config, client_order_id, change)), home, as_json)


async def _amend(home: Path, config: Path | None, client_order_id: str, change: Amendment) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).amend(change)
