"""The command for orders that wait at the broker until a price is reached: gtt."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from durable_orders.cli.app import (
    HOME,
    ConfigOption,
    HomeOption,
    JsonOption,
    app,
    connected,
    console,
    fail,
    print_json,
)
from durable_orders.cli.numbers import QuantityArgument, whole_number
from durable_orders.cli.ordering import money
from durable_orders.cli.planning import SideArgument, StrategyOption, SymbolArgument
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.gtt.gtt import UNRESOLVED, GttIntent, GttLeg, GttStatus, stays
from durable_orders.trading.gtt.view import GttLegView, GttView
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import Product
from durable_orders.workers.home import Home

gtt = typer.Typer(help="Have the broker keep orders until a price is reached (GTT).", no_args_is_help=True)

TriggersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trigger", metavar="RUPEES", help="The last price that places the order; twice: whichever is first."
    ),
]
PricesOption = Annotated[
    list[str] | None, typer.Option("--price", metavar="RUPEES", help="Limit of the order of each --trigger.")
]
LastPriceOption = Annotated[
    str | None,
    typer.Option("--last-price", metavar="RUPEES", help="Where the price is now; without it, the broker is asked."),
]
GttIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The GTT's id.")]


@gtt.command("place")
def place(
    side: SideArgument,
    symbol: SymbolArgument,
    quantity: QuantityArgument,
    trigger: TriggersOption = None,
    price: PricesOption = None,
    product: Annotated[Product, typer.Option(case_sensitive=False, help="CNC or MTF; NRML on NFO, BFO.")] = Product.CNC,
    last_price: LastPriceOption = None,
    strategy: StrategyOption = "manual",
    gtt_id: Annotated[
        str | None, typer.Option("--id", help="Your name for it; the same one again is the same GTT.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the GTT.")] = "",
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the broker keep a LIMIT order until the last price reaches --trigger, for up to a year. Live accounts only.

    Exit code 1 if it is refused, or if it is not known what came of it: then it is UNKNOWN, and never sent again.
    """
    settings = Home(home).settings(config)
    content: dict[str, Any] = {
        "account": settings.account,
        "mode": settings.execution.mode,
        "side": side,
        "symbol": symbol.upper(),
        "product": product,
        "legs": _legs(trigger, price, quantity),
        "last_price": money("last_price", last_price),
        "strategy": strategy,
        "reason": reason,
    }
    try:
        intent = GttIntent.model_validate(content if gtt_id is None else content | {"gtt_id": gtt_id})
    except ValidationError as error:
        raise explained(error) from None

    async def ask() -> GttView:
        async with await connected(home, config) as orders:
            return await orders.place_gtt(intent)

    view = asyncio.run(ask())
    _print([view], as_json)
    if view.status is GttStatus.REJECTED:
        again = "" if gtt_id is None else "; that id is used up, try it with another --id"
        fail(f"{view.gtt_id} was refused: {'; '.join(view.reasons)}{again}")
    _must_be_known(view)


@gtt.command("list")
def listing(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the account's GTTs, newest first, also those that were placed in the broker's app."""

    async def ask() -> Sequence[GttView]:
        async with await connected(home, config) as orders:
            return await orders.gtts(open_only=not every)

    found = asyncio.run(ask())
    if not found and not as_json:
        console.print("No GTTs." if every else "No GTTs are open; `--all` has those that are over, too.")
        return
    _print(found, as_json, as_list=True)


@gtt.command("show")
def show(
    gtt_id: GttIdArgument, home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show how a GTT stands, with the order that came of it."""

    async def ask() -> GttView:
        async with await connected(home, config) as orders:
            return await orders.gtt(gtt_id)

    _print([asyncio.run(ask())], as_json)


@gtt.command("change")
def change(
    gtt_id: GttIdArgument,
    trigger: TriggersOption = None,
    price: PricesOption = None,
    quantity: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="INTEGER", help="Of each order; without it, as it is.")
    ] = None,
    last_price: LastPriceOption = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have an ACTIVE GTT wait for other prices. Exit code 1 if it was not changed, or if that is not known."""
    if trigger is None and price is None and quantity is None:
        raise InvalidOrder(f"{gtt_id}: say what is to change: --trigger, --price or --quantity")

    async def ask() -> GttView:
        async with await connected(home, config) as orders:
            view = await orders.gtt(gtt_id)
            now = view.legs
            if len(trigger or price or now) != len(now):
                raise InvalidOrder(f"trigger: {stays(view.type)}")
            legs = _legs(
                trigger or [str(leg.trigger_price) for leg in now],
                price or [str(leg.price) for leg in now],
                quantity,
                [leg.quantity for leg in now],
            )
            return await orders.change_gtt(gtt_id, legs, last_price=money("last_price", last_price))

    _print([asyncio.run(ask())], as_json)


@gtt.command("delete")
def delete(
    gtt_id: GttIdArgument, home: HomeOption = HOME, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """End a GTT, also one that is not placed so far. Exit code 1 if it was not deleted, as it was triggered before, or
    if that is not known."""

    async def ask() -> GttView:
        async with await connected(home, config) as orders:
            return await orders.delete_gtt(gtt_id)

    _print([asyncio.run(ask())], as_json)


@gtt.command("settle")
def settle(
    gtt_id: GttIdArgument,
    evidence: Annotated[str, typer.Option(help="What shows it; kept with the GTT.")],
    trigger_id: Annotated[
        str | None, typer.Option("--trigger-id", help="Which one of the broker's list it is; without it, none.")
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say by hand what came of a GTT that is UNKNOWN.

    Exit code 1 if it still is after the broker's list was read: that does not show it so, or was not read in time.
    """

    async def ask() -> GttView:
        async with await connected(home, config) as orders:
            return await orders.settle_gtt(gtt_id, trigger_id, evidence)

    view = asyncio.run(ask())
    _print([view], as_json)
    _must_be_known(view)


def _must_be_known(view: GttView) -> None:
    if view.status not in UNRESOLVED:
        return
    why = f": {'; '.join(view.reasons)}" if view.reasons else ""
    fail(f"{view.gtt_id} is {view.status}{why}; `durable-orders gtt show {view.gtt_id}` tells what came of it")


def _legs(
    triggers: list[str] | None, prices: list[str] | None, quantity: int | None, known: Sequence[int] = ()
) -> tuple[GttLeg, ...]:
    """One a trigger. Raises `InvalidOrder`."""
    triggers, prices = triggers or [], prices or []
    if not triggers or len(triggers) != len(prices) or len(triggers) > 2:
        raise InvalidOrder("trigger: give --trigger and --price once, or twice for a two-leg GTT")
    if quantity is None and len(known) != len(triggers):
        raise InvalidOrder("quantity: give --quantity")
    legs = []
    for number, (trigger, price) in enumerate(zip(triggers, prices, strict=True)):
        own = {"trigger_price": money("trigger", trigger), "price": money("price", price)}
        try:
            legs.append(GttLeg.model_validate(own | {"quantity": known[number] if quantity is None else quantity}))
        except ValidationError as error:
            raise explained(error) from None
    return tuple(legs)


def _print(views: Sequence[GttView], as_json: bool, *, as_list: bool = False) -> None:
    if as_json:
        print_json(list(views) if as_list else views[0])
        return
    for view in views:
        console.print(_text(view), markup=False, soft_wrap=True)


def _text(view: GttView) -> str:
    at_broker = f" as {view.trigger_id}" if view.trigger_id else ""
    until = f", until {view.expires_at.astimezone(IST):%d %b %Y}" if view.expires_at and view.status.is_open else ""
    lines = [f"{view.gtt_id}  {view.status}{at_broker}: {view.side} {view.symbol} {view.product}{until}"]
    lines += ["  " + _leg(leg) for leg in view.legs]
    lines += [f"  {view.changing} was asked for, and is not known to have been done"] if view.changing else []
    return "\n".join([*lines, *(f"  - {reason}" for reason in view.reasons)])


def _leg(leg: GttLegView) -> str:
    words = f"{leg.quantity} at {leg.price} from {leg.trigger_price} on"
    if leg.order_id:
        status = f", {leg.order_status}, {leg.filled_quantity} filled" if leg.order_status else ""
        words += f"; triggered at {leg.triggered_at}: order {leg.order_id}{status}"
    elif leg.rejection_reason:
        words += f"; triggered at {leg.triggered_at}, and no order was placed: {leg.rejection_reason}"
    return words


app.add_typer(gtt, name="gtt")
