"""What the client sends with a GTT request: a form, in which `condition` and `orders` are JSON (Kite documentation)."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from durable_orders.sandbox.envelopes import wrong_input
from durable_orders.sandbox.gtt_triggers import GttRequest, GttType
from durable_orders.sandbox.order_forms import first_problem

VALUES = {GttType.SINGLE: 1, GttType.TWO_LEG: 2}
"""How many trigger values, and orders, a type has."""


def read_gtt(form: Mapping[str, object]) -> GttRequest:
    """Raises `KiteError` for what is missing or makes no sense. Fields that Kite does not know are dropped."""
    if (kind := str(form.get("type") or "")) not in VALUES:
        raise wrong_input("Invalid `type`.")
    condition, orders = _json(form, "condition", dict), _json(form, "orders", list)
    values = condition.get("trigger_values")
    wanted = VALUES[GttType(kind)]
    if not isinstance(values, list) or len(values) != wanted or len(orders) != wanted:
        raise wrong_input(f"A GTT of type {kind} takes {wanted} of `trigger_values` and of `orders`.")
    symbol = f"{condition.get('exchange')}:{condition.get('tradingsymbol')}"
    legs = [_leg(order, value, symbol) for order, value in zip(orders, values, strict=True)]
    try:
        return GttRequest.model_validate(
            {"symbol": symbol, "last_price": condition.get("last_price"), "legs": legs}, strict=False
        )
    except ValidationError as error:
        raise wrong_input(first_problem(error)) from None


def _leg(order: Any, value: Any, symbol: str) -> dict[str, Any]:
    if not isinstance(order, dict):
        raise wrong_input("Invalid `orders`.")
    if order.get("order_type") != "LIMIT":
        raise wrong_input("Invalid `order_type`: a GTT places LIMIT orders.")
    if f"{order.get('exchange')}:{order.get('tradingsymbol')}" != symbol:
        raise wrong_input("The orders of a GTT are of the instrument of its condition.")
    return {
        "trigger": value,
        "side": order.get("transaction_type"),
        "quantity": order.get("quantity"),
        "product": order.get("product"),
        "price": order.get("price"),
    }


def _json(form: Mapping[str, object], field: str, kind: type) -> Any:
    try:
        found = json.loads(str(form.get(field) or ""), parse_float=Decimal)
    except ValueError:
        raise wrong_input(f"Invalid `{field}`.") from None
    if not isinstance(found, kind):
        raise wrong_input(f"Invalid `{field}`.")
    return found
