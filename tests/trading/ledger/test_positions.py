from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.ledger.positions import Position, booked
from durable_orders.trading.orders.order import Product, Side

Trade = tuple[Side, int, Decimal]
NOTHING = Position("paper", "NSE:INFY", Product.MIS)
UNIT = Fraction(1, 10_000)

trades = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(min_value=1, max_value=12) | st.integers(min_value=1, max_value=10**6),
        st.decimals(min_value="0.0001", max_value="99999.9999", places=4),
    ),
    max_size=12,
)


def after(given_trades: list[Trade], position: Position = NOTHING) -> Position:
    for side, quantity, price in given_trades:
        position = booked(position, side, quantity, price)
    return position


@given(trades)
def test_no_paisa_is_lost(given_trades: list[Trade]) -> None:
    position = after(given_trades)
    paid = sum((side.sign * quantity * price for side, quantity, price in given_trades), Decimal(0))
    assert position.open_value - position.realized_pnl == paid
    assert position.quantity == sum(side.sign * quantity for side, quantity, _ in given_trades)


@given(trades)
def test_figures_are_whole_ten_thousandths_signed_like_the_quantity(given_trades: list[Trade]) -> None:
    position = after(given_trades)
    assert position.open_value == position.open_value.quantize(Decimal("0.0001"))
    assert position.realized_pnl == position.realized_pnl.quantize(Decimal("0.0001"))
    assert (position.open_value > 0) == (position.quantity > 0)
    assert (position.open_value < 0) == (position.quantity < 0)


@given(trades)
def test_profit_is_that_of_the_exact_weighted_average(given_trades: list[Trade]) -> None:
    """An independent model in fractions: each close is off by at most half a unit, and those may add up."""
    quantity, average, profit = 0, Fraction(0), Fraction(0)
    for side, shares, price in given_trades:
        opposed = quantity * side.sign < 0
        closed = min(shares, abs(quantity)) if opposed else 0
        profit += closed * -side.sign * (Fraction(price) - average)
        if opposed and shares >= abs(quantity):
            average = Fraction(price)
        elif not opposed:
            average = (average * abs(quantity) + Fraction(price) * shares) / (abs(quantity) + shares)
        quantity += side.sign * shares
    off = abs(Fraction(after(given_trades).realized_pnl) - profit)
    assert off <= UNIT * len(given_trades) / 2


@given(trades)
def test_selling_mirrors_buying(given_trades: list[Trade]) -> None:
    other = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    one = after(given_trades)
    mirrored = after([(other[side], quantity, price) for side, quantity, price in given_trades])
    assert mirrored.quantity == -one.quantity
    assert mirrored.open_value == -one.open_value
    assert mirrored.realized_pnl == -one.realized_pnl


@pytest.mark.parametrize(
    ("given_trades", "quantity", "open_value", "realized_pnl", "average_price"),
    [
        ([(Side.BUY, 10, "100")], 10, "1000", "0", "100"),
        ([(Side.BUY, 10, "100"), (Side.BUY, 30, "104")], 40, "4120", "0", "103"),
        ([(Side.BUY, 10, "100"), (Side.SELL, 4, "110")], 6, "600", "40", "100"),
        ([(Side.BUY, 10, "100"), (Side.SELL, 10, "90")], 0, "0", "-100", None),
        ([(Side.SELL, 10, "100"), (Side.BUY, 4, "90")], -6, "-600", "40", "100"),
        # through zero: six close at a profit of 10 each, four open short at the fill's own price
        ([(Side.BUY, 6, "100"), (Side.SELL, 10, "110")], -4, "-440", "60", "110"),
        ([(Side.SELL, 6, "100"), (Side.BUY, 10, "110")], 4, "440", "-60", "110"),
        # a cost of 100.0001 for three does not divide: 33.3334 leave, 66.6667 stay
        ([(Side.BUY, 2, "33.3333"), (Side.BUY, 1, "33.3335"), (Side.SELL, 1, "40")], 2, "66.6667", "6.6666", "33.3334"),
    ],
)
def test_a_position_by_hand(
    given_trades: list[tuple[Side, int, str]],
    quantity: int,
    open_value: str,
    realized_pnl: str,
    average_price: str | None,
) -> None:
    position = after([(side, shares, Decimal(price)) for side, shares, price in given_trades])
    assert position.quantity == quantity
    assert position.open_value == Decimal(open_value)
    assert position.realized_pnl == Decimal(realized_pnl)
    assert position.average_price == (None if average_price is None else Decimal(average_price))
