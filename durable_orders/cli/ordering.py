"""The command that places an order, and what it shares with those that change one."""

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
    connected,
    console,
    fail,
    link,
    note,
    print_json,
)
from durable_orders.cli.numbers import QuantityArgument, whole_number
from durable_orders.cli.waiting import lacks_a_price, waits_for
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Product, Side, Status, Validity, is_plain
from durable_orders.workers.home import Home


def money(field: str, text: str | None) -> Decimal | None:
    """Rupees as they were typed. Raises `InvalidOrder`."""
    if text is None:
        return None
    try:
        if is_plain(text):
            return Decimal(text)
    except InvalidOperation:
        pass
    raise InvalidOrder(f"{field}: not a number of rupees, was {text[:40]!r}")


QUIET_SECONDS = 2.0
"""How long --wait says nothing."""
TypeOption = typer.Option("--type", case_sensitive=False, help="What kind of order.")
PriceOption = Annotated[str | None, typer.Option("--price", metavar="RUPEES", help="Limit price; for LIMIT and SL.")]
TriggerOption = Annotated[
    str | None, typer.Option("--trigger", metavar="RUPEES", help="Trigger price; for SL and SL-M.")
]
WithinOption = Annotated[
    float | None, typer.Option(min=0.1, max=86_400, help="Send it within this many seconds or not at all.")
]
LegsOption = Annotated[
    int | None,
    typer.Option(
        parser=whole_number, metavar="INTEGER", help="Split it into so many legs, one after the other; live only."
    ),
]
AutosliceOption = Annotated[
    bool, typer.Option("--autoslice", help="Let Kite split it at the exchange's freeze quantity; live only.")
]

IdOption = Annotated[
    str | None, typer.Option("--id", help="Your name for the order; the same one again is the same order.")
]
ApproveOption = Annotated[
    bool, typer.Option("--approve", help="Send it once somebody has approved it: `durable-orders approve ID`.")
]
ApproveWithinOption = Annotated[
    float | None, typer.Option(min=1, max=86_400, help="With --approve: seconds; without an approval, no order.")
]
ValidityTtlOption = Annotated[
    int | None,
    typer.Option(
        "--validity-ttl", parser=whole_number, metavar="MINUTES", help="Of --validity TTL, 1 to 120; live only."
    ),
]


@app.command()
def place(
    side: Annotated[Side, typer.Argument(case_sensitive=False, help="What to do.")],
    symbol: Annotated[str, typer.Argument(help="Exchange and tradingsymbol, as in NSE:INFY.")],
    quantity: QuantityArgument,
    order_type: Annotated[OrderType, TypeOption] = OrderType.MARKET,
    price: PriceOption = None,
    trigger: TriggerOption = None,
    product: Annotated[Product, typer.Option(case_sensitive=False, help="Kite's product.")] = Product.MIS,
    validity: Annotated[Validity, typer.Option(case_sensitive=False, help="Day, now or never, or for minutes.")] = (
        Validity.DAY
    ),
    validity_ttl: ValidityTtlOption = None,
    strategy: Annotated[str, typer.Option(help="Who wants it.")] = "manual",
    client_order_id: IdOption = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the order.")] = "",
    within: WithinOption = None,
    iceberg_legs: LegsOption = None,
    iceberg_quantity: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="INTEGER", help="Quantity of each leg, but for the last.")
    ] = None,
    autoslice: AutosliceOption = False,
    approve: ApproveOption = False,
    approve_within: ApproveWithinOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the proved end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and record it, and send nothing.")] = False,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Place an order and print it: as it stands once it is at the broker, or with --wait at its end.

    Exit code 1 if the order was rejected.
    """
    if approve_within is not None and not approve:
        raise typer.BadParameter("--approve-within belongs to --approve")
    settings = Home(home).settings(config)
    intent = _intent(
        account=settings.account,
        mode=settings.execution.mode,
        symbol=symbol.upper(),
        side=side,
        quantity=quantity,
        order_type=order_type,
        price=money("price", price),
        trigger_price=money("trigger_price", trigger),
        product=product,
        validity=validity,
        strategy=strategy,
        client_order_id=client_order_id,
        reason=reason,
        place_by=datetime.now(UTC) + timedelta(seconds=within) if within else None,
        dry_run=dry_run,
        approve=approve,
        approve_by=datetime.now(UTC) + timedelta(seconds=approve_within) if approve_within else None,
        instructions={
            "validity_ttl": validity_ttl,
            "iceberg_legs": iceberg_legs,
            "iceberg_quantity": iceberg_quantity,
            "autoslice": autoslice or None,
        },
    )
    try:
        order = asyncio.run(_place(home, config, intent, wait))
    except KeyboardInterrupt:
        note(f"interrupted; `durable-orders show {intent.client_order_id}` tells what became of the order")
        raise
    show_order(order, home, as_json)


def _intent(*, client_order_id: str | None, instructions: dict[str, Any], **terms: Any) -> OrderIntent:
    """Raises `InvalidOrder` for terms that no order can have."""
    if client_order_id is not None:
        terms["client_order_id"] = client_order_id
    if any(value is not None for value in instructions.values()):
        terms["instructions"] = instructions
    try:
        return OrderIntent(**terms)
    except ValidationError as error:
        raise explained(error) from None


async def _place(home: Path, config: Path | None, intent: OrderIntent, wait: bool) -> Order:
    async with await connected(home, config) as orders:
        if wait:
            return await _ended(orders, await orders.place(intent))
        order = await orders.place_and_wait(intent)
        if order.status in (Status.PENDING, Status.UNKNOWN) or await lacks_a_price(orders, order):
            await _tell(orders, orders.handle(order.order_id))
        return order


async def _ended(orders: Orders, handle: OrderHandle) -> Order:
    """The order at its end; says what it waits for where that takes a while."""
    ending = asyncio.ensure_future(handle.result())
    await asyncio.wait({ending}, timeout=QUIET_SECONDS)
    if not ending.done():
        await _tell(orders, handle)
    return await ending


async def _tell(orders: Orders, handle: OrderHandle) -> None:
    if words := await waits_for(orders, handle):
        note(f"{handle.order_id.split(':', 2)[-1]} {words}")


def print_order(order: Order, home: Path, as_json: bool) -> None:
    """On stdout, with the link to its page in the Temporal UI, or as JSON."""
    if as_json:
        print_json(order)
    else:
        console.print(render.order_text(order, link(home, order.order_id)), soft_wrap=True)


def show_order(order: Order, home: Path, as_json: bool) -> None:
    """Print it. A rejected one is a failure, with every reason."""
    print_order(order, home, as_json)
    if order.status is Status.REJECTED:
        fail(f"{order.client_order_id} was rejected: {'; '.join(order.reasons)}")
