"""The files that come with the package: one real day and a small instrument master."""

from importlib.resources import files
from pathlib import Path

SHIPPED_SYMBOL = "NFO:NIFTY25MAYFUT"
"""What the shipped day is replayed as. Its prices are those of the NIFTY 50 index itself."""


def shipped_day() -> Path:
    """5-minute candles of the NIFTY 50 on 2025-04-29, 09:15 to 15:30 IST. An index has no volume: it is 0."""
    return _data("nifty50-2025-04-29-5minute.csv")


def shipped_instruments() -> Path:
    """A few rows of Kite's instruments CSV as they were in May 2025.

    The tokens of equities, the index and the index futures are the exchange's; those of the options, the currency
    and the crude oil contract only follow the rule (exchange token << 8 | segment). Never use them live.
    """
    return _data("instruments.csv")


def _data(name: str) -> Path:
    return Path(str(files("durable_orders.trading.market") / "data" / name))
