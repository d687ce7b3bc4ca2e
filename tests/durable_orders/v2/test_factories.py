"""The older way to get an engine or do without."""

from typing import Any

import pytest

import durable_orders.v2 as package
from durable_orders.v2 import (
    ExecutionEngineV2,
    ExecutionResult,
    OrderIntent,
    create_execution_engine_v2,
    execute_with_v2_or_fallback,
)
from tests.durable_orders.v2 import markets
from tests.durable_orders.v2.sessions import intent

ON = {"execution": {"use_execution_engine_v2": True}}


def test_the_public_names() -> None:
    assert sorted(package.__all__) == [
        "DEFAULT_EXPECTED_EDGE_RUPEES",
        "ExecutionEngineV2",
        "ExecutionEngineV2ToV3Adapter",
        "ExecutionResult",
        "GuardianDecision",
        "JournalStateStore",
        "OrderIntent",
        "SmartFillSimulator",
        "StateStore",
        "ThrottlerConfig",
        "TradeGuardian",
        "TradeThrottler",
        "build_throttler_config",
        "convert_strategy_intent_to_execution_intent",
        "create_execution_engine",
        "create_execution_engine_v2",
        "execute_with_v2_or_fallback",
        "fifo_pair",
        "latest_throttler_summary",
    ]
    assert all(hasattr(package, name) for name in package.__all__)


def test_the_older_engine_is_there_where_it_is_asked_for() -> None:
    made = create_execution_engine_v2("paper", None, None, None, None, ON, markets.LatestCandle())
    assert isinstance(made, ExecutionEngineV2)


@pytest.mark.parametrize(
    ("mode", "config", "market"),
    [
        ("paper", {}, markets.LatestCandle()),
        ("paper", {"execution": {"use_execution_engine_v2": False}}, markets.LatestCandle()),
        ("paper", ON, None),
        ("live", ON, markets.LatestCandle()),
        ("paper", ON | {"guardian": 7}, markets.LatestCandle()),
    ],
)
def test_and_none_where_it_is_not_or_cannot_be(mode: str, config: Any, market: Any) -> None:
    assert create_execution_engine_v2(mode, None, None, None, None, config, market) is None


def fallback(*names: str, **more: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, more


def test_the_fallback_is_for_want_of_an_engine() -> None:
    assert execute_with_v2_or_fallback(None, intent(), fallback, ("a",), {"b": 1}) == (("a",), {"b": 1})
    assert execute_with_v2_or_fallback(None, intent(), fallback) == ((), {})
    engine = create_execution_engine_v2("paper", None, None, None, None, ON, markets.LatestCandle())
    assert execute_with_v2_or_fallback(engine, intent(), fallback).status == "FILLED"


def test_an_engine_that_was_asked_is_the_only_one() -> None:
    class Sends:
        def execute_intent(self, intent: OrderIntent) -> ExecutionResult:
            raise TimeoutError("sent, and no answer")

    asked: list[str] = []
    with pytest.raises(TimeoutError):
        execute_with_v2_or_fallback(Sends(), intent(), asked.append, ("again",))
    assert asked == []
