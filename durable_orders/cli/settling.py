"""The command that settles an order whose end nothing can prove any more."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from durable_orders.cli.app import HOME, ConfigOption, HomeOption, JsonOption, app, connected
from durable_orders.cli.changing import IdArgument
from durable_orders.cli.ordering import PriceOption, money, print_order
from trading.errors import InvalidOrder
from trading.explained import explained
from trading.market.calendar import IST
from trading.order import BrokerOrderId, Order, Status
from trading.settlement import Settlement


@app.command()
def settle(
    client_order_id: IdArgument,
    status: Annotated[
        Status, typer.Option("--as", case_sensitive=False, help="FILLED, CANCELLED, EXPIRED or REJECTED.")
    ],
    evidence: Annotated[str, typer.Option(help="Where you looked it up, as in `contract note of 26 Nov`; kept.")],
    quantity: Annotated[
        int | None, typer.Option("--traded", help="Shares that were traded beyond those that are recorded.")
    ] = None,
    price: PriceOption = None,
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
