"""Every known way in which a broker object takes an order, answers, and shows its book."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from kiteconnect import exceptions as kite

from durable_orders.callers.broker import CallersBroker, line_of
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.order import Status

PAYLOAD = {
    "symbol": "NIFTY24DECFUT",
    "side": "BUY",
    "qty": 50,
    "order_type": "MARKET",
    "product": "MIS",
    "validity": "DAY",
    "price": None,
    "trigger_price": None,
    "exchange": "NFO",
    "tag": "0123456789abcdef0123",
}


class TakesAMapping:
    def __init__(self) -> None:
        self.got: Any = None

    def place_order(self, order: dict[str, Any]) -> dict[str, Any]:
        self.got = order
        return {"order_id": "7", "status": "SUBMITTED"}


class TakesNames:
    def __init__(self) -> None:
        self.got: Any = None

    def place_order(self, symbol: str, side: str, quantity: int, order_type: str = "MARKET", tag: str = "") -> str:
        self.got = (symbol, side, quantity, order_type, tag)
        return "7"


class TakesAnything:
    def __init__(self) -> None:
        self.got: Any = None

    def place_order(self, **order: Any) -> dict[str, Any]:
        self.got = order
        return {"status": "success", "data": {"order_id": 7}}


class LikeKite:
    def __init__(self) -> None:
        self.got: Any = None

    def place_order(
        self,
        variety: str,
        exchange: str,
        tradingsymbol: str,
        transaction_type: str,
        quantity: int,
        product: str,
        order_type: str,
        price: float | None = None,
        validity: str | None = None,
        trigger_price: float | None = None,
        tag: str | None = None,
        market_protection: float | None = None,
    ) -> str:
        self.got = (variety, exchange, tradingsymbol, transaction_type, quantity, product, order_type, tag)
        self.protection = market_protection
        return "7"


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (TakesAMapping, PAYLOAD),
        (TakesNames, ("NIFTY24DECFUT", "BUY", 50, "MARKET", PAYLOAD["tag"])),
        (TakesAnything, PAYLOAD),
        (LikeKite, ("regular", "NFO", "NIFTY24DECFUT", "BUY", 50, "MIS", "MARKET", PAYLOAD["tag"])),
    ],
)
def test_every_way_to_take_an_order(make: Callable[[], Any], got: Any) -> None:
    broker = make()
    answer = CallersBroker(broker).place(PAYLOAD)
    assert broker.got == got
    assert (answer.outcome.kind, getattr(answer.outcome, "broker_order_id", None)) == ("accepted", "7")


def test_kites_own_client_gets_the_protection_that_kite_asks_for() -> None:
    broker = LikeKite()
    CallersBroker(broker).place(PAYLOAD)
    assert broker.protection == -1
    CallersBroker(broker).place(PAYLOAD | {"order_type": "LIMIT", "price": 100.0})
    assert broker.protection is None


class Answers:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def place_order(self, order: dict[str, Any]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"order_id": "7"}, "accepted"),
        ({"order_id": "7", "status": "REJECTED", "message": "no"}, "accepted"),
        ({"status": "REJECTED", "message": "no"}, "refused"),
        ({"status": "error", "message": "timed out"}, "unknown"),
        ({"order_id": "7", "status": "ERROR"}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
        ("", "unknown"),
        (True, "unknown"),
        (kite.InputException("bad price", code=400), "refused"),
        (kite.OrderException("margin", code=400), "refused"),
        (kite.TokenException("log in", code=403), "session_expired"),
        (kite.NetworkException("too many", code=429), "unknown"),
        (kite.NetworkException("gateway", code=503), "unknown"),
        (kite.DataException("html", code=502), "unknown"),
        (kite.OrderException("hm", code=500), "unknown"),
        (requests.ReadTimeout("slow"), "unknown"),
        (requests.ConnectTimeout("no route"), "unknown"),
        (ConnectionRefusedError("refused"), "unknown"),
        (ConnectionResetError("reset"), "unknown"),
        (RuntimeError("something"), "unknown"),
    ],
)
def test_what_an_answer_proves(answer: Any, kind: str) -> None:
    assert CallersBroker(Answers(answer)).place(PAYLOAD).outcome.kind == kind


@pytest.mark.parametrize("name", ["get_orders", "orders", "order_book", "get_order_book"])
def test_every_name_of_the_book(name: str) -> None:
    class WithBook(TakesAMapping):
        pass

    setattr(WithBook, name, lambda self: [{"order_id": "7", "status": "OPEN", "tag": "t"}])
    [line] = CallersBroker(WithBook()).book().lines
    assert (line.order_id, line.status, line.tags) == ("7", Status.PLACED, frozenset({"t"}))


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "none",
        5,
        [None],
        ["Too many requests"],
        [{"status": "error", "message": "Too many requests"}],
        [{"order_id": 1, "quantity": "many"}],
    ],
)
def test_a_book_that_cannot_be_read_is_not_an_empty_one(shown: Any) -> None:
    class WithBook(TakesAMapping):
        def get_orders(self) -> Any:
            return shown

    with pytest.raises(BookUnreadable):
        CallersBroker(WithBook()).book()
    with pytest.raises(BookUnreadable, match="neither get_orders"):
        CallersBroker(TakesAMapping()).book()


@pytest.mark.parametrize(
    ("row", "status", "filled"),
    [
        ({"status": "SUBMITTED"}, Status.PLACED, 0),
        ({"status": "open"}, Status.PLACED, 0),
        ({"status": "OPEN", "quantity": 50, "filled_quantity": 20}, Status.PARTIAL, 20),
        ({"status": "COMPLETE", "quantity": 50}, Status.FILLED, 50),
        ({"status": "Filled", "qty": 50, "filled_qty": 50}, Status.FILLED, 50),
        ({"status": "COMPLETE", "quantity": 50, "filled_quantity": 20}, Status.PARTIAL, 20),
        ({"status": "PARTIALLY_FILLED", "quantity": 50, "filled_quantity": 20}, Status.PARTIAL, 20),
        ({"status": "CANCELLED", "quantity": 50, "filled_quantity": 20}, Status.CANCELLED, 20),
        ({"status": "CANCELLED AMO"}, Status.CANCELLED, 0),
        ({"status": "REJECTED"}, Status.REJECTED, 0),
        ({"status": "MODIFY VALIDATION PENDING"}, Status.PLACED, 0),
        ({"status": "SOMETHING NEW"}, Status.PLACED, 0),
        ({}, Status.PLACED, 0),
    ],
)
def test_what_a_row_says(row: dict[str, Any], status: Status, filled: int) -> None:
    line = line_of({"order_id": 1} | row)
    assert (line.status, line.filled_quantity) == (status, filled)


@pytest.mark.parametrize(
    "make",
    [
        lambda cancelled: type("Bare", (TakesAMapping,), {"cancel_order": lambda self, order_id: cancelled(order_id)}),
        lambda cancelled: type(
            "Kite", (TakesAMapping,), {"cancel_order": lambda self, variety, order_id, parent=None: cancelled(order_id)}
        ),
        lambda cancelled: type(
            "Turned", (TakesAMapping,), {"cancel_order": lambda self, order_id, variety="amo": cancelled(order_id)}
        ),
    ],
)
def test_every_way_to_cancel(make: Any) -> None:
    cancelled: list[str] = []
    assert CallersBroker(make(cancelled.append)()).cancel("7").kind == "accepted"
    assert cancelled == ["7"]
    assert CallersBroker(TakesAMapping()).cancel("7").kind == "refused"
