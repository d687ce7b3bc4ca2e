"""Whole numbers as they are typed. Python's own reader takes 1_50 for 150."""

from typing import Annotated

import typer

from durable_orders.trading.orders.terms import whole


def whole_number(typed: str) -> int:
    """Raises `typer.BadParameter`, which names the option."""
    number = whole(str(typed))
    if number is None:
        raise typer.BadParameter(f"must be a whole number, was {typed[:40]!r}")
    return number


QuantityArgument = Annotated[
    int,
    typer.Argument(
        parser=whole_number,
        help="Shares or units, as Kite counts; lots on MCX, NCO, CDS and BCD.",
    ),
]
