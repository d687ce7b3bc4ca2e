"""What fills make of the positions in a caller's state."""

from decimal import Decimal
from typing import Any

import pytest

from durable_orders.callers.positions import book_fill

AT = "2026-11-20T05:00:00+00:00"


@pytest.mark.parametrize(
    ("fills", "position", "realized"),
    [
        ([(50, 100)], (50, 100.0), 0.0),
        ([(50, 100), (50, 110)], (100, 105.0), 0.0),
        ([(50, 100), (-20, 110)], (30, 100.0), 200.0),
        ([(50, 100), (-50, 90)], None, -500.0),
        ([(-50, 100), (20, 90)], (-30, 100.0), 200.0),
        ([(50, 100), (-80, 110)], (-30, 110.0), 500.0),
        ([(50, 100), (-50, 110), (10, 7)], (10, 7.0), 500.0),
        ([(75, 100), (150, 101), (-225, 100)], None, -150.0),
    ],
)
def test_fills_add_up(fills: list[tuple[int, int]], position: tuple[int, float] | None, realized: float) -> None:
    state: dict[str, Any] = {"equity": {"paper_capital": 1.0}}
    for quantity, price in fills:
        book_fill(state, "X", quantity, Decimal(price), AT)
    held = [(entry["qty"], entry["avg_price"]) for entry in state["positions"]]
    assert held == ([position] if position else [])
    assert state["equity"] == {"paper_capital": 1.0, "realized_pnl": realized}


@pytest.mark.parametrize(
    "entry",
    [
        {"symbol": "X", "qty": 50, "avg_price": 100.0, "entry_time": AT},
        {"symbol": "X", "quantity": 50, "avg_price": 100.0, "last_price": 120.0},
    ],
)
def test_both_shapes_of_a_position_are_known(entry: dict[str, Any]) -> None:
    other = {"symbol": "Y", "quantity": 1, "avg_price": 1.0}
    state: dict[str, Any] = {"positions": [entry, other]}
    assert book_fill(state, "X", -20, Decimal(101), AT) == 20
    assert state["positions"] == [other, entry | {"qty": 30, "quantity": 30}]
