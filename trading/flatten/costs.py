"""What getting out has cost, against the last prices when it began."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.flatten.exits import Exit
from durable_orders.trading.flatten.request import ExitCost
from durable_orders.trading.flatten.snapshot import position_name
from durable_orders.trading.orders.order import PRICE_PLACES, Order, Side


def costs(exits: Mapping[str, Exit], closed: Iterable[Order]) -> Iterator[ExitCost]:
    """One of each symbol, product and side of which something was closed. The first start price of a position counts,
    whoever's part of it was closed."""
    trades: dict[tuple[str, Side], list[Order]] = {}
    for order in closed:
        if order.fills:
            trades.setdefault((position_name(order.symbol, order.product), order.side), []).append(order)
    for (name, side), orders in trades.items():
        begun = [each for key, each in exits.items() if key == name or key.startswith(f"{name} ")]
        start = next((each.start_price for each in sorted(begun, key=lambda each: each.began)), None)
        quantity = sum(order.filled_quantity for order in orders)
        value = sum((order.filled_value for order in orders), Decimal(0))
        first = orders[0]
        rupees = None
        if start is not None:
            rupees = (value - start * quantity) * side.sign * multiplier_of(first.symbol)
        yield ExitCost(
            symbol=first.symbol,
            product=first.product,
            quantity=side.sign * quantity,
            average_price=(value / quantity).quantize(PRICE_PLACES),
            start_price=start,
            rupees=rupees,
        )
