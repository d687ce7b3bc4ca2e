"""Reads an order that is written in the names of the in-process engine that this project replaces.

There an order had `qty`, `filled_qty`, `avg_price`, `message` and `tags`, a bare tradingsymbol, and an id only once it
was placed. Product, validity, trigger price, exchange and reason stood among its tags.
"""

import json
import operator
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from uuid_utils import uuid7

EXCHANGE = "NFO"
"""Where a bare tradingsymbol is traded if its tags do not say."""
PLACES = Decimal("0.0001")
AT_THE_BROKER = ("PLACED", "PARTIAL", "FILLED")
"""An order that stood so had the broker's id as its own."""


def is_older(content: Mapping[str, Any]) -> bool:
    """Whether these are the older names. Today's orders always name their client order id."""
    return "client_order_id" not in content


def read(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same order in today's names, but for its tag and, where it had none, its order id.

    A price that is a float is rounded to four places, the most that Kite quotes. Raises `ValueError`, which names the
    field and the rule.
    """
    order = dict(content)
    tags = order["tags"] = _plain(order.get("tags"))
    order_id = str(order.pop("order_id", None) or "")
    order["client_order_id"] = order_id.rsplit(":", 1)[-1] or str(uuid7())
    order |= {"order_id": order_id} if order_id else {}
    if "qty" in order:
        order["quantity"] = _quantity(order.pop("qty"))
    order["symbol"] = _symbol(order.get("symbol"), tags)
    for field in ("product", "validity", "trigger_price", "reason"):
        if order.get(field) is None and tags.get(field) is not None:
            order[field] = tags[field]
    for field in ("price", "trigger_price"):
        order[field] = _rupees(order.get(field))
    now = datetime.now(UTC)
    order.setdefault("created_at", now)
    order.setdefault("updated_at", order["created_at"])
    return order | _standing(order, order_id)


def _standing(order: dict[str, Any], order_id: str) -> dict[str, Any]:
    """What had become of the order: its fills were one quantity and one price. The names are taken out of it."""
    filled, average, message = (order.pop(name, None) for name in ("filled_qty", "avg_price", "message"))
    standing: dict[str, Any] = {"reasons": (message,)} if message else {}
    if order.get("status") in AT_THE_BROKER and order_id:
        standing["broker_order_id"] = order.get("broker_order_id") or order_id
    if filled:
        if average is None:
            raise ValueError("avg_price: an order that has filled has one")
        fill = {"trade_id": f"{order_id}-all", "broker_order_id": order_id, "quantity": _quantity(filled)}
        standing["fills"] = (fill | {"price": _rupees(average), "at": order["updated_at"]},)
    return standing


def _plain(tags: Any) -> dict[str, Any]:
    """As JSON can carry them."""
    if tags is not None and not isinstance(tags, Mapping):
        raise ValueError(f"tags: must be a mapping, was {tags!r:.40}")
    plain: dict[str, Any] = json.loads(json.dumps(dict(tags), default=str)) if tags else {}
    return plain


def _quantity(value: Any) -> int:
    """Whole, of whatever type of whole number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        quantity = operator.index(value)
    except TypeError:
        raise ValueError(f"qty: must be a whole number, was {value!r:.40}") from None
    if quantity <= 0 or isinstance(value, bool):
        raise ValueError(f"qty: must be greater than 0, was {value!r:.40}")
    return quantity


def _symbol(value: Any, tags: Mapping[str, Any]) -> str:
    symbol = str(value or "").strip()
    if not symbol:
        raise ValueError("symbol: must not be empty")
    return symbol if ":" in symbol else f"{tags.get('exchange') or EXCHANGE}:{symbol}"


def _rupees(value: Any) -> Any:
    """Exact, where a float is the nearest that one can be."""
    return Decimal(repr(value)).quantize(PLACES).normalize() if isinstance(value, float) else value
