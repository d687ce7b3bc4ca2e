"""Commands that change something: place, cancel, amend, halt, resume."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from durable_orders.cli import render
from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    app,
    complain,
    connected,
    console,
    explained,
    print_json,
)
from durable_orders.orders import PLACED_SECONDS
from trading.errors import InvalidOrder
from trading.ledger.accounts import set_halt
from trading.ledger.migrate import open_database
from trading.order import Amendment, Order, OrderIntent, OrderType, Product, Side, Status, Validity
from workers.connection import ui_link
from workers.home import Home


def _money(field: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidOrder(f"{field}: not a number of rupees, was {text[:40]!r}") from None


PriceOption = Annotated[str | None, typer.Option("--price", help="Rupees; for LIMIT and SL.")]
TriggerOption = Annotated[str | None, typer.Option("--trigger", help="Trigger price in rupees; for SL and SL-M.")]


@app.command()
def place(
    side: Annotated[Side, typer.Argument(case_sensitive=False)],
    symbol: Annotated[str, typer.Argument(help="Exchange and tradingsymbol, as in NSE:INFY.")],
    quantity: Annotated[int, typer.Argument(help="Shares or units, not lots.")],
    order_type: Annotated[OrderType, typer.Option("--type", case_sensitive=False)] = OrderType.MARKET,
    price: PriceOption = None,
    trigger: TriggerOption = None,
    product: Annotated[Product, typer.Option(case_sensitive=False)] = Product.MIS,
    validity: Annotated[Validity, typer.Option(case_sensitive=False)] = Validity.DAY,
    strategy: Annotated[str, typer.Option(help="Who wants it.")] = "manual",
    client_order_id: Annotated[
        str | None, typer.Option("--id", help="Your name for the order; the same one again is the same order.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")] = "",
    within: Annotated[
        float | None, typer.Option(min=0.1, help="Send it within this many seconds or not at all.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the proved end.")] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Place an order and print it: as it stands once it is at the broker, or with --wait at its end.

    Exit code 1 if the order was rejected.
    """
    settings = Home(home).settings(config)
    content: dict[str, Any] = {
        "account": settings.account,
        "mode": settings.execution.mode,
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
        "order_type": order_type,
        "price": _money("price", price),
        "trigger_price": _money("trigger_price", trigger),
        "product": product,
        "validity": validity,
        "strategy": strategy,
        "reason": reason,
        "place_by": datetime.now(UTC) + timedelta(seconds=within) if within else None,
    }
    content |= {"client_order_id": client_order_id} if client_order_id is not None else {}
    try:
        intent = OrderIntent(**content)
    except ValidationError as error:
        raise explained(error) from None
    _show(asyncio.run(_place(home, config, intent, wait)), home, as_json)


async def _place(home: Path, config: Path | None, intent: OrderIntent, wait: bool) -> Order:
    async with await connected(home, config) as orders:
        if not wait:
            return await orders.place_and_wait(intent, PLACED_SECONDS)
        return await (await orders.place(intent)).result()


def _show(order: Order, home: Path, as_json: bool) -> None:
    if as_json:
        print_json(order)
    else:
        console.print(render.order_lines(order, ui_link(Home(home), order.order_id)))
    if order.status is Status.REJECTED:
        complain(f"{order.client_order_id} was rejected: {'; '.join(order.reasons)}")
        raise typer.Exit(1)


@app.command()
def cancel(
    client_order_id: Annotated[str, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")] = "by hand",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel an order and wait for its end, which the broker's book decides.

    Exit code 1 if it ended otherwise.
    """
    order = asyncio.run(_cancel(home, config, client_order_id, reason))
    if as_json:
        print_json(order)
    else:
        console.print(render.order_lines(order, ui_link(Home(home), order.order_id)))
    if order.status is not Status.CANCELLED:
        complain(f"{order.client_order_id} was not cancelled: it is {order.status}")
        raise typer.Exit(1)


async def _cancel(home: Path, config: Path | None, client_order_id: str, reason: str) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).cancel(reason)


@app.command()
def amend(
    client_order_id: Annotated[str, typer.Argument(metavar="ID")],
    price: PriceOption = None,
    quantity: Annotated[int | None, typer.Option(help="The new total, filled part included.")] = None,
    trigger: TriggerOption = None,
    order_type: Annotated[OrderType | None, typer.Option("--type", case_sensitive=False)] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a working order: price, quantity, trigger price or type."""
    content = {"price": _money("price", price), "trigger_price": _money("trigger_price", trigger)}
    try:
        change = Amendment(quantity=quantity, order_type=order_type, **content)
    except ValidationError as error:
        raise explained(error) from None
    _show(asyncio.run(_amend(home, config, client_order_id, change)), home, as_json)


async def _amend(home: Path, config: Path | None, client_order_id: str, change: Amendment) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).amend(change)


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why; shown with every order that is refused.")] = "halted by hand",
    home: HomeOption = HOME,
    config: ConfigOption = None,
) -> None:
    """Take no new orders for the account. What is already working goes on."""
    _set_halt(home, config, reason)


@app.command()
def resume(home: HomeOption = HOME, config: ConfigOption = None) -> None:
    """Take new orders again."""
    _set_halt(home, config, None)


def _set_halt(home: Path, config: Path | None, reason: str | None) -> None:
    place = Home(home)
    settings = place.settings(config)
    with open_database(place.ledger_url(settings)) as database:
        set_halt(database, settings.account, reason, datetime.now(UTC))
    console.print(f"account {settings.account} is {'active' if reason is None else f'halted: {reason}'}")
