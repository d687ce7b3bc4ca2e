"""FIX order state change matrices (FIX 4.2, appendix D), as the broker's book tells them.

Each matrix is a script: an event, then the status, total and filled quantity in which it leaves the order. The orders
are for 100 shares at 1500. A row lists the trades that the trade book shows with it, and carries Kite's own status
words. What FIX calls pending replace and pending cancel are working statuses here: an order is amended or cancelled
when the book says so, never before.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.lifecycle import (
    AnswerLost,
    CancelRequested,
    Event,
    Noted,
    ProvedAbsent,
    Receipt,
    Refused,
    Reported,
    Withdrawn,
    step,
)
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    Status,
    TradeId,
    Validity,
)

START = datetime(2026, 1, 5, 3, 45, tzinfo=UTC)
OURS = BrokerOrderId("250105000000001")
S = Status

ENDED = {
    "COMPLETE": BookState.COMPLETE,
    "CANCELLED": BookState.CANCELLED,
    "REJECTED": BookState.REJECTED,
}
"""Kite's terminal statuses; whatever else a row says, the order works."""


def row(
    status: str,
    *trades: int,
    total: int = 100,
    filled: int | None = None,
    price: int = 1500,
    validity: Validity = Validity.DAY,
    expired: bool = False,
    message: str | None = None,
    broker_order_id: BrokerOrderId = OURS,
) -> Reported:
    """A row and the trades read with it. `filled` where the row and the trades do not agree."""
    shown = BrokerOrder(
        broker_order_id=broker_order_id,
        tag=None,
        symbol="NSE:INFY",
        side=Side.BUY,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        validity=validity,
        quantity=total,
        filled_quantity=sum(trades) if filled is None else filled,
        price=Decimal(price),
        trigger_price=None,
        status=status,
        state=BookState.EXPIRED if expired else ENDED.get(status, BookState.WORKING),
        message=message,
        placed_at=START,
        updated_at=START,
    )
    booked = [
        Fill(
            trade_id=TradeId(f"T{number}"),
            broker_order_id=broker_order_id,
            quantity=quantity,
            price=Decimal(price),
            at=START,
        )
        for number, quantity in enumerate(trades, start=1)
    ]
    return Reported(OrderReport(shown, tuple(booked)))


def expired(*trades: int, validity: Validity = Validity.DAY) -> Reported:
    """The rest of a DAY order after the close, or of an IOC order at once. Kite calls both CANCELLED."""
    return row("CANCELLED", *trades, validity=validity, expired=True)


RECEIPT = Receipt(OURS)
CANCEL = CancelRequested("cancelled by the strategy")
REPLACE_REFUSED = Noted("amendment refused: order cannot be modified as it is being processed")

Line = tuple[Event, Status, int, int]


@dataclass(frozen=True)
class Matrix:
    name: str
    lines: tuple[Line, ...]
    price: int = 1500
    """The order's limit at the end, in rupees."""
    validity: Validity = Validity.DAY


MATRICES = [
    Matrix(
        "d1_filled",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("PUT ORDER REQ RECEIVED"), S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (row("OPEN", 20, 10), S.PARTIAL, 100, 30),
            (row("COMPLETE", 20, 10, 70), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "d1_rejected_after_the_receipt",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("VALIDATION PENDING"), S.PLACED, 100, 0),
            (row("REJECTED", message="RMS:Margin Exceeds"), S.REJECTED, 100, 0),
        ),
    ),
    Matrix(
        "d2_part_filled_day_order_done_for_day",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 20, 30), S.PARTIAL, 100, 50),
            (expired(20, 30), S.EXPIRED, 100, 50),
        ),
    ),
    Matrix(
        "d3_cancel_of_zero_filled",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
            (CANCEL, S.PLACED, 100, 0),
            (row("CANCEL PENDING"), S.PLACED, 100, 0),
            (row("CANCELLED"), S.CANCELLED, 100, 0),
        ),
    ),
    Matrix(
        "d3_cancel_rejected",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (CANCEL, S.PLACED, 100, 0),
            (Noted("cancel refused: order is being processed"), S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
        ),
    ),
    Matrix(
        "d4_cancel_of_part_filled_with_fills_while_the_cancel_is_active",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (CANCEL, S.PARTIAL, 100, 20),
            (row("CANCEL PENDING", 20, 30), S.PARTIAL, 100, 50),
            (row("CANCELLED", 20, 30, filled=60), S.PARTIAL, 100, 50),  # a trade is still to come
            (row("CANCELLED", 20, 30, 10), S.CANCELLED, 100, 60),
        ),
    ),
    Matrix(
        "d5_filled_before_the_cancel_is_accepted",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (CANCEL, S.PARTIAL, 100, 20),
            (row("CANCEL PENDING", 20, 30), S.PARTIAL, 100, 50),
            (row("COMPLETE", 20, 30, 50), S.FILLED, 100, 100),
            (Noted("cancel refused: order is complete"), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "d6_zero_filled_replaced_to_increase",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
            (row("MODIFY VALIDATION PENDING"), S.PLACED, 100, 0),
            (row("MODIFY PENDING"), S.PLACED, 100, 0),
            (row("OPEN", total=110), S.PLACED, 110, 0),
            (row("OPEN", 10, total=110), S.PARTIAL, 110, 10),
            (row("COMPLETE", 10, 100, total=110), S.FILLED, 110, 110),
        ),
    ),
    Matrix(
        "d7_part_filled_replaced_to_increase_with_a_fill_while_pending",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 10), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10, 50), S.PARTIAL, 100, 60),
            (row("OPEN", 10, 50, total=120), S.PARTIAL, 120, 60),
            (row("COMPLETE", 10, 50, 60, total=120), S.FILLED, 120, 120),
        ),
    ),
    Matrix(
        "d8_filled_order_is_not_replaced",  # FIX would reopen it; Kite modifies nothing that is COMPLETE
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("COMPLETE", 100), S.FILLED, 100, 100),
            (REPLACE_REFUSED, S.FILLED, 100, 100),
            (row("COMPLETE", 100), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "d8_filled_while_the_replace_is_pending",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("MODIFY PENDING"), S.PLACED, 100, 0),
            (row("COMPLETE", 100), S.FILLED, 100, 100),
            (REPLACE_REFUSED, S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "d9_replace_of_the_price_rejected_because_a_fill_occurred",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
            (row("OPEN", 100, filled=100), S.PARTIAL, 100, 100),  # the trades are there before the row is COMPLETE
            (REPLACE_REFUSED, S.PARTIAL, 100, 100),
            (row("COMPLETE", 100), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "d10_replaced_to_decrease_above_what_is_filled",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("MODIFY PENDING", 50), S.PARTIAL, 100, 50),
            (row("OPEN", 50, total=80), S.PARTIAL, 80, 50),
            (row("COMPLETE", 50, 30, total=80), S.FILLED, 80, 80),
        ),
    ),
    Matrix(
        "d11_replaced_to_decrease_to_what_is_filled",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("MODIFY PENDING", 70), S.PARTIAL, 100, 70),
            (row("COMPLETE", 70, total=70), S.FILLED, 70, 70),
        ),
    ),
    Matrix(
        "d12_replaced_to_decrease_below_what_is_filled",  # 60 were asked for; the broker amends to the 70 filled
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN"), S.PLACED, 100, 0),
            (row("MODIFY PENDING", 70), S.PARTIAL, 100, 70),
            (row("COMPLETE", 70, total=70), S.FILLED, 70, 70),
        ),
    ),
    Matrix(
        "d13_replace_accepted_and_another_accepted",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 10), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10), S.PARTIAL, 100, 10),
            (row("OPEN", 10, total=80), S.PARTIAL, 80, 10),
            (row("MODIFY PENDING", 10, total=80), S.PARTIAL, 80, 10),
            (row("OPEN", 10, total=90, price=1510), S.PARTIAL, 90, 10),
        ),
        price=1510,
    ),
    Matrix(
        "d14_replace_rejected_before_pending_then_another_accepted",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 10), S.PARTIAL, 100, 10),
            (REPLACE_REFUSED, S.PARTIAL, 100, 10),
            (row("OPEN", 10), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10), S.PARTIAL, 100, 10),
            (row("OPEN", 10, total=80), S.PARTIAL, 80, 10),
        ),
    ),
    Matrix(
        "d15_replace_rejected_after_pending_then_another_accepted",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 10), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10), S.PARTIAL, 100, 10),
            (row("OPEN", 10, message="16316 : not a multiple of tick size"), S.PARTIAL, 100, 10),
            (row("MODIFY PENDING", 10), S.PARTIAL, 100, 10),
            (row("OPEN", 10, price=1505), S.PARTIAL, 100, 10),
        ),
        price=1505,
    ),
    Matrix(
        "d16_chained_replaces_with_a_fill_between",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("MODIFY PENDING"), S.PLACED, 100, 0),
            (row("OPEN", total=80), S.PLACED, 80, 0),
            (row("MODIFY PENDING", 10, total=80), S.PARTIAL, 80, 10),
            (row("OPEN", 10, total=70), S.PARTIAL, 70, 10),
            (row("OPEN", total=80), S.PARTIAL, 70, 10),  # an old row, read late: it shows less filled than is known
            (row("COMPLETE", 10, 60, total=70), S.FILLED, 70, 70),
        ),
    ),
    Matrix(
        "unsolicited_cancel_of_part_filled",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (row("CANCELLED", 20, message="cancelled by the exchange"), S.CANCELLED, 100, 20),
        ),
    ),
    Matrix(
        "unsolicited_replace",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", total=75, price=1495), S.PLACED, 75, 0),
        ),
        price=1495,
    ),
    Matrix(
        "fill_after_the_cancel_is_still_booked",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("CANCELLED"), S.CANCELLED, 100, 0),
            (row("CANCELLED", 20), S.CANCELLED, 100, 20),
            (row("COMPLETE", 20, 80), S.CANCELLED, 100, 100),  # an end is an end; the outcome is what was filled
        ),
    ),
    Matrix(
        "fill_after_a_withdrawal_is_still_booked",
        (
            (Withdrawn("cancelled before it was sent"), S.CANCELLED, 100, 0),
            (row("COMPLETE", 100), S.CANCELLED, 100, 100),
        ),
    ),
    Matrix(
        "reject_keeps_its_fills",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("REJECTED", 20), S.REJECTED, 100, 20),
        ),
    ),
    Matrix(
        "ioc_that_found_nobody_expires",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (expired(validity=Validity.IOC), S.EXPIRED, 100, 0),
        ),
        validity=Validity.IOC,
    ),
    Matrix(
        "ioc_rest_expires",
        ((expired(40, validity=Validity.IOC), S.EXPIRED, 100, 40),),  # over before the answer is back
        validity=Validity.IOC,
    ),
    Matrix(
        "trade_reported_twice",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (row("COMPLETE", 20, 80), S.FILLED, 100, 100),
            (row("COMPLETE", 20, 80), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "unknown_broker_status_counts_as_working",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("EXCHANGE HALTED"), S.PLACED, 100, 0),
            (row("EXCHANGE HALTED", 20), S.PARTIAL, 100, 20),
            (row("COMPLETE", 20, 80), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "late_receipt_after_the_book",
        (
            (AnswerLost("timed out after 7 s"), S.UNKNOWN, 100, 0),
            (row("OPEN", 20), S.PARTIAL, 100, 20),
            (RECEIPT, S.PARTIAL, 100, 20),
            (Refused(("a late and mistaken no",)), S.PARTIAL, 100, 20),
            (row("COMPLETE", 20, 80), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "late_receipt_of_a_lost_answer",
        (
            (AnswerLost("timed out after 7 s"), S.UNKNOWN, 100, 0),
            (RECEIPT, S.PLACED, 100, 0),
        ),
    ),
    Matrix(
        "lost_answer_proved_absent_and_sent_again",
        (
            (AnswerLost("connection reset"), S.UNKNOWN, 100, 0),
            (ProvedAbsent("not in the book for 60 s"), S.PENDING, 100, 0),
            (RECEIPT, S.PLACED, 100, 0),
            (row("COMPLETE", 100), S.FILLED, 100, 100),
        ),
    ),
    Matrix(
        "row_of_another_order_changes_nothing",
        (
            (RECEIPT, S.PLACED, 100, 0),
            (row("COMPLETE", 100, broker_order_id=BrokerOrderId("250105000000002")), S.PLACED, 100, 0),
        ),
    ),
]


def intent(quantity: int = 100, client_order_id: str = "d31", validity: Validity = Validity.DAY) -> OrderIntent:
    return OrderIntent(
        symbol="NSE:INFY",
        side=Side.BUY,
        quantity=quantity,
        order_type=OrderType.LIMIT,
        price=Decimal(1500),
        validity=validity,
        client_order_id=client_order_id,
    )


@pytest.mark.parametrize("matrix", MATRICES, ids=lambda matrix: matrix.name)
def test_matrix(matrix: Matrix) -> None:
    order = Order.from_intent(intent(validity=matrix.validity), START)
    for number, (event, status, total, filled) in enumerate(matrix.lines, start=1):
        order = step(order, event, START + timedelta(seconds=number))
        stands = (order.status, order.quantity, order.filled_quantity, order.remaining)
        assert stands == (status, total, filled, total - filled), f"line {number}: {event}"
    assert order.price == matrix.price


def test_d31_possible_resend_of_a_known_order_is_the_same_order() -> None:
    first, resent = intent(), OrderIntent.model_validate_json(intent().model_dump_json())
    assert resent.order_id == first.order_id
    assert resent.fingerprint() == first.fingerprint()
    assert Order.from_intent(resent, START).tag == Order.from_intent(first, START).tag


def test_d31_possible_resend_of_an_unknown_order_is_a_new_order() -> None:
    first, other = intent(), intent(quantity=150, client_order_id="d31-second")
    assert other.order_id != first.order_id
    assert Order.from_intent(other, START).tag != Order.from_intent(first, START).tag


def test_d31_same_id_with_other_content_is_told_apart() -> None:
    first, changed = intent(), intent(quantity=150)
    assert changed.order_id == first.order_id
    assert changed.fingerprint() != first.fingerprint()


def test_the_brokers_words_are_kept_with_an_end() -> None:
    order = step(Order.from_intent(intent(), START), row("REJECTED", message="RMS:Margin Exceeds"), START)
    assert order.reasons == ("RMS:Margin Exceeds",)
    order = step(Order.from_intent(intent(), START), row("OPEN", message="looks fine"), START)
    assert order.reasons == ()
