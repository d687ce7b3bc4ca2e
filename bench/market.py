"""The market of the long measurement: a tick a second at one price, with dips at known moments."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from durable_orders.trading.ist import IST

START = datetime(2025, 4, 29, 0, 5, tzinfo=IST)
LASTS = timedelta(hours=6)
"""On the market's clock, which keeps the wall's pace here: longer than any run."""
LEVEL, DIP, DEEP_DIP = Decimal("24000.00"), Decimal("23900.00"), Decimal("23800.00")
"""Rupees."""
PERIOD, DIP_AT, DEEP_DIP_AT = 20, 5, 15
"""Seconds: within each period of so many ticks, the numbers of those that dip."""
MET_BY_A_DIP, MET_BY_A_DEEP_DIP, NEVER_MET = Decimal("23950.00"), Decimal("23850.00"), Decimal("12000.00")
"""Limits of BUY orders: met by every dip, by the deep ones only, by none."""


def price_at(second: int) -> Decimal:
    return {DIP_AT: DIP, DEEP_DIP_AT: DEEP_DIP}.get(second % PERIOD, LEVEL)


def write_ticks(file: Path) -> None:
    """The ticks as a CSV file that the replay feed reads."""
    seconds = range(int(LASTS.total_seconds()))
    rows = (f"{(START + timedelta(seconds=second)).isoformat()},{price_at(second)}" for second in seconds)
    file.write_text("timestamp,last_price\n" + "\n".join(rows) + "\n", encoding="utf-8")
