"""The interfaces that strategies of the older in-process engine call, over today's parts.

`docs/migrating-from-v2.md` says what is different, and why.
"""

from durable_orders.v2.adapter import ExecutionEngineV2ToV3Adapter
from durable_orders.v2.engine import ExecutionEngineV2
from durable_orders.v2.factories import (
    create_execution_engine,
    create_execution_engine_v2,
    execute_with_v2_or_fallback,
)
from durable_orders.v2.fifo import fifo_pair
from durable_orders.v2.guardian import GuardianDecision, TradeGuardian
from durable_orders.v2.intents import ExecutionResult, OrderIntent, convert_strategy_intent_to_execution_intent
from durable_orders.v2.journal import JournalStateStore
from durable_orders.v2.smart_fill import SmartFillSimulator
from durable_orders.v2.state import StateStore
from durable_orders.v2.throttler import (
    DEFAULT_EXPECTED_EDGE_RUPEES,
    ThrottlerConfig,
    TradeThrottler,
    build_throttler_config,
    latest_throttler_summary,
)

__all__ = [
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
