"""Records what a public implementation makes of constructed orders, into `trading/quality/orderflow_metrics.json`.

`pip install orderflow-metrics==0.40.0`, then `python -m tests.record_peer_quality`. A test beside the file holds our
measures against it. It is a beta of one company that nothing else here needs, so no test run installs it.
"""

import importlib
import json
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

PACKAGE = "orderflow-metrics"
RECORDED = Path(__file__).parent / "trading" / "quality" / "orderflow_metrics.json"
ORDERS = 40


def constructed(random: Random) -> dict[str, Any]:
    """An order of one to four fills, of which some are not filled whole. Prices in paise."""
    arrival = random.randint(5_000, 500_000)
    fills = [[random.randint(1, 500), arrival + random.randint(-90, 90)] for _ in range(random.randint(1, 4))]
    spread = random.choice((2, 10, 30))
    return {
        "side": random.choice(("buy", "sell")),
        "quantity": sum(quantity for quantity, _ in fills) + random.choice((0, 0, 75)),
        "fills": fills,
        "arrival": arrival,
        "bid": arrival - spread // 2,
        "ask": arrival + spread // 2,
        "close": arrival + random.randint(-500, 500),
        "charges": random.randint(0, 10_000),
        "after": arrival + random.randint(-200, 200),
    }


def answers(order: dict[str, Any]) -> dict[str, float]:
    """Prices and amounts in rupees, slippage in basis points. A markout is of one price before and one after: ours,
    where all fills are at one."""
    theirs = importlib.import_module("orderflow_metrics")
    side, filled = order["side"], sum(quantity for quantity, _ in order["fills"])
    average = sum(quantity * price for quantity, price in order["fills"]) / filled / 100
    arrival, middle = order["arrival"] / 100, (order["bid"] + order["ask"]) / 200
    short = theirs.implementation_shortfall(
        side, arrival, average, filled, order["quantity"], order["close"] / 100, order["charges"] / 100
    )
    return {
        "slippage_bps": theirs.arrival_slippage_bps(side, arrival, average),
        "slippage_rupees": short.execution,
        "opportunity_cost_rupees": short.opportunity,
        "shortfall_rupees": short.total,
        "spread_paid": theirs.effective_spread(average, middle, side),
        "markout": theirs.markout(side, order["fills"][0][1] / 100, order["after"] / 100),
    }


def main() -> None:
    random = Random(19)
    orders = [constructed(random) for _ in range(ORDERS)]
    found = [{"order": order, "answers": answers(order)} for order in orders]
    by = f"{PACKAGE} {version(PACKAGE)}"
    lines = ",\n".join(json.dumps(each) for each in found)
    RECORDED.write_text(f'{{"by": "{by}", "orders": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
