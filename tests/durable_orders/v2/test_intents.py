"""The older intent and result: fields, order, and how a signal becomes an intent."""

from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from durable_orders.v2 import ExecutionResult, OrderIntent, convert_strategy_intent_to_execution_intent


def test_an_intent_by_position() -> None:
    given = ("NIFTY24DECFUT", "s", "BUY", 50, "LIMIT", "NRML", "IOC", 101.5, 100.0, "run-1", "cross", 0.7, {"a": 1})
    intent = OrderIntent(*given)
    assert tuple(intent.to_dict().values()) == given
    assert list(intent.to_dict()) == [
        "symbol",
        "strategy_code",
        "side",
        "qty",
        "order_type",
        "product",
        "validity",
        "price",
        "trigger_price",
        "tag",
        "reason",
        "confidence",
        "metadata",
    ]


def test_what_an_intent_has_by_default_and_that_it_can_be_changed() -> None:
    intent = OrderIntent("X", "s", "BUY", 1)
    assert tuple(asdict(intent).values())[4:] == ("MARKET", "MIS", "DAY", None, None, None, "", 0.0, {})
    intent.qty = 2
    assert intent.to_dict()["qty"] == 2


def test_a_result() -> None:
    assert ExecutionResult("1", "FILLED", "X", "BUY", 1).to_dict() == {
        "order_id": "1",
        "status": "FILLED",
        "symbol": "X",
        "side": "BUY",
        "qty": 1,
        "avg_price": None,
        "message": None,
        "raw": None,
        "timestamp": None,
    }


@dataclass
class Signal:
    action: str
    symbol: str = "X"
    strategy_code: str = "s"
    qty: int | None = 3
    reason: str = "cross"
    confidence: float = 0.5
    metadata: dict[str, Any] = field(default_factory=lambda: {"exchange": "NSE"})


@pytest.mark.parametrize(
    ("action", "side"),
    [
        ("BUY", "BUY"),
        ("long", "BUY"),
        ("ENTRY_LONG", "BUY"),
        ("SELL", "SELL"),
        ("SHORT", "SELL"),
        ("entry_short", "SELL"),
        ("EXIT", "SELL"),
        ("CLOSE", "SELL"),
        ("hold", "HOLD"),
    ],
)
def test_what_a_signal_means(action: str, side: str) -> None:
    intent = convert_strategy_intent_to_execution_intent(Signal(action))
    assert intent == OrderIntent("X", "s", side, 3, reason="cross", confidence=0.5, metadata={"exchange": "NSE"})


def test_a_mapping_an_absent_signal_and_what_is_given_beside_it() -> None:
    mapping = {"signal": "SHORT", "symbol": "X", "strategy_id": "s", "qty_hint": 5}
    assert convert_strategy_intent_to_execution_intent(mapping) == OrderIntent("X", "s", "SELL", 5)
    absent = convert_strategy_intent_to_execution_intent(None, "Y", "t", 2, order_type="LIMIT", price=9.5)
    assert absent == OrderIntent("Y", "t", "BUY", 2, "LIMIT", price=9.5)
    assert convert_strategy_intent_to_execution_intent(Signal("BUY"), "Y", "t", 9).qty == 9
