"""Orders as the older engine's results and journal rows."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from durable_orders.trading.orders.order import Status
from durable_orders.v2.intents import ExecutionResult, OrderIntent

SHOWN = {Status.EXPIRED: "CANCELLED"}
"""Where the older engine has no word of its own. `PENDING` (recorded, nothing sent yet) and `UNKNOWN` stay as they are:
any other word would be a guess."""


def status_word(status: Status) -> str:
    return SHOWN.get(status, status.value)


def rejected(intent: OrderIntent, message: str, **raw: Any) -> ExecutionResult:
    """Certainly not placed."""
    return replace(result_of(intent, "REJECTED"), message=message, raw=raw or None)


def result_of(intent: OrderIntent, status: str, order_id: str | None = None) -> ExecutionResult:
    now = datetime.now(UTC).isoformat()
    return ExecutionResult(order_id, status, intent.symbol, intent.side, intent.qty, timestamp=now)


def row_of(intent: OrderIntent, result: ExecutionResult, mode: str, filled: int | None = None) -> dict[str, Any]:
    """The journal row of an executed intent. What was filled is in it where the status alone does not say it."""
    row = {
        "order_id": result.order_id,
        "timestamp": result.timestamp,
        "symbol": intent.symbol,
        "strategy": intent.strategy_code,
        "side": intent.side,
        "qty": intent.qty,
        "order_type": intent.order_type,
        "status": result.status,
        "avg_price": result.avg_price,
        "message": result.message,
        "mode": mode,
        "reason": intent.reason,
    }
    return row if filled is None else row | {"filled_qty": filled}
