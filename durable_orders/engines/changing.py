"""A change of an order, as every engine asks for it: of one that works, checked by the caller's guardian, and made."""

from typing import Any

from durable_orders.engines.checking import refusal_of
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.guardian.changing import changed_terms
from durable_orders.trading.orders.amending import not_done
from durable_orders.trading.orders.order import Amendment, Order, Terms
from durable_orders.trading.orders.verdict import Refusal


def must_work(order: Order) -> None:
    """Raises `InvalidOrder` for an order that has ended."""
    if order.status.terminal:
        raise InvalidOrder(f"{order.client_order_id} cannot be amended, it has ended: {order.status}")


def checked(order: Order, change: Amendment, guardian: Any, market_data: Any) -> Terms:
    """The terms after the change. Raises `InvalidOrder` where they do not fit together, and where the caller's guardian
    refuses an order with them."""
    terms = changed_terms(order, change)
    if isinstance(terms, Refusal):
        raise InvalidOrder(f"{order.client_order_id}: {not_done(change, terms)}")
    reason = refusal_of(guardian, market_data, with_terms(order, terms))
    if reason is not None:
        raise InvalidOrder(f"{order.client_order_id}: {not_done(change, reason)}")
    return terms


def with_terms(order: Order, terms: Terms) -> Order:
    return order.changed(
        order_type=terms.order_type, quantity=terms.quantity, price=terms.price, trigger_price=terms.trigger_price
    )


def must_be_made(order: Order, change: Amendment) -> Order:
    """The order, which has these terms now. Raises `InvalidOrder`, with what was noted on the order, if it has not."""
    if change.is_in(order):
        return order
    begins = f"amendment ({change.summary()})"
    noted = [reason for reason in order.reasons if reason.startswith(begins)]
    if noted:
        raise InvalidOrder(f"{order.client_order_id}: {noted[-1]}")
    must_work(order)
    raise InvalidOrder(f"{order.client_order_id}: {not_done(change, 'the exchange has not taken it')}")
