"""A caller's throttler and guardian: what they are asked, and how they may answer."""

from collections.abc import Mapping
from typing import Any

from durable_orders.callers.figures import first_of
from durable_orders.callers.methods import call_as, method_of

EXPECTED_EDGE = 100.0
"""Rupees, for an intent that says nothing of its edge."""


def throttled(throttler: Any, symbol: str, strategy: str, edge: float = EXPECTED_EDGE) -> str | None:
    """Why the throttler lets no trade through, by `can_trade` or `should_allow_entry`; `None` if it does.

    What it raises goes on. Raises `TypeError` for one with neither method.
    """
    if throttler is None:
        return None
    named = {"symbol": symbol, "strategy": strategy}
    if (ask := method_of(throttler, "can_trade")) is not None:
        answer = call_as(ask, ((), named | {"expected_edge": edge}), ((), named), ((symbol, strategy), {}))
    elif (ask := method_of(throttler, "should_allow_entry")) is not None:
        answer = call_as(ask, ((symbol, strategy, 0.0, edge), {}))
    else:
        kind = type(throttler).__name__
        raise TypeError(f"throttler: a {kind} has neither can_trade() nor should_allow_entry()")
    return _refusal(answer)


def guarded(guardian: Any, order: Any, snapshot: Mapping[str, Any] | None) -> str | None:
    """Why the guardian refuses the order, by `validate_pre_trade`; `None` if it does not.

    What it raises goes on. Raises `TypeError` for one without that method.
    """
    if guardian is None:
        return None
    ask = method_of(guardian, "validate_pre_trade")
    if ask is None:
        raise TypeError(f"guardian: a {type(guardian).__name__} has no validate_pre_trade()")
    return _refusal(call_as(ask, ((order, snapshot), {}), ((order,), {"market_snapshot": snapshot}), ((order,), {})))


def _refusal(answer: Any) -> str | None:
    """Of a pair, a decision with `allow` (or `allowed`) and `reason`, or a plain truth value. Only `True` allows."""
    if isinstance(answer, tuple) and answer:
        allowed, reason = answer[0], answer[1] if len(answer) > 1 else None
    elif isinstance(answer, bool):
        allowed, reason = answer, None
    else:
        allowed, reason = first_of(answer, "allow", "allowed"), first_of(answer, "reason")
    return None if allowed is True else str(reason or "no reason given")
