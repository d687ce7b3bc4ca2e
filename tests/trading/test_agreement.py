"""What counts as agreement, where it is not plain equality."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.trading.ledger.examples import START, history, limit_order
from trading.agreement import against_book, against_history, against_own_fills, against_positions
from trading.brokers.book import BookReport, BookState, BrokerOrder, BrokerPosition
from trading.ledger.positions import Position
from trading.lifecycle import Refused, Reported, step
from trading.order import BrokerOrderId, Fill, Order, Product, TradeId

NOW = START + timedelta(hours=1)
TOMORROW = START + timedelta(days=1)
TRADE = (40, Decimal("1500.05"))
NEVER_THERE = limit_order()


def ended(state: BookState, *trades: tuple[int, Decimal]) -> Order:
    return history(limit_order(), trades, state)[-1].order


def row_of(order: Order, state: BookState) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=order.broker_order_id or BrokerOrderId("B-a"),
        tag=order.tag,
        symbol=order.symbol,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        validity=order.validity,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        status=state.value,
        state=state,
        message=None,
        placed_at=START,
        updated_at=START,
    )


@pytest.mark.parametrize("state", [BookState.CANCELLED, BookState.EXPIRED, BookState.REJECTED])
def test_an_order_agrees_with_its_row(state: BookState) -> None:
    order = ended(state, TRADE)
    assert against_book(order, row_of(order, state), order.fills, NOW) == []


@pytest.mark.parametrize(
    ("order", "now", "is_missed"),
    [
        (ended(BookState.CANCELLED), NOW, True),
        (ended(BookState.CANCELLED), TOMORROW, False),  # a book is of one day
        (ended(BookState.WORKING), TOMORROW, True),  # and nobody else closes what is open
        (NEVER_THERE, NOW, False),
    ],
)
def test_an_order_is_missed_where_the_book_must_have_it(order: Order, now: datetime, is_missed: bool) -> None:
    assert bool(against_book(order, None, (), now)) is is_missed


def test_a_late_trade_is_no_difference_to_the_history_once_the_ledger_has_it() -> None:
    standing = ended(BookState.CANCELLED, TRADE)
    extra = standing.fills[0].model_copy(update={"trade_id": TradeId("late"), "quantity": 5})
    booked = standing.model_copy(update={"fills": (*standing.fills, extra)})
    assert against_history(booked, standing) == ["trade late is in the ledger, and not in its history"]
    assert against_history(booked, standing, late=True) == []
    assert against_history(standing, booked, late=True) == ["trade late is in its history, and not in the ledger"]


def test_of_an_order_that_arrived_after_it_was_given_up_only_the_fills_count() -> None:
    """REJECTED as not placed, and then the broker took it after all: a terminal status is never left."""
    given_up = step(NEVER_THERE, Refused(("not placed",)), START)
    row = replace(row_of(given_up, BookState.CANCELLED), filled_quantity=5)
    fill = Fill(trade_id=TradeId("T"), broker_order_id=row.broker_order_id, quantity=5, price=Decimal(1500), at=START)
    booked = step(given_up, Reported(BookReport(row, (fill,))), NOW)
    assert against_book(given_up, row, (fill,), NOW, late=True) != []
    assert against_book(booked, row, (fill,), NOW, late=True) == []
    assert against_book(booked, row, (fill,), NOW) == ["REJECTED in the ledger, CANCELLED at the broker"]
    assert against_history(booked, given_up, late=True) == []
    working = replace(row, state=BookState.WORKING, status="OPEN")
    assert against_book(booked, working, (fill,), NOW, late=True) == ["REJECTED in the ledger, OPEN at the broker"]


def test_a_step_that_was_done_again_is_no_difference() -> None:
    order = ended(BookState.CANCELLED, TRADE)
    assert against_history(order, order.model_copy(update={"updated_at": NOW})) == []


def test_flat_positions_need_not_be_at_the_broker() -> None:
    flat, held = (Position("paper", symbol, Product.MIS, quantity) for symbol, quantity in (("NSE:A", 0), ("NSE:B", 5)))
    theirs = [BrokerPosition("NSE:B", Product.CNC, 5, Decimal(1)), BrokerPosition("NSE:C", Product.MIS, 0, Decimal(1))]
    assert against_positions([flat, held], theirs) == {
        ("NSE:B", "CNC"): "0 held in the ledger, 5 at the broker",
        ("NSE:B", "MIS"): "5 held in the ledger, 0 at the broker",
    }


def test_a_position_is_what_its_fills_add_up_to() -> None:
    key = ("NSE:A", "MIS")
    earned = Position("paper", "NSE:A", Product.MIS, 5, Decimal(500), Decimal(20))
    assert against_own_fills([earned], {key: (5, Decimal(480))}) == {}
    assert set(against_own_fills([earned], {key: (5, Decimal("480.0001"))})) == {key}
    assert set(against_own_fills([], {key: (5, Decimal(480))})) == {key}
