"""Whatever trades come, nothing is miscounted."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.callers.positions import book_fill
from durable_orders.v2 import fifo_pair

QUICKLY = settings(max_examples=50)

TRADES = st.lists(
    st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 500), st.integers(1, 10_000)), min_size=1, max_size=20
)


@QUICKLY
@given(TRADES, st.integers(1, 10_000))
def test_what_is_realized_and_what_is_held_add_up_to_the_cash(trades: list[tuple[str, int, int]], last: int) -> None:
    """First in first out and the weighted average share a profit differently between closed and open, and agree in
    all. Prices are in paise."""
    rows = [
        {"symbol": "X", "side": side, "quantity": quantity, "price": paise / 100} for side, quantity, paise in trades
    ]
    state: dict[str, Any] = {}
    cash = Decimal(0)
    for side, quantity, paise in trades:
        signed, price = (quantity if side == "BUY" else -quantity), Decimal(paise) / 100
        cash -= signed * price
        book_fill(state, "X", signed, price, "2026-11-20T05:00:00+00:00")
    held = sum(quantity if side == "BUY" else -quantity for side, quantity, _ in trades)
    worth = float(cash + held * Decimal(last) / 100)
    open_lots, realized = fifo_pair(rows)
    signed_lots = [(lot["quantity"] * (1 if lot["side"] == "BUY" else -1), lot["price"]) for lot in open_lots]
    assert sum(quantity for quantity, _ in signed_lots) == held
    assert round(realized + sum(quantity * (last / 100 - price) for quantity, price in signed_lots) - worth, 2) == 0
    unrealized = sum(one["qty"] * (last / 100 - one["avg_price"]) for one in state["positions"])
    assert round(state["equity"]["realized_pnl"] + unrealized - worth, 1) == 0
