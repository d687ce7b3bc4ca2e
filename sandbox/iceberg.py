"""Iceberg orders: Kite makes each leg when the one before is filled, and none behind one that ended otherwise.

The legs share the first one's id as `parent_order_id` (Kite staff, kite.trade forum).
"""

from collections.abc import Iterator, Sequence

from durable_orders.sandbox.book import OrderView
from durable_orders.sandbox.order_forms import Placement, Variety
from durable_orders.sandbox.store import Leg
from durable_orders.trading.exchange.orders import terms_of
from durable_orders.trading.orders.book import BookState


def first_leg(asked: Placement) -> Placement:
    """The first order of an iceberg; any other order as it was asked for."""
    leg = asked.details.leg
    return asked if leg is None else _of_leg(asked, leg)


def due_legs(views: Sequence[OrderView], *, tagged: bool) -> Iterator[Placement]:
    """What comes next behind each leg that is filled. `tagged`: with the tag of the first."""
    made = {(leg.parent, leg.number) for view in views if (leg := view.details.leg) is not None}
    for view in views:
        leg, own = view.details.leg, view.row.broker_order_id
        if leg is None or view.row.state is not BookState.COMPLETE:
            continue
        following = leg.next(own)
        if following is not None and (following.parent, following.number) not in made:
            tag = view.row.tag if tagged else None
            yield _of_leg(Placement(Variety.ICEBERG, terms_of(view.row), tag, view.details), following)


def _of_leg(asked: Placement, leg: Leg) -> Placement:
    terms = asked.terms.model_copy(update={"quantity": leg.own_quantity})
    return Placement(asked.variety, terms, asked.tag, asked.details.model_copy(update={"leg": leg}))
