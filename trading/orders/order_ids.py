"""What people write for an order: their own id of it, or the whole one."""

import re

from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.orders.order import OrderId, order_id

ORDER_ID = re.compile(r"order:[A-Za-z0-9._-]{1,64}:[A-Za-z0-9._-]{1,64}")


def order_id_of(account: str, text: str) -> OrderId:
    """The order id that a client order id of this account, or a whole order id, stands for.

    Raises `OrderNotFound` for what cannot be the id of an order.
    """
    own_id = text if text.startswith("order:") else order_id(account, text)
    if not ORDER_ID.fullmatch(own_id):
        raise OrderNotFound(f"no order {text[:64]!r}: it cannot be the id of one")
    return OrderId(own_id)
