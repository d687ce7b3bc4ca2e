"""Our measures beside those of a public implementation, which `tests/record_peer_quality.py` has asked."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.orders.order import Side
from durable_orders.trading.quality.measures import Execution, Moments, Prices, Quality, Traded, quality_of
from tests.record_peer_quality import RECORDED

AT = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
PEER = json.loads(RECORDED.read_text(encoding="utf-8"))
BPS = 10_000


def rupees(paise: int) -> Decimal:
    return Decimal(paise) / 100


def measured(order: dict[str, Any], fills: list[list[int]]) -> Quality:
    execution = Execution(
        side=Side(order["side"].upper()),
        quantity=order["quantity"],
        fills=[Traded(quantity, rupees(price), AT) for quantity, price in fills],
        moments=Moments(AT),
        prices=Prices(**{name: rupees(order[name]) for name in ("arrival", "bid", "ask", "close")}),
        charges=rupees(order["charges"]),
        is_over=True,
    )
    return quality_of(execution, lambda _at: rupees(order["after"]))


@pytest.mark.parametrize("recorded", PEER["orders"])
def test_both_say_the_same_of_an_order(recorded: dict[str, Any]) -> None:
    """To the half paisa and the half hundredth of a basis point to which ours are rounded, or theirs as floats."""
    order, theirs = recorded["order"], recorded["answers"]
    ours = measured(order, order["fills"])

    for name in ("slippage_bps", "slippage_rupees", "opportunity_cost_rupees", "shortfall_rupees"):
        assert float(getattr(ours, name)) == pytest.approx(theirs[name], abs=0.0051), name
    middle = (order["bid"] + order["ask"]) / 200
    assert float(ours.spread_paid_bps or 0) == pytest.approx(theirs["spread_paid"] / middle * BPS, abs=0.0051)
    at_one = measured(order, order["fills"][:1])
    paid = order["fills"][0][1] / 100
    assert float(at_one.markout_60s_bps or 0) == pytest.approx(theirs["markout"] / paid * BPS, abs=0.0051)
