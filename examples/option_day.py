"""Makes a day of ticks for the examples with options: an index, and a call and a put on it.

    python examples/option_day.py day.csv

The index follows the shipped day of the future. The options are worth what they would be at expiry and a time value
that is largest at the money: enough to try a strategy's orders on, and no market to judge its profit by.
"""

import csv
import sys
from datetime import datetime, timedelta
from math import exp

from durable_orders import shipped_day

INDEX, STRIKE = "NSE:NIFTY 50", 24400
CALL, PUT = "NFO:NIFTY25MAY24400CE", "NFO:NIFTY25MAY24400PE"
BASIS, TIME_VALUE, WIDTH = 40, 210, 300
"""Points: of the future over the index; of an option at the money; and how far from there it fades."""
PARTS = ("open", "low", "high", "close")
CANDLE = timedelta(minutes=5)


def write(path: str) -> None:
    with shipped_day().open(encoding="utf-8") as recorded, open(path, "w", encoding="utf-8", newline="") as made:  # noqa: PTH123
        ticks = csv.writer(made)
        ticks.writerow(("timestamp", "last_price", "symbol"))
        for row in csv.DictReader(recorded):
            for number, part in enumerate(PARTS):
                at = datetime.fromisoformat(row["datetime"]) + number * CANDLE / len(PARTS)
                index = float(row[part]) - BASIS
                time_value = TIME_VALUE * exp(-(((index - STRIKE) / WIDTH) ** 2))
                for symbol, worth in ((INDEX, index), (CALL, max(index - STRIKE, 0)), (PUT, max(STRIKE - index, 0))):
                    price = worth if symbol == INDEX else worth + time_value
                    ticks.writerow((at.isoformat(), f"{round(price * 20) / 20:.2f}", symbol))


if __name__ == "__main__":
    write(sys.argv[1])
