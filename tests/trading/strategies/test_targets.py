"""A target of 0 and its close, whatever becomes of that."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from durable_orders.trading.orders.order import ClientOrderId, Order, OrderIntent, Product, Side, Status
from durable_orders.trading.strategies.targets import Targets

SYMBOL = "NSE:INFY"


class Held:
    """A desk on which 30 are held. Nothing fills by itself."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closes_work = False
        self.quantity = 30
        self.open: list[Any] = []

    def buy(self, symbol: str, quantity: int, *, product: Product, reason: str) -> ClientOrderId:
        return self._ask(f"buy {quantity} {symbol}")

    def sell(self, symbol: str, quantity: int, *, product: Product, reason: str) -> ClientOrderId:
        return self._ask(f"sell {quantity} {symbol}")

    def close(self, symbol: str, product: Product, *, reason: str) -> None:
        self._ask(f"close {symbol} {product} ({reason})")
        self.closes_work = True

    def cancel(self, client_order_id: str) -> None:
        self._ask(f"cancel {client_order_id}")

    def order(self, client_order_id: str) -> Any:
        return SimpleNamespace(status=Status.FILLED, cancel_requested=False)

    def open_orders(self) -> list[Any]:
        return self.open

    def position(self, symbol: str, product: Product) -> Any:
        return SimpleNamespace(quantity=self.quantity)

    def is_being_closed(self, symbol: str, product: Product) -> bool:
        return self.closes_work

    def _ask(self, words: str) -> ClientOrderId:
        self.asked.append(words)
        return ClientOrderId(words)

    def take(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


CLOSE = [f"close {SYMBOL} MIS (target 0)"]


def test_what_a_close_has_left_is_closed_when_the_target_is_named_again() -> None:
    targets = Targets(desk := Held())

    def name() -> list[str]:
        targets.want(SYMBOL, 0, Product.MIS)
        targets.keep()
        return desk.take()

    assert name() == CLOSE
    assert name() == [], "it works still"
    desk.closes_work = False
    targets.keep()
    assert (desk.take(), bool(targets)) == ([], False), "given up"
    assert name() == CLOSE
    desk.closes_work = False
    assert name() == CLOSE, "named in the very callback that shows its end"


@pytest.mark.parametrize(("left", "asked"), [(0, "buy 20 NSE:INFY"), (30, "sell 10 NSE:INFY"), (-5, "buy 25 NSE:INFY")])
def test_nothing_is_asked_for_beside_a_close(left: int, asked: str) -> None:
    targets = Targets(desk := Held())
    for quantity in (0, 20):
        targets.want(SYMBOL, quantity, Product.MIS)
        targets.keep()
    assert desk.take() == CLOSE
    desk.quantity = left
    targets.keep()
    assert desk.take() == []
    desk.closes_work = False
    targets.keep()
    assert desk.take() == [asked]


def test_a_close_that_no_target_has_asked_for_is_waited_for_too() -> None:
    targets = Targets(desk := Held())
    desk.closes_work = True
    targets.want(SYMBOL, 20, Product.MIS)
    targets.keep()
    assert desk.take() == []


@pytest.mark.parametrize("quantity", [0, 20])
def test_an_order_of_another_close_is_waited_for_too(quantity: int) -> None:
    """Such as one that the run before has left."""
    targets = Targets(desk := Held())
    closing = OrderIntent(client_order_id="flatten-1234-1", symbol=SYMBOL, side=Side.SELL, quantity=30, strategy="few")
    desk.open = [Order.from_intent(closing, datetime.now(UTC))]
    targets.want(SYMBOL, quantity, Product.MIS)
    targets.keep()
    assert desk.take() == []
    desk.open = []
    targets.keep()
    assert len(desk.take()) == 1
