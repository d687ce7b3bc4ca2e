"""What an order that has not ended is waiting for, in one line."""

from datetime import UTC, datetime

from durable_orders.cli.render import rupees
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.ledger.last_ticks import LastTick, last_tick, symbols_with_ticks
from durable_orders.trading.orders.order import Mode, Order, OrderType, Status

FEW = 3
"""Symbols that are named."""
OLD_SECONDS = 60.0


async def waits_for(orders: Orders, handle: OrderHandle) -> str | None:
    """Nothing for an order that has ended, or works as it should and was not asked to do more."""
    order = await handle.now()
    if order.status.terminal:
        return None
    said = await handle.events()
    if not said:
        return "is recorded, but no worker has taken it yet; `durable-orders doctor` shows more"
    if order.status in (Status.PENDING, Status.UNKNOWN):
        return f"is {order.status}: {said[-1].message}"
    price = await orders.read(lambda connection: last_tick(connection, order.account, order.symbol))
    if price is None:
        shown = await orders.read(lambda connection: symbols_with_ticks(connection, order.account))
        return f"is {order.status}, and no price of {order.symbol} has come: {_market(order, shown)}"
    return _works(order, price)


async def lacks_a_price(orders: Orders, order: Order) -> bool:
    """Whether an order to be filled at the market's price has none to be filled at."""
    if order.status.terminal or order.order_type is not OrderType.MARKET:
        return False
    return await orders.read(lambda connection: last_tick(connection, order.account, order.symbol)) is None


def _market(order: Order, shown: list[str]) -> str:
    if not shown:
        return "the market has shown nothing yet"
    more = f" and {len(shown) - FEW} more" if len(shown) > FEW else ""
    whose = "this market's ticks are of" if order.mode is Mode.PAPER else "prices have come of"
    return f"{whose} {', '.join(shown[:FEW])}{more}"


def _works(order: Order, price: LastTick) -> str:
    age = (datetime.now(UTC) - price.received_at).total_seconds()
    last = f"the last price is {rupees(price.last_price)}"
    last += f", {age:.0f} s old: is the market open?" if age > OLD_SECONDS else ""
    at = {
        OrderType.LIMIT: f" at {rupees(order.price)}",
        OrderType.SL: f", to be triggered at {rupees(order.trigger_price)}",
        OrderType.SL_M: f", to be triggered at {rupees(order.trigger_price)}",
    }.get(order.order_type, "")
    return f"works{at}; {last}"
