"""A MARKET order with protection: what it does not fill at once rests as a LIMIT, as at Kite since April 2026."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import pytest

from durable_orders.trading.config.settings import Paper
from durable_orders.trading.exchange.protection import Protection, protection_of
from durable_orders.trading.ist import IST
from durable_orders.trading.orders.order import OrderType, Side
from tests.trading.exchange.exchange import HALVES, INFY, PLAIN, Exchange

Open = Callable[[Paper], Exchange]
SINCE = datetime(2026, 4, 1, 9, 15, tzinfo=IST)
BEFORE = datetime(2026, 3, 30, 9, 15, tzinfo=IST)


@pytest.mark.parametrize(
    ("side", "percent", "moved", "limit"),
    [
        (Side.SELL, "3", False, "970.05"),  # 1000.02 less three percent is 970.0194: on the tick within it
        (Side.BUY, "3", False, "1030.00"),
        (Side.SELL, "3", True, "1030.05"),
        (Side.BUY, "0.5", False, "1005.00"),
        (Side.SELL, "100", False, "0.05"),
    ],
)
def test_its_limit_is_on_the_tick_within_the_percentage(side: Side, percent: str, moved: bool, limit: str) -> None:
    protection = Protection(Decimal(percent), moved)
    assert protection.limit(side, Decimal("1000.02"), Decimal("0.05")) == Decimal(limit)


def test_what_is_left_to_the_broker_is_three_percent() -> None:
    assert protection_of(Decimal(-1)) == Protection(Decimal(3))
    assert protection_of(Decimal("0.5")) == Protection(Decimal("0.5"))


@pytest.mark.parametrize(
    ("at", "kind", "price"), [(SINCE, OrderType.LIMIT, Decimal("1455.00")), (BEFORE, OrderType.MARKET, None)]
)
def test_the_rest_of_a_market_order_is_a_limit_from_april_on(
    opened: Open, at: datetime, kind: OrderType, price: Decimal | None
) -> None:
    exchange = opened(HALVES)
    exchange.clock.now = at
    exchange.show("1500")
    order = exchange.place(side=Side.SELL, quantity=10, order_type=OrderType.MARKET)
    [row] = exchange.broker.order_book()
    assert (row.order_type, row.price, row.filled_quantity) == (kind, price, 5)
    assert order is not None


def test_one_that_fills_whole_stays_what_it_was(opened: Open) -> None:
    exchange = opened(PLAIN)
    exchange.clock.now = SINCE
    exchange.show("1500")
    exchange.place(side=Side.SELL, quantity=10, order_type=OrderType.MARKET)
    [row] = exchange.broker.order_book()
    assert (row.status, row.order_type, row.price) == ("COMPLETE", OrderType.MARKET, None)


def test_one_that_the_price_has_moved_away_from_rests_whole_and_fills_when_it_comes_back(opened: Open) -> None:
    exchange = opened(PLAIN.model_copy(update={"market_rests_probability": 1.0}))
    exchange.show("1500")
    exchange.place(side=Side.SELL, quantity=10, order_type=OrderType.MARKET)
    [row] = exchange.broker.order_book()
    assert (row.status, row.order_type, row.price, row.filled_quantity) == ("OPEN", OrderType.LIMIT, Decimal(1545), 0)
    exchange.show("1545")
    [row] = exchange.broker.order_book()
    assert row.status == "COMPLETE"


def test_it_can_be_switched_off(opened: Open) -> None:
    exchange = opened(HALVES.model_copy(update={"market_protection_enabled": False, "market_rests_probability": 1.0}))
    exchange.clock.now = SINCE
    exchange.show("1500")
    exchange.place(side=Side.SELL, quantity=10, order_type=OrderType.MARKET)
    [row] = exchange.broker.order_book()
    assert (row.symbol, row.order_type, row.filled_quantity) == (INFY, OrderType.MARKET, 5)
