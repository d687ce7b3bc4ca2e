"""What an engine is told: its configuration, and orders in older names or today's."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from durable_orders.callers.figures import section
from durable_orders.trading.config.settings import Calendar, Execution, Live, Settings
from durable_orders.trading.orders.order import Mode, Order, OrderIntent

OLDER_KEYS = frozenset({"retry_enabled", "reconciliation_enabled", "guardian_enabled"})
"""Of `execution.live`, beside those of `trading.config.settings.Live`."""

logger = logging.getLogger(__name__)


def live_terms(config: Any) -> Live:
    """How a live engine sends, settles and looks. Raises `ValueError`, which names the key, for what cannot be used."""
    given = dict(section(config, "execution", "live"))
    older = {key: given.pop(key) for key in OLDER_KEYS & given.keys()}
    if older.get("guardian_enabled") is False:
        logger.warning("execution.live.guardian_enabled: false is not followed: a guardian that is given is asked")
    if older.get("reconciliation_enabled") is False:
        logger.warning("execution.live.reconciliation_enabled: false is not followed: the watch always reads the book")
    if older.get("retry_enabled") is False:
        given["max_retries"] = 0
    return _execution("live", given).live


def paper_run(config: Any) -> Settings:
    """The settings of a run in memory: those that are given, or the parts of an older configuration that are still
    about what they were. The market is always open there: it is whenever the caller's market data has a price.

    Raises `ValueError`, which names the key, for what cannot be used.
    """
    if isinstance(config, Settings):
        return config
    execution = section(config, "execution")
    trading = section(config, "trading")
    content = {
        "execution": {key: execution[key] for key in ("paper", "circuit_breakers") if execution.get(key) is not None},
        "guardian": section(config, "guardian"),
        "trading": {key: trading[key] for key in ("paper_capital", "trade_throttler") if trading.get(key) is not None},
        "market": {"calendar": Calendar.ALWAYS_OPEN},
    }
    account = section(config).get("account")
    return Settings.model_validate(content | ({"account": account} if account else {}))


def _execution(name: str, given: Mapping[str, Any]) -> Execution:
    return Execution.model_validate({name: dict(given)})


def configured_home(home: Path | str | None, config: Any) -> Path | str | None:
    """The home whose desk executes the orders: the argument, else `execution.home` of the configuration."""
    return home or section(config, "execution").get("home")


def timeframe_of(config: Any) -> str:
    return str(section(config, "data").get("timeframe") or "5m")


def intent_of(order: Order, account: str, mode: Mode) -> OrderIntent:
    """What the order asks for, in this account."""
    names = OrderIntent.model_fields.keys() & Order.model_fields.keys() - {"account", "mode"}
    content = {name: getattr(order, name) for name in names}
    if order.approval is not None:
        content |= {"approve": True, "approve_by": order.approval.needed_by}
    return OrderIntent(account=account, mode=mode, **content)


def asked_for(order: Order) -> str:
    """The fingerprint of a new order: equal for one that is asked for again, however far the first one has come. All
    orders of a desk are of one mode."""
    return intent_of(order, order.account, Mode.PAPER).fingerprint()


def owned(order: Order, account: str, mode: Mode) -> Order:
    """The order as a new one of this account."""
    return Order.from_intent(intent_of(order, account, mode), order.created_at)


class HasSymbol(Protocol):
    @property
    def symbol(self) -> str: ...


def tradingsymbol(order: HasSymbol) -> str:
    """Without its exchange, as the callers' objects know it."""
    return order.symbol.partition(":")[2]
