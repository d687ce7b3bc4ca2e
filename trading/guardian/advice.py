"""Which limits an account of real money should have, and has not."""

from collections.abc import Mapping

from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.guardian.catalogue import chosen
from durable_orders.trading.guardian.check import Check
from durable_orders.trading.guardian.checks import account, limits, margin, market, pace, session
from durable_orders.trading.market.instruments import Instruments

WORTH_SETTING: tuple[type[Check], ...] = (
    account.MaxDailyLoss,
    limits.MaxOrderValue,
    limits.MaxOrderQuantity,
    limits.MaxPositionPerSymbol,
    limits.MaxGrossExposure,
    margin.MarginAvailable,
    pace.MaxOpenOrders,
    pace.MaxOrdersPerMinute,
    pace.MaxOrdersPerDay,
    pace.NoDuplicate,
    market.PriceFresh,
    market.PriceBand,
    session.SessionOpen,
    session.BeforeMisCutoff,
)
"""A strategy gone wrong is stopped by these: how much it can lose, hold, order, how often, at what price and when."""

NEEDED: Mapping[str, tuple[type[Check], ...]] = {
    "position": (limits.MaxPositionPerSymbol, limits.MaxPositionTotal, limits.MaxGrossExposure, limits.Capital),
    "loss": (account.MaxDailyLoss, account.MaxDailyDrawdown),
    "order": (limits.MaxOrderQuantity, limits.MaxOrderValue),
}
"""Of each kind real money starts with one at least."""


def must_be_limited(settings: Settings) -> None:
    """Raises `InvalidSettings`, which names what is missing."""
    on = {type(check) for check in chosen(settings, Instruments())}
    missing = {kind: checks[0].settings[0] for kind, checks in NEEDED.items() if not on & set(checks)}
    if missing:
        words = ", ".join(f"no limit of {kind} ({key})" for kind, key in missing.items())
        raise InvalidSettings(f"live trading needs limits: {words}; set them, or say --no-limits")


def missing_limits(settings: Settings, instruments: Instruments) -> list[str]:
    """The settings of those that are off."""
    on = {type(check) for check in chosen(settings, instruments)}
    return [check.settings[0] for check in WORTH_SETTING if check not in on]
