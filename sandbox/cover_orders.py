"""Cover orders: an entry, and the stop that Kite makes behind it once it is filled (Kite staff, kite.trade forum).

The stop names the entry as `parent_order_id`. To exit is to have the stop become a MARKET order. Who cancels the stop
without naming the parent has a position without one.
"""

from collections.abc import Iterator, Sequence

from durable_orders.sandbox.book import OrderView
from durable_orders.sandbox.order_forms import AUTOMATIC, Placement, Variety
from durable_orders.sandbox.store import Cover, OrderDetails
from durable_orders.trading.exchange.orders import terms_of
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Amendment, OrderType, Side, Terms

AT_MARKET = Amendment(order_type=OrderType.MARKET)
STOP_ALONE = "Only the `trigger_price` of the second leg of a cover order can be modified."


def due_stops(views: Sequence[OrderView], *, tagged: bool) -> Iterator[Placement]:
    """The stop behind each entry that has ended with something filled. `tagged`: with the tag of the entry."""
    made = {view.details.parent for view in views}
    for view in views:
        row, cover = view.row, view.details.cover
        is_over = row.state is not BookState.WORKING and row.filled_quantity > 0
        if cover is None or cover.parent is not None or not is_over or row.broker_order_id in made:
            continue
        stop = stop_behind(terms_of(row).model_copy(update={"quantity": row.filled_quantity}), cover)
        own = cover.model_copy(update={"parent": row.broker_order_id})
        details = view.details.model_copy(
            update={
                "cover": own,
                "market_protection": AUTOMATIC,
                "system_tags": (),
                "validity": None,
                "validity_ttl": None,
            }
        )
        yield Placement(Variety.CO, stop, row.tag if tagged else None, details)


def stop_behind(entry: Terms, cover: Cover) -> Terms:
    return Terms(
        symbol=entry.symbol,
        side=Side.SELL if entry.side is Side.BUY else Side.BUY,
        quantity=entry.quantity,
        order_type=OrderType.SL_M,
        trigger_price=cover.trigger_price,
        product=entry.product,
    )


def is_stop_of_cover(details: OrderDetails) -> bool:
    return details.cover is not None and details.cover.parent is not None


def moves_only_the_stop(details: OrderDetails, change: Amendment) -> bool:
    """Whether a change is one that can be made: of an entry any, of the stop behind it the trigger alone."""
    return not is_stop_of_cover(details) or change.model_dump(exclude_none=True).keys() == {"trigger_price"}
