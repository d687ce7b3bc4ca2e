"""Makes a day of ticks for the examples with options: an index, and a call and a put on it.

    python examples/option_day.py day.csv
    python examples/option_day.py day.csv master.csv

With a second file it makes calls and puts of five strikes, and their instrument master. The index follows the shipped
day of the future. The options are worth what they would be at expiry and a time value that is largest at the money:
enough to try a strategy's orders on, and no market to judge its profit by.
"""

import csv
import sys
from datetime import datetime, timedelta
from math import exp

from durable_orders import shipped_day

INDEX, STRIKE = "NSE:NIFTY 50", 24400
STRIKES = (24300, 24350, 24400, 24450, 24500)
EXPIRY, LOT = "2025-05-29", 75
BASIS, TIME_VALUE, WIDTH = 40, 210, 300
"""Points: of the future over the index; of an option at the money; and how far from there it fades."""
PARTS = ("open", "low", "high", "close")
CANDLE = timedelta(minutes=5)
COLUMNS = (
    *("instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike"),
    *("tick_size", "lot_size", "instrument_type", "segment", "exchange"),
)


def option(strike: int, kind: str) -> str:
    return f"NIFTY25MAY{strike}{kind}"


def write(path: str, strikes: tuple[int, ...] = (STRIKE,)) -> None:
    with shipped_day().open(encoding="utf-8") as recorded, open(path, "w", encoding="utf-8", newline="") as made:  # noqa: PTH123
        ticks = csv.writer(made)
        ticks.writerow(("timestamp", "last_price", "symbol"))
        for row in csv.DictReader(recorded):
            for number, part in enumerate(PARTS):
                at = datetime.fromisoformat(row["datetime"]) + number * CANDLE / len(PARTS)
                index = float(row[part]) - BASIS
                ticks.writerow((at.isoformat(), f"{round(index * 20) / 20:.2f}", INDEX))
                for strike in strikes:
                    time_value = TIME_VALUE * exp(-(((index - strike) / WIDTH) ** 2))
                    for kind, worth in (("CE", max(index - strike, 0)), ("PE", max(strike - index, 0))):
                        price = f"{round((worth + time_value) * 20) / 20:.2f}"
                        ticks.writerow((at.isoformat(), price, f"NFO:{option(strike, kind)}"))


def write_master(path: str) -> None:
    """As Kite's own file of instruments has them."""
    with open(path, "w", encoding="utf-8", newline="") as made:  # noqa: PTH123
        master = csv.writer(made)
        master.writerow(COLUMNS)
        master.writerow((256265, 1001, "NIFTY 50", "NIFTY 50", 0, "", 0, 0.05, 1, "EQ", "INDICES", "NSE"))
        for number, strike in enumerate(STRIKES):
            for place, kind in enumerate(("CE", "PE")):
                token = 14_720_000 + 2 * number + place
                terms = (EXPIRY, strike, 0.05, LOT, kind, "NFO-OPT", "NFO")
                master.writerow((token, token // 256, option(strike, kind), "NIFTY", 0, *terms))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write(sys.argv[1], STRIKES)
        write_master(sys.argv[2])
    else:
        write(sys.argv[1])
