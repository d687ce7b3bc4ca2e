"""An intent of the older kind as today's `Order`, which checks what it says."""

import re
from typing import Any

from pydantic import ValidationError

from durable_orders.trading.explained import problems
from durable_orders.trading.orders.order import Order
from durable_orders.v2.intents import OrderIntent

REASON_LENGTH = 500
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


def checked(intent: OrderIntent, **more: Any) -> Order:
    """The intent's order, `PENDING`. Raises `ValueError`, which names the fields and their rules."""
    tags = {name: getattr(intent, name) for name in ("product", "validity", "trigger_price", "tag", "confidence")}
    tags |= {"reason": str(intent.reason or "").replace("\x00", "")[:REASON_LENGTH]}
    try:
        return Order(
            order_id=str(intent.metadata.get("client_order_id") or ""),
            symbol=intent.symbol,
            side=_word(intent.side),
            qty=intent.qty,
            order_type=_word(intent.order_type),
            price=intent.price,
            strategy=strategy_name(intent.strategy_code),
            tags=tags | intent.metadata,
            **more,
        )
    except ValidationError as error:
        raise ValueError("; ".join(map(str, problems(error)))) from None


def strategy_name(code: Any) -> str:
    """The strategy's code as a name that an order can carry: `-` stands for what a name has not."""
    return NOT_IN_A_NAME.sub("-", str(code or "").strip())[:64] or "manual"


def _word(value: Any) -> str:
    return str(getattr(value, "value", value) or "").strip().upper()
