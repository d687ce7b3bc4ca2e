"""How far the fills of an account were from those of a backtest of the same ticks."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from durable_orders.trading.backtest.orders import Ended
from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.ledger.executions import Executed
from durable_orders.trading.orders.order import Side
from durable_orders.trading.quality.measures import BPS, FOUR, TWO, WeightedMean, slippage

Line = dict[str, Any]
Traded = tuple[int, Decimal]
"""Quantity and price of a fill, in rupees as quoted."""


@dataclass(slots=True)
class _Done:
    """What one of the two has traded of a symbol on one side."""

    orders: int = 0
    quantity: int = 0
    value: Decimal = Decimal(0)
    slipped: WeightedMean = field(default_factory=WeightedMean)

    def add(self, side: Side, fills: Sequence[Traded], arrival: Decimal | None) -> None:
        """An order that traded."""
        quantity = sum(each for each, _ in fills)
        value = sum((each * price for each, price in fills), Decimal(0))
        slipped = slippage(side, value / quantity, arrival)
        self.orders += 1
        self.quantity += quantity
        self.value += value
        self.slipped.add(None if slipped is None else slipped * BPS, value)

    @property
    def average(self) -> Decimal | None:
        return self.value / self.quantity if self.quantity else None


Key = tuple[str, Side]


def drift(executed: Iterable[Executed], played: Iterable[Ended]) -> list[Line]:
    """Of each symbol and side: what was traded, what the backtest traded, and how much worse the one was than the
    other. Above 0, the account paid more, or got less. What only one of them traded has no drift."""
    ours, theirs = defaultdict[Key, _Done](_Done), defaultdict[Key, _Done](_Done)
    for each in executed:
        if fills := [(fill.quantity, fill.price) for fill in each.execution.fills]:
            side = each.execution.side
            ours[each.symbol, side].add(side, fills, each.execution.prices.arrival)
    for order in played:
        if traded := [(fill.quantity, fill.price) for fill in order.fills]:
            theirs[order.symbol, order.side].add(order.side, traded, order.arrival_price)
    return [_line(key, ours[key], theirs[key]) for key in sorted(ours.keys() | theirs.keys())]


def _line(key: Key, own: _Done, other: _Done) -> Line:
    symbol, side = key
    apart = slippage(side, own.average, other.average)
    both = min(own.quantity, other.quantity) * multiplier_of(symbol)
    return {
        "symbol": symbol,
        "side": side.value,
        "orders": own.orders,
        "backtest_orders": other.orders,
        "quantity": own.quantity,
        "backtest_quantity": other.quantity,
        "average_price": _rounded(own.average, FOUR),
        "backtest_average_price": _rounded(other.average, FOUR),
        "drift_bps": None if apart is None else _rounded(apart * BPS, TWO),
        "drift_rupees": None if apart is None or other.average is None else _rounded(apart * other.average * both, TWO),
        "slippage_bps": own.slipped.value,
        "backtest_slippage_bps": other.slipped.value,
    }


def _rounded(value: Decimal | None, places: Decimal) -> Decimal | None:
    return None if value is None else value.quantize(places, ROUND_HALF_EVEN)
