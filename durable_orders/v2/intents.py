"""What strategies of the older engine make and get: `OrderIntent` and `ExecutionResult`."""

from dataclasses import asdict, dataclass, field
from typing import Any

from durable_orders.callers.figures import first_of

BUYS = frozenset({"BUY", "LONG", "ENTRY_LONG"})
SELLS = frozenset({"SELL", "SHORT", "ENTRY_SHORT", "EXIT", "CLOSE"})


@dataclass
class OrderIntent:
    """What a strategy wants. Nothing is checked here: the engine checks it, and answers with a reason."""

    symbol: str
    """Kite's tradingsymbol, as in `NIFTY24DECFUT`; with its exchange before a colon, or that in `metadata`."""
    strategy_code: str
    side: str
    qty: int
    """As Kite counts: units on NFO, and lots on MCX, NCO, CDS and BCD."""
    order_type: str = "MARKET"
    product: str = "MIS"
    validity: str = "DAY"
    price: float | None = None
    trigger_price: float | None = None
    tag: str | None = None
    """The caller's own mark. The broker sees another one, by which a lost answer is looked up."""
    reason: str = ""
    confidence: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    """`exchange` is where the symbol is traded, NFO without it; `client_order_id` names the order."""

    def __post_init__(self) -> None:
        self.metadata = {} if self.metadata is None else self.metadata

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class ExecutionResult:
    """What became of an intent, as far as it is known."""

    order_id: str | None
    status: str
    """`PLACED`, `REJECTED`, `FILLED`, `PARTIAL`, `CANCELLED`; `UNKNOWN`, where the broker's answer was lost and its
    book does not tell yet; `PENDING`, where an order is recorded on the server and no worker has sent it yet."""
    symbol: str
    side: str
    qty: int
    avg_price: float | None = None
    message: str | None = None
    raw: dict[str, Any] | None = None
    timestamp: str | None = None
    """ISO 8601 in UTC, with its offset."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def convert_strategy_intent_to_execution_intent(
    strategy_intent: Any,
    symbol: str | None = None,
    strategy_code: str | None = None,
    qty: int | None = None,
    **terms: Any,
) -> OrderIntent:
    """The order that a strategy's signal asks for.

    `strategy_intent` is an object or a mapping with `action` (or `signal`), and may have `symbol`, `strategy_code` (or
    `strategy_id`), `qty` (or `qty_hint`), `reason`, `confidence` and `metadata`. What is given beside it counts
    first. EXIT and CLOSE sell, for they do not say which side is held: a strategy that is short says BUY.
    """
    given: dict[str, Any] = {
        "reason": first_of(strategy_intent, "reason", "exit_reason") or "",
        "confidence": float(first_of(strategy_intent, "confidence") or 0.0),
        "metadata": dict(first_of(strategy_intent, "metadata", "extra") or {}),
    }
    return OrderIntent(
        symbol=symbol or first_of(strategy_intent, "symbol") or "",
        strategy_code=strategy_code or first_of(strategy_intent, "strategy_code", "strategy_id") or "",
        side=side_of(first_of(strategy_intent, "action", "signal") if strategy_intent is not None else "BUY"),
        qty=int(qty if qty is not None else first_of(strategy_intent, "qty", "quantity", "qty_hint") or 0),
        **given | terms,
    )


def side_of(action: Any) -> str:
    """BUY or SELL; an action that means neither as it is, in capitals, for the engine to refuse."""
    word = str(getattr(action, "value", action) or "").strip().upper()
    return "BUY" if word in BUYS else "SELL" if word in SELLS else word
