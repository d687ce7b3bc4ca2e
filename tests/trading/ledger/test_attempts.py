"""A permission to send is used once: whoever asks, how often, how late, and from however many processes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from durable_orders.trading.errors import AttemptUsed
from durable_orders.trading.ledger import attempts, reservations
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import on_record, receive, record
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import BrokerOrderId, Order, Status
from tests.trading.ledger.examples import START, limit_order


@pytest.fixture
def order(ledger: Database) -> Order:
    """Received, and approved."""
    order = limit_order(quantity=10)
    with ledger.write() as connection:
        receive(connection, order, "run", "content")
        reservations.reserve(connection, order, Decimal(1500), START)
    return order


def use(ledger: Database, order: Order, number: int, proved: int = 0) -> bool:
    with ledger.write(durable=True) as connection:
        return attempts.use(connection, order.order_id, number, proved)


def stands(ledger: Database, order: Order, status: Status, sequence: int, **changes: object) -> None:
    entry = Entry(sequence=sequence, type=EventType.ORDER_UPDATED, at=START, message="so it is", status=status)
    record(ledger, order.model_copy(update={"status": status, **changes}), [entry])


def test_each_number_is_used_once(ledger: Database, order: Order) -> None:
    assert use(ledger, order, 1)
    for number, proved in ((1, 0), (1, 1), (0, 0)):
        with pytest.raises(AttemptUsed, match=f"attempt 1 to send it was made already, and attempt {number}"):
            use(ledger, order, number, proved)


def test_next_one_is_used_only_when_nothing_came_of_those_before(ledger: Database, order: Order) -> None:
    assert use(ledger, order, 1)
    with pytest.raises(AttemptUsed, match="attempt 1 to send it was made already, and attempt 2 was asked for"):
        use(ledger, order, 2)
    assert use(ledger, order, 2, proved=1)
    with pytest.raises(AttemptUsed):
        use(ledger, order, 3, proved=1)
    with ledger.read() as connection:
        known = on_record(connection, order.order_id)
    assert known is not None
    assert (known.attempt, known.not_sent) == (2, 1)


def test_attempt_stands_until_somebody_gives_it_up(ledger: Database, order: Order) -> None:
    """What a worker asks for in the last moment, when it may have been frozen since."""

    def stands_now(number: int = 1) -> bool:
        with ledger.read() as connection:
            return attempts.stands(connection, order.order_id, number)

    assert not stands_now()
    assert use(ledger, order, 1)
    assert stands_now()
    stands(ledger, order, Status.UNKNOWN, 1)
    assert not stands_now()
    stands(ledger, order, Status.PENDING, 2)
    assert use(ledger, order, 2, proved=1)
    assert (stands_now(1), stands_now(2)) == (False, True)


def test_numbers_may_be_left_out(ledger: Database, order: Order) -> None:
    """Attempts that never came so far, such as those that had no turn, use no number."""
    assert use(ledger, order, 4)
    with pytest.raises(AttemptUsed):
        use(ledger, order, 3, proved=3)


def test_what_was_proved_absent_burns_the_numbers_that_were_never_used(ledger: Database, order: Order) -> None:
    """The worker that was frozen with attempt 1 in its hands comes back when the book has proved it absent."""
    with ledger.write() as connection:
        attempts.close(connection, order.order_id, 1)
    with pytest.raises(AttemptUsed):
        use(ledger, order, 1)
    assert use(ledger, order, 2, proved=1)


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.PLACED, Status.CANCELLED])
def test_order_that_the_ledger_has_at_the_broker_is_never_sent(ledger: Database, order: Order, status: Status) -> None:
    stands(ledger, order, status, 1, broker_order_id=BrokerOrderId("26112900001"))
    with pytest.raises(AttemptUsed, match=f"it is {status} in the ledger already as 26112900001"):
        use(ledger, order, 9, proved=8)


def test_order_whose_outcome_is_open_is_not_sent(ledger: Database, order: Order) -> None:
    stands(ledger, order, Status.UNKNOWN, 1)
    with pytest.raises(AttemptUsed, match="it is UNKNOWN in the ledger already"):
        use(ledger, order, 2, proved=1)
    stands(ledger, order, Status.PENDING, 2)
    assert use(ledger, order, 2, proved=1)


def test_order_that_ended_unsent_has_no_permission_left(ledger: Database, order: Order) -> None:
    stands(ledger, order, Status.REJECTED, 1)
    assert not use(ledger, order, 1)


def test_order_that_a_restored_ledger_does_not_know_may_be_at_the_broker(ledger: Database) -> None:
    with pytest.raises(AttemptUsed, match="it is older than the order's history"):
        use(ledger, limit_order(quantity=10), 1)


def test_of_many_workers_that_ask_at_once_one_may_send(ledger_url: str, ledger: Database, order: Order) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> bool:
        with Database(ledger_url) as own:
            together.wait(60)
            try:
                return use(own, order, 1)
            except AttemptUsed:
                return False

    with ThreadPoolExecutor(8) as workers:
        assert sorted(workers.map(ask, range(8))) == [False] * 7 + [True]
