"""A strategy that knows the older in-process engine and nothing else: it buys strength and sells weakness.

    python examples/v2_only.py            # in this process
    python examples/v2_only.py HOME       # durable, on the desk of a home that is up

Only its import has changed; docs/migrating-from-v2.md says what else is different.
"""

import csv
import sys
from typing import Any

from durable_orders import SHIPPED_SYMBOL, shipped_day
from durable_orders.v2 import ExecutionResult, OrderIntent, create_execution_engine

LOT = 75
LOOKS_BACK, ENOUGH = 6, 8
"""Candles, and orders."""


class Candles:
    """Market data of its own, as the older engine asks for it."""

    def __init__(self) -> None:
        with shipped_day().open(encoding="utf-8") as file:
            self.rows = [{name: row[name] for name in row} for row in csv.DictReader(file)]
        self.number = 0

    def get_latest_candle(self, symbol: str, timeframe: str) -> dict[str, float]:
        row = self.rows[self.number]
        return {name: float(row[name]) for name in ("open", "high", "low", "close", "volume")}


def main(home: str | None) -> None:
    market = Candles()
    limits = {"max_daily_loss_rupees": 50_000, "max_daily_drawdown_pct": 0.5, "max_loss_streak": 20}
    execution: dict[str, Any] = {"paper": {"slippage_bps": 0}, "circuit_breakers": limits}
    config = {"execution": execution | ({"home": home} if home else {})}
    engine = create_execution_engine("paper", config, None, None, mde=market)
    held = 0
    results: list[ExecutionResult] = []
    for number in range(LOOKS_BACK, len(market.rows)):
        market.number = number
        before, now = (float(market.rows[at]["close"]) for at in (number - LOOKS_BACK, number))
        side = "BUY" if now > before and held <= 0 else "SELL" if now < before and held >= 0 else None
        if side is None or len(results) == ENOUGH:
            continue
        result = engine.execute_intent(OrderIntent(SHIPPED_SYMBOL, "v2-only", side, LOT))
        results.append(result)
        held += LOT * (1 if side == "BUY" else -1) if result.status == "FILLED" else 0
        said = result.avg_price if result.status == "FILLED" else result.message
        print(f"{market.rows[number]['datetime']}  {side:<4} {LOT}  {result.status} {said}")
    filled = sum(result.status == "FILLED" for result in results)
    print(f"{filled} of {len(results)} orders filled, {held} held")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
