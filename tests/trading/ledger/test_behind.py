"""A run of an order's workflow that knows less than the ledger: nothing of what it says is written."""

from decimal import Decimal
from typing import Any

import pytest

from durable_orders.trading.ledger import attempts, reservations
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of, find_order
from durable_orders.trading.ledger.recording import receive, record, record_of_run
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, Status, TradeId
from durable_orders.trading.orders.record import OnRecord
from tests.trading.ledger.examples import START, limit_order

OWN = BrokerOrderId("26112900001")
TRADE = Fill(trade_id=TradeId("T1"), broker_order_id=OWN, quantity=4, price=Decimal(1500), at=START)


@pytest.fixture
def order(ledger: Database) -> Order:
    """Received, approved, and with its first attempt used."""
    order = limit_order(quantity=10)
    with ledger.write() as connection:
        receive(connection, order, "run", "content")
        reservations.reserve(connection, order, Decimal(1500), START)
        attempts.use(connection, order.order_id, 1, 0)
    return order


def entry(sequence: int, status: Status) -> Entry:
    kind = EventType.ORDER_UPDATED
    return Entry(sequence=sequence, type=kind, at=START, message=f"number {sequence}", status=status)


def said(
    ledger: Database, order: Order, sequence: int | None, status: Status, attempt: int | None = 1, **changes: Any
) -> OnRecord | None:
    """What a run says of the order; and what it is told, if that is refused."""
    after = order.changed(status=status, **changes)
    with ledger.write() as connection:
        entries = [] if sequence is None else [entry(sequence, status)]
        return record_of_run(connection, after, entries, unsettled=False, attempt=attempt)[0]


def everything(ledger: Database, order: Order) -> tuple[Any, ...]:
    with ledger.read() as connection:
        events = events_of(connection, order.order_id)
        return find_order(connection, order.order_id), events, reservations.standing(connection, order.order_id)


KNOWN: list[tuple[Status, dict[str, Any]]] = [
    (Status.PLACED, {"broker_order_id": OWN}),
    (Status.PARTIAL, {"broker_order_id": OWN, "fills": (TRADE,)}),
    (Status.UNKNOWN, {}),
    (Status.CANCELLED, {"broker_order_id": OWN}),
    (Status.REJECTED, {}),
    (Status.PENDING, {"cancel_requested": True}),
]


@pytest.mark.parametrize(("status", "known"), KNOWN, ids=lambda value: str(value) if isinstance(value, Status) else "")
@pytest.mark.parametrize("says", [Status.REJECTED, Status.PENDING])
def test_a_status_that_goes_back_is_refused(
    ledger: Database, order: Order, status: Status, known: dict[str, Any], says: Status
) -> None:
    """As a reset of a working stop past its deadline would say that it is TOO_LATE."""
    assert said(ledger, order, 1, Status.PENDING) is None
    assert said(ledger, order, 2, status, **known) is None
    before = everything(ledger, order)
    refused = said(ledger, order, 2, says)
    if says is status is Status.REJECTED:
        assert refused is None, "the same again"
    else:
        assert refused == OnRecord(order=before[0], sequence=2, attempt=1, not_sent=0)
    assert everything(ledger, order) == before


def test_fewer_fills_are_refused(ledger: Database, order: Order) -> None:
    said(ledger, order, 1, Status.PARTIAL, broker_order_id=OWN, fills=(TRADE,))
    refused = said(ledger, order, 7, Status.PLACED, broker_order_id=OWN)
    assert refused is not None
    assert refused.order.fills == (TRADE,)
    other = TRADE.model_copy(update={"trade_id": TradeId("T2"), "quantity": 6})
    refused = said(ledger, order, 7, Status.PARTIAL, broker_order_id=OWN, fills=(other,))
    assert refused is not None, "more of it, and yet not all"
    assert said(ledger, order, 7, Status.FILLED, broker_order_id=OWN, fills=(TRADE, other)) is None


def test_an_attempt_that_it_does_not_know_of_is_told(ledger: Database, order: Order) -> None:
    refused = said(ledger, order, 1, Status.REJECTED, attempt=0)
    assert refused is not None
    assert (refused.attempt, refused.not_sent) == (1, 0)
    assert said(ledger, order, 1, Status.REJECTED, attempt=1) is None


def test_a_run_that_cannot_know_of_attempts_is_not_asked(ledger: Database, order: Order) -> None:
    assert said(ledger, order, 1, Status.UNKNOWN, attempt=None) is None


def test_a_task_that_is_done_again_is_no_sign_of_it(ledger: Database, order: Order) -> None:
    """Its worker died after several recordings; another makes them again, one after the other."""
    for _ in range(2):
        assert said(ledger, order, 1, Status.PENDING) is None
        assert said(ledger, order, 2, Status.UNKNOWN) is None
        assert said(ledger, order, 3, Status.PENDING) is None
    with ledger.read() as connection:
        assert [event.sequence for event in events_of(connection, order.order_id)] == [0, 1, 2, 3]


def test_an_order_that_the_ledger_does_not_know_is_entered(ledger: Database) -> None:
    assert said(ledger, limit_order(quantity=10), 1, Status.UNKNOWN, attempt=0) is None


@pytest.mark.parametrize(
    ("status", "known"), KNOWN[:-1], ids=lambda value: str(value) if isinstance(value, Status) else ""
)
def test_the_guard_does_not_approve_it_anew(
    ledger: Database, order: Order, status: Status, known: dict[str, Any]
) -> None:
    with ledger.write() as connection:
        assert receive(connection, order, "run", "content") is None
    record(ledger, order.changed(status=status, **known), [entry(1, status)])
    with ledger.write() as connection:
        found = receive(connection, order, "run", "content")
    assert found is not None
    assert found.status is status
