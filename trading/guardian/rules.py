"""Strategy rules: checks that other packages bring along, by the entry point group `durable_orders.guardian_checks`.

An entry point names a class, or any callable, that is called with the options from the settings as keyword arguments
and gives a `Check`:

    [project.entry-points."durable_orders.guardian_checks"]
    trading_hours = "durable_orders.trading.guardian.trading_hours:TradingHours"

    guardian:
      strategies:
        opening-range:
          rules:
            trading_hours: {start: "09:30", end: "14:45"}
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.guardian.check import Check

GROUP = "durable_orders.guardian_checks"


def rules_of(strategy: str, rules: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """The strategy's rules. Raises `InvalidSettings`, which names the key, for one that cannot be had."""
    return [_rule(f"guardian.strategies.{strategy}.rules.{name}", name, options) for name, options in rules.items()]


def _rule(key: str, name: str, options: Mapping[str, Any]) -> Check:
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(sorted(entry_points(group=GROUP).names)) or "none"
        raise InvalidSettings(f"{key}: no installed package has this rule; known rules: {known}")
    try:
        rule = found[0].load()(**options)
    except Exception as error:  # whatever a foreign package may raise
        words = " ".join(str(error).split())
        raise InvalidSettings(f"{key}: {type(error).__name__}: {words}") from error
    if not isinstance(rule, Check):
        raise InvalidSettings(f"{key}: {found[0].value} gives a {type(rule).__name__}, and must give a Check")
    return rule
