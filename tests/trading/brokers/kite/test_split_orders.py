"""Rows of Kite's book that belong together, as one: whatever their order, and however much of them is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.brokers.kite.rows import UNREADABLE, part_from
from durable_orders.trading.brokers.kite.split_orders import Book, book_of, of_heads
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.market.calendar import ALWAYS_OPEN
from durable_orders.trading.orders.book import BookState, OrderReport
from durable_orders.trading.orders.lifecycle import Receipt, Reported, step
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    Instructions,
    Mode,
    Order,
    OrderIntent,
    Status,
    TradeId,
)
from tests.trading.orders.strategies import START

WINDOW = timedelta(seconds=60)
LATER = START + timedelta(hours=1)
SPLIT = {
    "iceberg": Instructions(iceberg_legs=3, iceberg_quantity=10),
    "autoslice": Instructions(autoslice=True),
}
ENDS = ("COMPLETE", "CANCELLED", "REJECTED")
QUANTITIES = (10, 10, 5)


def order_of(kind: str) -> Order:
    """BUY 25, in parts of 10, 10 and 5."""
    terms: dict[str, Any] = {"symbol": "NFO:NIFTY25MAYFUT", "side": "BUY", "quantity": 25}
    terms |= {"order_type": "LIMIT", "price": 100, "mode": Mode.LIVE, "account": "live", "instructions": SPLIT[kind]}
    return Order.from_intent(OrderIntent(**terms), START)


@dataclass(frozen=True)
class Stage:
    """How far an order has come: what is filled of each part that there is, and whether each has ended otherwise."""

    filled: tuple[int, ...]
    status: tuple[str, ...]


def raw_row(kind: str, order: Order, number: int, stage: Stage, *, tagged: bool) -> dict[str, Any]:
    """As the client gives it."""
    behind = number > 0
    row: dict[str, Any] = {
        "order_id": f"10{number}",
        "parent_order_id": "100" if behind and kind == "iceberg" else None,
        "variety": "iceberg" if kind == "iceberg" else "regular",
        "exchange": "NFO",
        "tradingsymbol": "NIFTY25MAYFUT",
        "transaction_type": "BUY",
        "product": "MIS",
        "order_type": "LIMIT",
        "validity": "DAY",
        "quantity": QUANTITIES[number],
        "filled_quantity": stage.filled[number],
        "price": 100.0,
        "trigger_price": 0,
        "status": stage.status[number],
        "status_message": None,
        "order_timestamp": START.isoformat(),
        "tag": order.tag if tagged or not behind else None,
        "tags": [],
        "meta": {},
    }
    if kind == "iceberg":
        leg = {"leg": number + 1, "legs": 3, "leg_quantity": 10, "total_quantity": 25, "remaining_quantity": 0}
        return row | {"meta": {"iceberg": leg}}
    return row | {"tags": ["autoslice", *(["autoslice:100"] if behind else [])]}


def read(raw: Sequence[dict[str, Any]]) -> Book:
    parts = [part_from(row, ALWAYS_OPEN) for row in raw]
    assert None not in parts
    return book_of([part for part in parts if part is not None], LATER, WINDOW)


def trades_of(stage: Stage) -> list[Fill]:
    return [
        Fill(
            trade_id=TradeId(f"T{number}-{one}"),
            broker_order_id=BrokerOrderId(f"10{number}"),
            quantity=1,
            price="100.05",
            at=START,
        )
        for number, filled in enumerate(stage.filled)
        for one in range(filled)
    ]


@st.composite
def lives(draw: st.DrawFn, kind: str) -> list[Stage]:
    """What the exchange does with such an order, from its placing to its end: legs in a row, slices side by side."""
    filled, status = [0], ["OPEN"]
    if kind == "autoslice":
        filled, status = [0, 0, 0], ["OPEN"] * 3
    stages = [Stage(tuple(filled), tuple(status))]
    while "OPEN" in status:
        which = draw(st.sampled_from([n for n, word in enumerate(status) if word == "OPEN"]))
        if draw(st.integers(0, 9)) == 0:
            status[which] = draw(st.sampled_from(ENDS[1:]))
        else:
            filled[which] += draw(st.integers(1, QUANTITIES[which] - filled[which]))
            if filled[which] == QUANTITIES[which]:
                status[which] = "COMPLETE"
        stages.append(Stage(tuple(filled), tuple(status)))
        if kind == "iceberg" and status[-1] == "COMPLETE" and len(status) < 3:
            filled.append(0)
            status.append("OPEN")
            stages.append(Stage(tuple(filled), tuple(status)))
    return stages


@pytest.mark.parametrize("kind", SPLIT)
@given(data=st.data())
def test_an_order_is_told_as_one_and_never_ends_before_all_of_it(kind: str, data: st.DataObject) -> None:
    """Through its whole life, with books that are late, doubled, out of order and not whole."""
    order = order_of(kind)
    tagged = data.draw(st.booleans())
    stages = data.draw(lives(kind))
    if kind == "autoslice" and data.draw(st.booleans()):
        order = step(order, Receipt(BrokerOrderId("100"), tuple(BrokerOrderId(f"10{n}") for n in range(3))), START)
    looks = data.draw(st.lists(st.sampled_from(range(len(stages))), max_size=12))
    for at in [*looks, len(stages) - 1, len(stages) - 1]:
        stage = stages[at]
        raw = [raw_row(kind, order, number, stage, tagged=tagged) for number in range(len(stage.filled))]
        hidden = data.draw(st.sets(st.integers(1, 2))) if at < len(stages) - 1 else set()
        shown = data.draw(st.permutations([row for number, row in enumerate(raw) if number not in hidden]))
        book = read(shown)
        (row,) = book.rows
        assert (row.broker_order_id, row.tag) == ("100", order.tag)
        before = order
        seen = tuple(of_heads(data.draw(st.permutations(trades_of(stage))), book.heads))
        order = step(order, Reported(OrderReport(row, seen)), LATER)
        assert order.filled_quantity >= before.filled_quantity
        assert order.quantity == 25
        if order.status.terminal and not before.status.terminal:
            assert "OPEN" not in stage.status
    last = stages[-1]
    assert order.filled_quantity == sum(last.filled)
    assert order.status is expected(last)


def expected(stage: Stage) -> Status:
    if stage.filled == QUANTITIES:
        return Status.FILLED
    return Status.CANCELLED if "CANCELLED" in stage.status else Status.REJECTED


@given(data=st.data())
def test_no_end_comes_before_the_last_slice_has_ended(data: st.DataObject) -> None:
    """The book may hide any of them for any time, and the answer may have been lost."""
    order = order_of("autoslice")
    stages = data.draw(lives("autoslice"))
    for stage in stages[:-1]:
        hidden = data.draw(st.sets(st.integers(1, 2)))
        raw = [raw_row("autoslice", order, n, stage, tagged=True) for n in range(3) if n not in hidden]
        (row,) = read(raw).rows
        order = step(order, Reported(OrderReport(row, tuple(of_heads(trades_of(stage), read(raw).heads)))), LATER)
        assert not order.status.terminal


WORKS = Stage((0, 0, 0), ("OPEN", "OPEN", "OPEN"))


def test_families_are_apart() -> None:
    """Two of one tag are an order and its twin: each is one row, with an id of its own."""
    order = order_of("iceberg")
    one = raw_row("iceberg", order, 0, WORKS, tagged=True)
    twin = one | {"order_id": "200"}
    leg = raw_row("iceberg", order, 1, WORKS, tagged=True)
    rows = read([one, twin, leg | {"order_id": "201", "parent_order_id": "200"}, leg]).rows
    assert [(row.broker_order_id, row.quantity) for row in rows] == [("100", 25), ("200", 25)]


def test_a_leg_whose_first_is_not_shown_makes_the_book_unreadable_if_it_is_ours() -> None:
    order = order_of("iceberg")
    with pytest.raises(BookUnreadable, match="not its first"):
        read([raw_row("iceberg", order, 1, WORKS, tagged=True)])


def test_a_part_that_nobody_can_place_is_left_out_for_the_settle_window() -> None:
    order = order_of("autoslice")
    raw = raw_row("autoslice", order, 1, WORKS, tagged=False)
    part = part_from(raw, ALWAYS_OPEN)
    assert book_of([part], START + WINDOW, WINDOW).rows == []
    (row,) = book_of([part], START + WINDOW + timedelta(seconds=1), WINDOW).rows
    assert row.broker_order_id == "100"
    assert row.tag != order.tag


def test_an_iceberg_that_does_not_tell_of_its_total_is_not_understood() -> None:
    order = order_of("iceberg")
    for meta in ({}, "text", {"iceberg": None}, {"iceberg": {"leg": 1}}):
        raw = raw_row("iceberg", order, 0, WORKS, tagged=True) | {"meta": meta}
        with pytest.raises(UNREADABLE):
            part_from(raw, ALWAYS_OPEN)


def test_between_two_legs_it_still_works() -> None:
    order = order_of("iceberg")
    (row,) = read([raw_row("iceberg", order, 0, Stage((10,), ("COMPLETE",)), tagged=True)]).rows
    assert (row.state, row.quantity, row.filled_quantity) == (BookState.WORKING, 25, 10)
