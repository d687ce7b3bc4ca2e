"""What Kite answers to an order request that it took: an id, or for autoslice an id and what became of each slice.

Since 27 March 2026 the latter is `{"order_id", "children": [{"order_id"} | {"error": {...}}]}` (Kite documentation).
"""

from collections.abc import Mapping
from typing import Any

from durable_orders.trading.orders.order import BrokerOrderId
from durable_orders.trading.orders.outcome import Accepted


def accepted_by(receipt: Any) -> Accepted | None:
    """`None` for what is neither: nobody can say what was taken."""
    if (plain := _id(receipt)) is not None:
        return Accepted(broker_order_id=plain)
    if not isinstance(receipt, Mapping):
        return None
    first, children = _id(receipt.get("order_id")), receipt.get("children")
    if first is None or not isinstance(children, list):
        return None
    taken, refused = [first], []
    for child in children:
        if not isinstance(child, Mapping):
            return None
        if (own := _id(child.get("order_id"))) is not None:
            taken.append(own)
        elif (words := _words(child.get("error"))) is not None:
            refused.append(words)
        else:
            return None
    told = tuple(
        f"{refused.count(words)} of {len(children) + 1} slices refused by the broker: {words}" for words in refused
    )
    return Accepted(broker_order_id=first, slices=tuple(taken), refusals=tuple(dict.fromkeys(told)))


def _id(value: Any) -> BrokerOrderId | None:
    return BrokerOrderId(value) if isinstance(value, str) and value.isalnum() else None


def _words(error: Any) -> str | None:
    if not isinstance(error, Mapping) or not isinstance(error.get("message"), str):
        return None
    marks = " ".join(str(error[name]) for name in ("code", "error_type") if error.get(name) is not None)
    return f"{error['message']} ({marks})" if marks else str(error["message"])
