"""Which limits an account of real money should have, and has not."""

from trading.guardian import checks_of_account as account
from trading.guardian import checks_of_limits as limits
from trading.guardian import checks_of_margin as margin
from trading.guardian import checks_of_market as market
from trading.guardian import checks_of_pace as pace
from trading.guardian import checks_of_session as session
from trading.guardian.catalogue import chosen
from trading.guardian.check import Check
from trading.market.instruments import Instruments
from trading.settings import Settings

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


def missing_limits(settings: Settings, instruments: Instruments) -> list[str]:
    """The settings of those that are off."""
    on = {type(check) for check in chosen(settings, instruments)}
    return [check.settings[0] for check in WORTH_SETTING if check not in on]
