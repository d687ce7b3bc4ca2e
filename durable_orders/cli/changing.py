"""Commands that change an order: cancel, amend, approve, decline."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from durable_orders.cli import render
from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    app,
    connected,
    console,
    fail,
    note,
    print_json,
)
from durable_orders.cli.numbers import whole_number
from durable_orders.cli.ordering import PriceOption, TriggerOption, TypeOption, money, print_order, show_order
from durable_orders.halting import operator
from durable_orders.trading.errors import DurableOrdersError, LedgerUnusable, ServerUnreachable
from durable_orders.trading.orders.order import Amendment, Mode, Order, OrderType, Status
from durable_orders.trading.orders.order_ids import order_id_of
from durable_orders.trading.orders.terms import amendment_of
from durable_orders.workers.home import Home

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

    Where nobody takes the request, because the server, the order's workflow or the ledger is gone, the broker itself is
    asked at once, and stderr says so. Exit code 1 if it ended otherwise, or has not ended after 30 seconds: the request
    stands then, and goes on.
    """
    order = asyncio.run(_cancel(home, config, client_order_id, reason))
    print_order(order, home, as_json)
    if not order.status.terminal:
        fail(f"{order.client_order_id} is still {order.status}; the cancel request stands and goes on")
    if order.status is not Status.CANCELLED:
        fail(f"{order.client_order_id} was not cancelled: it is {order.status}")


async def _cancel(home: Path, config: Path | None, client_order_id: str, reason: str) -> Order:
    try:
        orders = await connected(home, config)
    except (ServerUnreachable, LedgerUnusable) as error:
        return _cancel_directly(home, config, client_order_id, error)
    async with orders:
        return await orders.handle(client_order_id).cancel(reason)


def _cancel_directly(home: Path, config: Path | None, client_order_id: str, trouble: DurableOrdersError) -> Order:
    """Past the server. Raises what is wrong with it where the broker has nothing of the order."""
    from durable_orders.direct_cancels import DirectCancels

    place = Home(home)
    settings = place.settings(config)
    if settings.execution.mode is Mode.PAPER and settings.ledger.url is None and not place.ledger_db.is_file():
        raise trouble  # the paper exchange is in the ledger, and there is none
    order_id = order_id_of(settings.account, client_order_id)
    with DirectCancels(place, settings) as direct:
        order, asked = direct.cancel(order_id)
    for each in asked:
        note(f"{trouble}: {each}")
    if order is None:
        if not asked:
            raise trouble
        raise typer.Exit(0 if all(each.is_taken for each in asked) else 1)
    return order


@app.command()
def amend(
    client_order_id: IdArgument,
    price: PriceOption = None,
    quantity: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="INTEGER", help="The new total, filled part included.")
    ] = None,
    trigger: TriggerOption = None,
    order_type: Annotated[OrderType | None, TypeOption] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a working order: price, quantity, trigger price or type."""
    content = {"price": money("price", price), "trigger_price": money("trigger_price", trigger)}
    change = amendment_of({"quantity": quantity, "order_type": order_type, **content})
    show_order(asyncio.run(_amend(home, config, client_order_id, change)), home, as_json)


async def _amend(home: Path, config: Path | None, client_order_id: str, change: Amendment) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).amend(change)


@app.command()
def approve(
    client_order_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The client order id; without one, those that wait are listed.")
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an order be sent that waits for a person's approval, or list those that do.

    The guardian judges it once more. Exit code 1 if it is rejected then, or waits for nobody's approval.
    """
    if client_order_id is None:
        waiting = asyncio.run(_waiting(home, config))
        if as_json:
            print_json(waiting)
        elif waiting:
            console.print(render.orders_table(waiting, console.width))
        else:
            console.print("No order waits for an approval.")
        return
    show_order(asyncio.run(_decided(home, config, client_order_id, None)), home, as_json)


@app.command()
def decline(
    client_order_id: IdArgument,
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")] = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reject an order that waits for a person's approval: it is never sent."""
    print_order(asyncio.run(_decided(home, config, client_order_id, reason)), home, as_json)


async def _waiting(home: Path, config: Path | None) -> list[Order]:
    async with await connected(home, config) as orders:
        return await orders.awaiting_approval()


async def _decided(home: Path, config: Path | None, client_order_id: str, declined: str | None) -> Order:
    async with await connected(home, config) as orders:
        if declined is None:
            return await orders.approve(client_order_id, operator())
        return await orders.decline(client_order_id, operator(), declined)
