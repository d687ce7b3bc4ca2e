"""What counts as agreement, where it is not plain equality."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.orders.book import (
    BookState,
    BrokerHolding,
    BrokerOrder,
    BrokerPosition,
    DayFigures,
    OrderReport,
)
from durable_orders.trading.orders.lifecycle import Refused, Reported, step
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, Product, TradeId
from durable_orders.trading.reconciliation.compare import (
    against_book,
    against_day,
    against_history,
    against_own_fills,
    against_positions,
)
from tests.trading.ledger.examples import START, history, limit_order

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


def test_a_second_trade_with_the_same_id_is_a_difference_and_hides_nothing() -> None:
    order = ended(BookState.CANCELLED, TRADE)
    row, (own,) = row_of(order, BookState.CANCELLED), order.fills
    other = own.model_copy(update={"price": Decimal(1), "quantity": 3})
    for trades in ((own, other), (other, own)):
        (mismatch,) = against_book(order, row, trades, NOW)
        assert (mismatch.ours, mismatch.theirs) == (None, f"trade {own.trade_id}: 3 at 1")
    assert len(against_book(order, row, (other, other), NOW)) == 2


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
    booked = step(given_up, Reported(OrderReport(row, (fill,))), NOW)
    assert against_book(given_up, row, (fill,), NOW, late=True) != []
    assert against_book(booked, row, (fill,), NOW, late=True) == []
    (mismatch,) = against_book(booked, row, (fill,), NOW)
    assert mismatch.words == "REJECTED in the ledger, CANCELLED at the broker"
    assert against_history(booked, given_up, late=True) == []
    working = replace(row, state=BookState.WORKING, status="OPEN")
    found = against_book(booked, working, (fill,), NOW, late=True)
    assert [each.words for each in found] == ["REJECTED in the ledger, OPEN at the broker"]


def test_a_step_that_was_done_again_is_no_difference() -> None:
    order = ended(BookState.CANCELLED, TRADE)
    assert against_history(order, order.model_copy(update={"updated_at": NOW})) == []


def test_flat_positions_need_not_be_at_the_broker() -> None:
    flat, held = (Position("paper", symbol, Product.MIS, quantity) for symbol, quantity in (("NSE:A", 0), ("NSE:B", 5)))
    theirs = [BrokerPosition("NSE:B", Product.CNC, 5, Decimal(1)), BrokerPosition("NSE:C", Product.MIS, 0, Decimal(1))]
    reading = BrokerReading.of(NOW, theirs, [])
    assert against_positions([flat, held], {}, reading, is_of_one_day=True) == {
        ("NSE:B", "CNC"): "0 held in the ledger, 5 at the broker",
        ("NSE:B", "MIS"): "5 held in the ledger, 0 at the broker",
    }


def test_shares_of_earlier_days_must_be_among_the_holdings() -> None:
    held = Position("paper", "NSE:A", Product.CNC, 10)
    for quantity, expected in ((25, {}), (4, {("NSE:A", "CNC"): "10 held in the ledger, 4 at the broker"})):
        reading = BrokerReading.of(NOW, [], [BrokerHolding("NSE:A", Product.CNC, quantity, quantity, Decimal(1))])
        assert against_positions([held], {}, reading, is_of_one_day=True) == expected


def test_a_share_is_one_on_either_exchange() -> None:
    """100 were carried into the day, 30 of them are sold on the other exchange, where 10 were bought for the margin."""
    rows = [("BSE:A", Product.CNC, -30), ("BSE:A", Product.MTF, 10), ("NSE:A", Product.MIS, 5)]
    held = [BrokerHolding("NSE:A", Product.CNC, 100, 100, Decimal(1))]
    reading = BrokerReading.of(NOW, [BrokerPosition(*row, Decimal(1)) for row in rows], held)
    for exchange, intraday in (("NSE", 5), ("BSE", 0)):
        found = [reading.everywhere(f"{exchange}:A", product) for product in ("CNC", "MTF", "MIS")]
        assert found == [70, 10, intraday]


def test_the_days_profit_is_the_brokers_own() -> None:
    """10 carried over at a close of 100, 4 of them sold at 110, and the price is 105 now: 40 and 30."""
    right = DayFigures(Decimal("70.00"), 10, Decimal(100), Decimal(105))
    rows = [BrokerPosition("NSE:A", Product.MIS, 6, Decimal(100), right)]
    traded = {("NSE:A", "MIS"): (-4, Decimal(-440))}
    assert against_day(traded, rows) == {}
    wrong = [replace(rows[0], day=replace(right, profit=Decimal(50)))]
    assert against_day(traded, wrong) == {
        ("NSE:A", "MIS"): "it earned 70.00 rupees today by the ledger, 50.00 by the broker"
    }
    without_close = [replace(rows[0], day=replace(right, close=Decimal(0)))]
    assert against_day(traded, without_close) == {}


def test_a_position_is_what_its_fills_add_up_to() -> None:
    key = ("NSE:A", "MIS")
    earned = Position("paper", "NSE:A", Product.MIS, 5, Decimal(500), Decimal(20))
    assert against_own_fills([earned], {key: (5, Decimal(480))}) == {}
    assert set(against_own_fills([earned], {key: (5, Decimal("480.0001"))})) == {key}
    assert set(against_own_fills([], {key: (5, Decimal(480))})) == {key}
