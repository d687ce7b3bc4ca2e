"""Whatever the broker does, and whatever trades come: nothing is sent twice, called rejected wrongly, or miscounted."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.callers.positions import book_fill
from durable_orders.v2 import ExecutionEngineV2, fifo_pair
from tests.durable_orders.v2.sessions import Exchange, Row, Store, TaglessExchange, intent

ENDS: dict[str, tuple[Any, bool]] = {
    "accepted": (None, True),
    "answer lost": (TimeoutError("no answer"), True),
    "request lost": (TimeoutError("no answer"), False),
    "wrapper says error": ({"status": "error", "message": "?"}, True),
    "refused": ({"status": "REJECTED", "message": "no margin"}, False),
    "not connected": (ConnectionRefusedError("refused"), False),
}
"""What a call ends in: the answer, and whether the order was placed."""
QUICKLY = settings(max_examples=50)
STEPS = st.lists(st.tuples(st.sampled_from(sorted(ENDS)), st.booleans(), st.booleans()), min_size=1, max_size=8)


class Desk:
    """An engine that may be restarted, over an exchange whose every answer is told."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange, self.store = exchange, Store()
        self.now = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
        self.start()

    def start(self) -> None:
        config = {"execution": {"live": {"settle_window": 60}}}
        args = ("live", self.exchange, self.store, None, None, None, config)
        self.engine = ExecutionEngineV2(*args, clock=lambda: self.now)

    def ask(self, end: str) -> None:
        """One intent, and what its result must be."""
        answer, self.exchange.places = ENDS[end]
        self.exchange.answers = [answer] if answer is not None else []
        sent, placed = len(self.exchange.sent), len(self.exchange.book)
        unknown = self.unknown()
        status = self.engine.execute_intent(intent(qty=10 + sent)).status
        self.now += timedelta(seconds=1)
        if any(entry["tag"] == one["tag"] for entry in unknown for one in self.unknown()):
            assert len(self.exchange.sent) == sent, "sent while another one is unknown"
        if status == "REJECTED":
            assert len(self.exchange.book) == placed, "called rejected, and it was placed"
        elif status == "PLACED":
            assert len(self.exchange.book) == placed + 1, "called placed, and it was not"

    def unknown(self) -> list[Row]:
        return [entry for entry in self.store.state.get("open_orders", []) if entry["status"] == "UNKNOWN"]

    def settle(self) -> None:
        self.exchange.readable = True
        for _ in range(4):
            self.engine.apply_circuit_breakers(intent())
            self.now += timedelta(seconds=30)


@QUICKLY
@given(STEPS)
def test_every_order_is_sent_once_and_known_in_the_end(steps: list[tuple[str, bool, bool]]) -> None:
    desk = Desk(Exchange())
    for end, readable, restarts in steps:
        desk.exchange.readable = readable
        desk.ask(end)
        if restarts:
            desk.start()
    desk.settle()
    assert desk.unknown() == []
    tags = [order["tag"] for order in desk.exchange.sent]
    assert len(set(tags)) == len(tags)
    known = {entry["order_id"] for entry in desk.store.state.get("open_orders", [])}
    assert known == {row["order_id"] for row in desk.exchange.book}


@QUICKLY
@given(STEPS)
def test_without_tags_what_may_have_been_placed_is_never_called_rejected(steps: list[tuple[str, bool, bool]]) -> None:
    desk = Desk(TaglessExchange())
    for end, readable, restarts in steps:
        desk.exchange.readable = readable
        desk.ask(end)
        if restarts:
            desk.start()
    desk.settle()
    open_orders = desk.store.state.get("open_orders", [])
    assert len([entry for entry in open_orders if entry["status"] == "PLACED"] + desk.unknown()) >= len(
        desk.exchange.book
    )


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
