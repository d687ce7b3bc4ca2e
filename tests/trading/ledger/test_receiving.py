"""An order enters the ledger once, whoever asks and however often."""

from datetime import timedelta
from decimal import Decimal

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of, find_order, fingerprint_of
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import CancelRequested, Refused, step
from durable_orders.trading.orders.order import Status
from tests.trading.ledger.examples import START, enter, everything, history, limit_order, new_order, record_all


def test_a_received_order_is_pending_with_event_0(ledger: Database) -> None:
    order = limit_order()
    assert enter(ledger, order) is None
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == order
        [event] = events_of(connection, order.order_id)
        assert fingerprint_of(connection, order.order_id) == f"fingerprint of {order.summary()}"
    assert (event.sequence, event.type, event.status) == (0, EventType.ORDER_RECEIVED, Status.PENDING)
    assert (event.message, event.at, event.account) == (order.summary(), order.created_at, "paper")


def test_the_same_run_receives_again_and_changes_nothing(ledger: Database) -> None:
    enter(ledger, new_order())
    before = everything(ledger)
    assert enter(ledger, new_order(at=START + timedelta(seconds=9))) is None
    assert everything(ledger) == before


def test_another_run_is_given_the_order_as_it_stands(ledger: Database) -> None:
    enter(ledger, new_order())
    filled = record_all(ledger, history(new_order(), [(100, Decimal("10.5"))], BookState.COMPLETE))
    before = everything(ledger)
    assert enter(ledger, new_order(quantity=7), run_id="run-2") == filled
    assert everything(ledger) == before


def test_what_was_recorded_before_the_guard_ran_is_taken_over(ledger: Database) -> None:
    order = step(new_order(), CancelRequested("by hand"), START)
    noted = Entry(sequence=1, type=EventType.ORDER_UPDATED, at=START, message="cancel", status=Status.PENDING)
    record(ledger, order, [noted])
    assert enter(ledger, new_order()) is None
    assert enter(ledger, new_order(), run_id="run-2") == order
    with ledger.read() as connection:
        assert [event.sequence for event in events_of(connection, order.order_id)] == [0, 1]


def test_an_order_that_ended_before_the_guard_ran_is_not_received(ledger: Database) -> None:
    order = step(new_order(), Refused(("TOO_LATE",)), START)
    record(
        ledger, order, [Entry(sequence=1, type=EventType.ORDER_REJECTED, at=START, message="late", status=order.status)]
    )
    assert enter(ledger, new_order()) == order
