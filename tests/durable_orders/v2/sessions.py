"""What users have around the older engine, as they write it: stores in memory, a journal, and brokers."""

from copy import deepcopy
from typing import Any

from durable_orders.v2 import OrderIntent

Row = dict[str, Any]


class Store:
    """A state store with the older pair of names."""

    def __init__(self, **state: Any) -> None:
        self.state: Row = state

    def load_checkpoint(self) -> Row | None:
        return deepcopy(self.state) or None

    def save_checkpoint(self, state: Row) -> None:
        self.state = deepcopy(state)


class ShortStore:
    """And one with the newer pair."""

    def __init__(self, **state: Any) -> None:
        self.state: Row = state

    def load(self) -> Row:
        return deepcopy(self.state)

    def save(self, state: Row) -> None:
        self.state = deepcopy(state)


class Journal:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def append_orders(self, rows: list[Row]) -> None:
        self.rows += rows


class Exchange:
    """A broker with a book. What it is told to answer is answered once; the order is placed all the same."""

    def __init__(self) -> None:
        self.book: list[Row] = []
        self.sent: list[Row] = []
        self.answers: list[Any] = []
        self.readable = True
        self.status = "OPEN"
        self.places = True
        self.figures: Row = {}
        """Of the next orders, from the beginning."""

    def place_order(self, order: Row) -> Any:
        self.sent.append(order)
        own_id = f"B{len(self.sent)}"
        answer = self.answers.pop(0) if self.answers else {"order_id": own_id, "status": "SUBMITTED"}
        if self.places:
            self.book.append(self.row(order, own_id))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def row(self, order: Row, own_id: str) -> Row:
        return {
            "order_id": own_id,
            "status": self.status,
            "tradingsymbol": order["symbol"],
            "transaction_type": order["side"],
            "quantity": order["qty"],
            "filled_quantity": 0,
            "average_price": 0,
            "tag": order["tag"],
        } | self.figures

    def get_orders(self) -> list[Row]:
        if not self.readable:
            raise ConnectionError("the broker does not answer")
        return self.book


class TaglessExchange(Exchange):
    """A wrapper that drops what it does not know."""

    def row(self, order: Row, own_id: str) -> Row:
        return super().row(order, own_id) | {"tag": None}


def intent(side: str = "BUY", qty: int = 10, **more: Any) -> OrderIntent:
    return OrderIntent("NIFTY24DECFUT", "trend", side, qty, reason="cross", **more)
