"""What the demonstration trades: an order every few minutes of the day, of every type in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal

from durable_orders.trading.market.shipped import SHIPPED_SYMBOL
from durable_orders.trading.orders.order import OrderIntent, OrderType, Side, Validity

LOT = 75
TICK = Decimal("0.05")
FIRST, EVERY, COUNT = time(9, 20), timedelta(minutes=8), 45

Make = Callable[[Decimal], dict[str, object]]
"""The terms of an order, given the last price."""


@dataclass(frozen=True, slots=True)
class Step:
    """An order to place once the market's clock shows `at`."""

    name: str
    at: time
    make: Make

    def intent(self, account: str, last_price: Decimal) -> OrderIntent:
        terms = {"symbol": SHIPPED_SYMBOL, "quantity": LOT, "strategy": "demo"} | self.make(last_price)
        return OrderIntent(account=account, client_order_id=self.name, **terms)


def near(price: Decimal, points: int) -> Decimal:
    """So many points from the price, on the tick."""
    return (price + points) // TICK * TICK


def _market(side: Side, lots: int) -> Make:
    return lambda _last: {"side": side, "quantity": lots * LOT, "reason": "at the market"}


def _limit(side: Side, points: int, reason: str, validity: Validity = Validity.DAY) -> Make:
    return lambda last: {
        "side": side,
        "order_type": OrderType.LIMIT,
        "price": near(last, points),
        "validity": validity,
        "reason": reason,
    }


def _stop(side: Side, points: int, order_type: OrderType) -> Make:
    def make(last: Decimal) -> dict[str, object]:
        limit = {"price": near(last, points + (5 if side is Side.BUY else -5))} if order_type is OrderType.SL else {}
        trigger = near(last, points)
        return {"side": side, "order_type": order_type, "trigger_price": trigger, "reason": "stop", **limit}

    return make


def _odd_lot(_last: Decimal) -> dict[str, object]:
    return {"side": Side.SELL, "quantity": LOT + 25, "reason": "not a whole lot: the guardian says no"}


CYCLE: tuple[Make, ...] = (
    _market(Side.BUY, 2),
    _limit(Side.SELL, 15, "take profit"),
    _stop(Side.SELL, -30, OrderType.SL_M),
    _limit(Side.BUY, 5, "marketable"),
    _limit(Side.BUY, -800, "far below: rests"),
    _market(Side.SELL, 1),
    _stop(Side.BUY, 30, OrderType.SL),
    _limit(Side.BUY, -10, "at once or not at all", Validity.IOC),
    _odd_lot,
)
RESTS = 4
"""Where in the cycle the order stands that rests until somebody does something about it."""


def plan() -> list[Step]:
    """The day's steps, in time."""
    start = timedelta(hours=FIRST.hour, minutes=FIRST.minute)
    moments = [start + number * EVERY for number in range(COUNT)]
    return [
        Step(f"demo-{number + 1:02}", _clock(moment), CYCLE[number % len(CYCLE)])
        for number, moment in enumerate(moments)
    ]


def _clock(since_midnight: timedelta) -> time:
    minutes = int(since_midnight.total_seconds()) // 60
    return time(minutes // 60, minutes % 60)


def resting(number: int) -> str:
    """The name of the cycle's `number`th order that rests, counted from 0."""
    return f"demo-{number * len(CYCLE) + RESTS + 1:02}"
