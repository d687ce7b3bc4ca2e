"""Orders that are asked for by their terms: one that is like the one before is the same order under another name."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from durable_orders.trading.backtest.core import Core
from durable_orders.trading.backtest.desk import BacktestDesk
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ist import IST
from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.orders.order import Order, OrderIntent, Side

NOW = datetime(2025, 4, 29, 9, 30, tzinfo=IST)
SYMBOL = "NFO:NIFTY25MAYFUT"
LIMIT = {"order_type": "LIMIT", "price": Decimal(24000)}


def core() -> Core:
    return Core(Settings(), Instruments.shipped(), NOW, {"mine"}, lambda _live: None)


def desk_on(tested: Core, ids: Callable[[], str] | None = None) -> BacktestDesk:
    numbers = count(1)
    return BacktestDesk(tested, "mine", "paper", ids or (lambda: f"mine-{next(numbers)}"))


@pytest.mark.parametrize("terms", [{}, LIMIT, LIMIT | {"validity": "IOC", "reason": "because"}])
def test_a_repeated_order_is_what_it_is_alone(terms: dict[str, Any]) -> None:
    tested = core()
    desk = desk_on(tested)
    names = [asked(SYMBOL, 75, **terms) for asked in (desk.buy, desk.sell, desk.buy, desk.sell, desk.buy)]
    assert names == [f"mine-{number}" for number in range(1, 6)]
    for name, side in zip(names, (Side.BUY, Side.SELL, Side.BUY, Side.SELL, Side.BUY), strict=True):
        own: dict[str, Any] = {"strategy": "mine", "account": "paper", "client_order_id": name}
        alone = OrderIntent(symbol=SYMBOL, side=side, quantity=75, **own, **terms)
        assert tested.order(name) == Order.from_intent(alone, NOW)


def test_an_intent_under_another_name_is_that_of_the_other_order() -> None:
    intent = OrderIntent(symbol=SYMBOL, side=Side.BUY, quantity=75, client_order_id="a", tags={"why": "because"})
    other = OrderIntent(symbol=SYMBOL, side=Side.BUY, quantity=75, client_order_id="b", tags={"why": "because"})
    assert intent.named("b") == other
    assert intent.named("b").fingerprint() == other.fingerprint()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1, {}), (True, {})),
        ((1, {}), (1.0, {})),
        ((1, {}), (1, {"price": Decimal(1)})),
        ((1, LIMIT), (1, LIMIT | {"price": None})),
        ((1, LIMIT), (1, LIMIT | {"produkt": "MIS"})),
    ],
)
def test_what_is_only_equal_to_the_order_before_is_checked(first: Any, second: Any) -> None:
    tested = core()
    desk = desk_on(tested)
    for quantity, terms in (first, first):
        desk.buy(SYMBOL, quantity, **terms)
    with pytest.raises(InvalidOrder):
        desk.buy(SYMBOL, second[0], **second[1])
    assert len(list(tested.live())) == 2


def test_another_price_is_another_order() -> None:
    tested = core()
    desk = desk_on(tested)
    for price in ("1500", "1500.00", "1501"):
        desk.buy(SYMBOL, 75, order_type="LIMIT", price=Decimal(price))
    assert [str(live.price) for live in tested.live()] == ["1500", "1500.00", "1501"]


@pytest.mark.parametrize("name", ["external-2", "a plan", "plan.entry", "x" * 65, "mine-2\n"])
def test_the_name_of_a_repeated_order_is_checked(name: str) -> None:
    names = iter(["mine-1", name])
    desk = desk_on(core(), lambda: next(names))
    desk.buy(SYMBOL, 75)
    with pytest.raises(InvalidOrder, match="client_order_id"):
        desk.buy(SYMBOL, 75)
