"""What a paper exchange's risk management knows of instruments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from durable_orders.trading.config.settings import Guardian, Market
from durable_orders.trading.market.calendar import SessionSource
from durable_orders.trading.market.expiry import Expiry, expiry_of
from durable_orders.trading.market.instruments import Instrument, Instruments
from durable_orders.trading.market.rules import ExchangeRules


@dataclass(frozen=True, slots=True)
class Listing:
    """What the broker knows of instruments."""

    instruments: Callable[[str], Instrument | None]
    mis_cutoff: Callable[[str, date], datetime | None]
    """Of a symbol on a day: from then on MIS orders are refused and positions closed; `None` where they never are."""
    rules: ExchangeRules | None = None
    """Of the exchanges and the broker; `None` where nothing is asked."""
    expiry: Expiry | None = None
    """What becomes of contracts that are held to their end; `None` where nothing does."""


def listing_of(
    sessions: SessionSource, instruments: Instruments, own: Guardian | None = None, market: Market | None = None
) -> Listing:
    """`own` and `market` are the user's settings: freeze quantities and circuit limits, and settlement prices."""

    def mis_cutoff(symbol: str, day: date) -> datetime | None:
        session = sessions.of(symbol).session_on(day)
        return session.mis_cutoff if session is not None else None

    rules, expiry = ExchangeRules(instruments.get, sessions, own), expiry_of(instruments.get, market or Market())
    return Listing(instruments.get, mis_cutoff, rules, expiry)
