"""Orders that GTTs have placed: each is its strategy's, and one that ends without its fill is told as an alert."""

from datetime import UTC, datetime

import sqlalchemy as sa

from durable_orders.trading.gtt.gtt import EXTERNAL, reason_of
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ist import IST, start_of_day
from durable_orders.trading.ledger.forgotten_orders import attribute
from durable_orders.trading.ledger.reading import find_order, last_sequence, views_for
from durable_orders.trading.ledger.recording import record_within
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import BrokerOrderId, Order, Status, is_adopted, order_id, tag_of

UNFILLED = (Status.REJECTED, Status.CANCELLED, Status.EXPIRED)


def of_gtt(order: Order, gtt: GttState) -> Order:
    """The order as its GTT wanted it."""
    intent = gtt.intent
    return order.model_copy(update={"strategy": intent.strategy, "reason": reason_of(intent.gtt_id)})


def unfilled_words(order: Order, gtt: GttState) -> str | None:
    """What is said of the order of a GTT that has ended without all of its fill: that GTT is spent. Else `None`."""
    if order.status not in UNFILLED:
        return None
    filled = f"{order.filled_quantity} of {order.quantity} filled"
    return f"the order of the GTT {gtt.intent.gtt_id} has ended with {filled}, and that GTT is spent"


def give_order_to(connection: sa.Connection, gtt: GttState, broker_order_id: BrokerOrderId) -> None:
    """An order that was taken for somebody else's before the broker said which GTT has placed it."""
    for view in views_for(connection, gtt.intent.account, tags=(), broker_order_ids={broker_order_id}):
        before = find_order(connection, view.order_id)
        if before is None or not is_adopted(view.order_id) or before.reason == of_gtt(before, gtt).reason:
            continue
        order = of_gtt(before, gtt)
        attribute(connection, order)
        words = f"placed by the GTT {gtt.intent.gtt_id}, as the broker says now"
        unfilled = unfilled_words(order, gtt)
        entry = Entry(
            sequence=last_sequence(connection, order.order_id) + 1,
            type=EventType.ALERT if unfilled else EventType.ORDER_UPDATED,
            at=datetime.now(UTC),
            message="; ".join(filter(None, (words, unfilled))),
            status=order.status,
        )
        record_within(connection, order, [entry], unsettled=order.status is Status.UNKNOWN)


def keep_unproved(connection: sa.Connection, gtt: GttState, now: datetime) -> None:
    """The order that a GTT has placed on an earlier day, and that no book has shown: UNKNOWN until a human says what it
    has traded, for Kite's book is of one day."""
    for leg, result in zip(gtt.legs, gtt.results, strict=False):
        own = None if result is None else result.order_id
        if result is None or own is None or result.at is None or result.at >= start_of_day(now):
            continue
        account = gtt.intent.account
        if views_for(connection, account, tags=(), broker_order_ids={own}):
            continue
        name = f"{EXTERNAL}{own}"
        asked = gtt.intent.with_legs((leg,)) if len(gtt.legs) > 1 else gtt.intent
        placed = next(asked.orders(result.at)).model_copy(
            update={
                "order_id": order_id(account, name),
                "client_order_id": name,
                "tag": tag_of(order_id(account, name)),
                "quantity": leg.quantity,
                "price": leg.price,
            }
        )
        day = result.at.astimezone(IST)
        words = f"placed by the GTT {gtt.intent.gtt_id} on {day:%d %b}, and no book of that day was read"
        order = of_gtt(placed, gtt).changed(
            status=Status.UNKNOWN, broker_order_id=own, reasons=(words,), updated_at=now
        )
        entry = Entry(sequence=1, type=EventType.ALERT, at=now, message=f"UNKNOWN: {words}", status=order.status)
        record_within(connection, order, [entry], unsettled=True)
