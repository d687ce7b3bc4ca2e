"""How existing code makes its engine: the one line that changes is the import."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from durable_orders.callers.figures import section
from durable_orders.v2.adapter import ExecutionEngineV2ToV3Adapter
from durable_orders.v2.engine import ExecutionEngineV2
from durable_orders.v2.intents import OrderIntent

log = logging.getLogger(__name__)


def create_execution_engine(
    mode: str,
    config: Any,
    state_store: Any,
    journal_store: Any,
    mde: Any = None,
    broker: Any = None,
    guardian: Any = None,
    throttler: Any = None,
    logger_instance: logging.Logger | None = None,
    use_v3: bool = True,
) -> ExecutionEngineV2ToV3Adapter | ExecutionEngineV2:
    """The engine over today's parts; with `use_v3=False` the older one, whose words are its own and whose paper orders
    meet the simulator. Live orders go the same way. Close either at the end, or use it as a context manager.

    With `execution.home` in the configuration, orders are durable workflows of that home's desk, unless `use_v3=False`
    asks for paper. A `guardian` that is given is asked by either engine. Raises `ValueError` for a mode without what it
    needs, and for a configuration that cannot be used.
    """
    args = (mode, broker, state_store, journal_store, throttler, logger_instance, config, mde)
    if use_v3:
        return ExecutionEngineV2ToV3Adapter(*args, guardian)
    engine = ExecutionEngineV2(*args)
    if guardian is not None:
        engine.guardian = guardian
    return engine


def create_execution_engine_v2(
    mode: str,
    broker: Any,
    state_store: Any,
    journal_store: Any,
    trade_throttler: Any,
    config: Any,
    mde: Any = None,
) -> ExecutionEngineV2 | None:
    """The older engine, where `execution.use_execution_engine_v2` asks for it; `None` where it does not, or where
    the engine cannot be made. Why it cannot is logged."""
    try:
        if not section(config, "execution").get("use_execution_engine_v2", False):
            return None
        return ExecutionEngineV2(mode, broker, state_store, journal_store, trade_throttler, None, config, mde)
    except Exception:
        log.exception("the execution engine cannot be made")
        return None


def execute_with_v2_or_fallback(
    engine: Any,
    intent: OrderIntent,
    fallback_fn: Callable[..., Any],
    fallback_args: Sequence[Any] = (),
    fallback_kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """The engine's result; without an engine, what the fallback gives.

    An engine that was asked is the only one: whatever it answers or raises, the fallback does not send the same order
    again.
    """
    if engine is None:
        return fallback_fn(*fallback_args, **(fallback_kwargs or {}))
    return engine.execute_intent(intent)
