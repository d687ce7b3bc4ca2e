"""Makes days of ticks for the examples with shares: a tick of each share every fifteen minutes.

    python examples/share_days.py days.csv

The prices are a seeded walk with a gap each morning: enough to try a strategy's orders on, and no market to judge its
profit by.
"""

import csv
import sys
from datetime import datetime, timedelta, timezone
from random import Random

SHARES = {"NSE:INFY": 1500.0, "NSE:TCS": 3400.0, "NSE:HDFCBANK": 1900.0}
FIRST = datetime(2025, 6, 2, 9, 15, tzinfo=timezone(timedelta(hours=5, minutes=30)))
"""A Monday, and no holiday in the weeks behind it."""
EVERY, TICKS = timedelta(minutes=15), 25


def write(path: str, days: int = 20) -> None:
    chance, prices = Random(7), dict(SHARES)  # noqa: S311
    with open(path, "w", encoding="utf-8", newline="") as made:  # noqa: PTH123
        ticks = csv.writer(made)
        ticks.writerow(("timestamp", "last_price", "symbol"))
        for day in range(days):
            opens = FIRST + timedelta(days=day + day // 5 * 2)
            for number in range(TICKS):
                moved = chance.gauss(0, 0.01 if number == 0 else 0.003)  # of the whole market
                for symbol, price in prices.items():
                    prices[symbol] = price * (1 + moved + chance.gauss(0, 0.002))
                    ticks.writerow(((opens + number * EVERY).isoformat(), f"{prices[symbol]:.1f}", symbol))


if __name__ == "__main__":
    write(sys.argv[1])
