"""The commands that settle by hand what nothing can prove any more: an order's end, and a position."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from durable_orders import halting
from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, connected, console, print_json
from durable_orders.cli.changing import IdArgument
from durable_orders.cli.numbers import whole_number
from durable_orders.cli.ordering import money, print_order
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.explained import explained
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import BrokerOrderId, Mode, Order, Product, Status
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.reconciliation.position_settling import settle_position
from durable_orders.workers.home import Home


@app.command()
def settle(
    client_order_id: IdArgument,
    status: Annotated[
        Status, typer.Option("--as", case_sensitive=False, help="FILLED, CANCELLED, EXPIRED or REJECTED.")
    ],
    evidence: Annotated[str, typer.Option(help="Where you looked it up, as in `contract note of 26 Nov`; kept.")],
    quantity: Annotated[
        int | None,
        typer.Option(
            "--traded",
            parser=whole_number,
            metavar="INTEGER",
            help="What was traded beyond what is recorded, as Kite counts.",
        ),
    ] = None,
    price: Annotated[
        str | None,
        typer.Option("--price", metavar="RUPEES", help="Average price of what --traded says, as in the contract note."),
    ] = None,
    traded_at: Annotated[
        str | None, typer.Option("--traded-at", metavar="TIME", help="When, in IST, as in '2026-11-26 15:12'.")
    ] = None,
    broker_order_id: Annotated[
        str | None, typer.Option(help="The broker's id of the order, if its answer was lost and it traded.")
    ] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of an order that is UNKNOWN and to be reviewed, as the broker's own papers have it.

    That is one whose day was over before its end was seen: Kite's order book is of one day. It takes no new risk until
    then.
    """
    try:
        settlement = Settlement(
            status=status,
            evidence=evidence,
            quantity=quantity,
            price=money("price", price),
            traded_at=_moment(traded_at),
            broker_order_id=BrokerOrderId(broker_order_id) if broker_order_id else None,
        )
    except ValidationError as error:
        raise explained(error) from None
    print_order(asyncio.run(_settle(home, config, client_order_id, settlement)), home, as_json)


@app.command(name="settle-position")
def settle_position_command(
    symbol: Annotated[str, typer.Argument(help="As in NSE:INFY.")],
    product: Annotated[Product, typer.Option(case_sensitive=False, help="Of the position.")],
    quantity: Annotated[
        int,
        typer.Option(
            parser=whole_number,
            metavar="INTEGER",
            help="What is added to the ledger's position, as Kite counts; below 0 takes away.",
        ),
    ],
    evidence: Annotated[str, typer.Option(help="Where you looked it up, as in `contract note of 26 Nov`; kept.")],
    price: Annotated[
        str | None,
        typer.Option(
            metavar="RUPEES",
            help="As quoted: of the trade, or of the settlement; 0 for an option that expired worthless. Not for a "
            "conversion or a corporate action, where the cost stays.",
        ),
    ] = None,
    kind: Annotated[EntryKind, typer.Option(case_sensitive=False, help="What it was.")] = EntryKind.OTHER,
    to_product: Annotated[
        Product | None, typer.Option("--to", case_sensitive=False, help="The product that a conversion made of it.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Whose position it was; else it is worked out.")] = None,
    home: HomeOption = HOME,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a position of which the broker has something else than the ledger, as its own papers have it.

    It moves the position without an order, with its profit, and no further than the two differ. `durable-orders
    positions` shows what differs. Until it is explained, the symbol takes no new risk.
    """
    try:
        entry = PositionEntry(
            symbol=symbol.upper(),
            product=product,
            quantity=quantity,
            kind=kind,
            price=money("price", price),
            to_product=to_product,
            strategy=strategy,
            evidence=evidence,
            who=halting.operator(),
        )
    except ValidationError as error:
        raise explained(error) from None
    place = Home(home)
    settings = place.settings(config)
    with place.ledger(settings) as database:
        is_live = settings.execution.mode is Mode.LIVE
        left = settle_position(database, settings.account, entry, datetime.now(UTC), is_of_one_day=is_live)
    if as_json:
        print_json({"entered": entry, "unexplained": [each._asdict() for each in left]})
        return
    console.print(f"entered: {entry.words}", markup=False, soft_wrap=True)
    for each in left:
        console.print(f"still unexplained: {each}", markup=False, soft_wrap=True)


async def _settle(home: Path, config: Path | None, client_order_id: str, settlement: Settlement) -> Order:
    async with await connected(home, config) as orders:
        return await orders.handle(client_order_id).settle(settlement)


def _moment(text: str | None) -> datetime | None:
    """IST, unless it says otherwise. Raises `InvalidOrder`."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidOrder(
            f"traded_at: must be a date and a time, as in '2026-11-26 15:12', was {text[:40]!r}"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=IST)
