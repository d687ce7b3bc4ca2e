"""An order that the ledger had forgotten, and adopted as a row of the broker's book, becomes that order again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.open_orders import record_standing
from durable_orders.trading.ledger.reading import (
    events_of,
    find_order,
    positions_of,
    strategy_positions_of,
    unsettled_orders,
    views_for,
)
from durable_orders.trading.ledger.recording import receive, record
from durable_orders.trading.ledger.reservations import standing
from durable_orders.trading.orders.book import BookState, OrderReport
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import Receipt, Reported, step
from durable_orders.trading.orders.order import (
    Account,
    BrokerOrderId,
    Fill,
    Instructions,
    Mode,
    Order,
    OrderIntent,
    Status,
    TradeId,
)
from durable_orders.trading.reconciliation.external_orders import ExternalKind, adopted, kind_of
from tests.conftest import new_account
from tests.trading.ledger.examples import row_of

AT = datetime(2026, 11, 27, 6, tzinfo=UTC)
KITES = BrokerOrderId("261127000000007")


@pytest.fixture
def order() -> Order:
    """BUY 10 INFY at 1500 in an account of its own."""
    intent = OrderIntent(
        symbol="NSE:INFY",
        side="BUY",
        quantity=10,
        order_type="LIMIT",
        price=Decimal(1500),
        strategy="mean",
        client_order_id="after-the-backup",
        account=new_account(),
        mode=Mode.LIVE,
    )
    return Order.from_intent(intent, AT)


def shown(order: Order, filled: int = 0) -> OrderReport:
    """As the broker's book has it, with so much traded."""
    fill = Fill(trade_id=TradeId("T1"), broker_order_id=KITES, quantity=filled or 1, price=Decimal(1500), at=AT)
    fills = (fill,) if filled else ()
    state = BookState.COMPLETE if filled == order.quantity else BookState.WORKING
    return OrderReport(row=row_of(order, KITES, fills, state), fills=fills)


def adopt(ledger: Database, order: Order, filled: int) -> Order:
    report = shown(order, filled)
    external = adopted(report.row, ExternalKind.EXTERNAL, Account(order.account), Mode.LIVE, keeps_tag=True)
    after = step(external, Reported(report), AT)
    entry = Entry(sequence=0, type=EventType.ALERT, at=AT, message="found at the broker", status=after.status)
    record(ledger, after, [entry])
    return after


@pytest.mark.parametrize(("filled", "status"), [(0, Status.PLACED), (4, Status.PARTIAL), (10, Status.FILLED)])
def test_what_is_asked_for_again_is_the_one_that_was_found(
    ledger: Database, order: Order, filled: int, status: Status
) -> None:
    external = adopt(ledger, order, filled)
    assert external.tag == order.tag
    with ledger.write() as connection:
        found = receive(connection, order, "a run", "its content")
    assert found is not None
    assert (found.order_id, found.status, found.broker_order_id) == (order.order_id, status, KITES)
    with ledger.write() as connection:
        assert receive(connection, order, "a run", "its content") == found, "whoever asks once more is told the same"
        assert find_order(connection, external.order_id) is None
        told = [event.type for event in events_of(connection, order.order_id)]
        assert told == [EventType.ORDER_RECEIVED, EventType.ALERT]
        assert sum(held.quantity for held in positions_of(connection, order.account)) == filled
        own = strategy_positions_of(connection, order.account, "mean")
        theirs = strategy_positions_of(connection, order.account, "external")
        assert [held.quantity for held in own.values()] == [filled]
        assert [held.quantity for held in theirs.values()] == [0]
        net = sum((held.charges for held in positions_of(connection, order.account)), Decimal(0))
        assert [(held.charges, held.uncharged) for held in own.values()] == [(net, 0)]
        assert [(held.charges, held.uncharged) for held in theirs.values()] == [(Decimal(0), 0)]
        assert (net > 0) == (filled > 0)
        reserved = standing(connection, order.order_id)
        assert (reserved.quantity if reserved else 0) == 10 - filled


@pytest.mark.parametrize(("filled", "status"), [(0, Status.PLACED), (4, Status.PARTIAL), (6, Status.UNKNOWN)])
def test_a_part_of_a_split_order_is_not_the_whole_of_it(
    ledger: Database, order: Order, filled: int, status: Status
) -> None:
    """The book had shown six of ten, in the first of its parts, when the ledger found it."""
    split = order.model_copy(update={"instructions": Instructions(autoslice=True)})
    adopt(ledger, order.model_copy(update={"quantity": 6}), filled)
    with ledger.write() as connection:
        found = receive(connection, split, "a run", "its content")
        assert found is not None
        assert (found.status, found.quantity, found.filled_quantity) == (status, 10, filled)
        unsettled = unsettled_orders(connection, order.account)
    assert unsettled == ([order.order_id] if status is Status.UNKNOWN else [])


def test_what_its_own_workflow_tells_later_is_booked_once(ledger: Database, order: Order) -> None:
    adopt(ledger, order, 4)
    placed = step(order, Receipt(KITES), AT)
    after = step(placed, Reported(shown(order, 10)), AT + timedelta(seconds=1))
    more = Fill(trade_id=TradeId("T2"), broker_order_id=KITES, quantity=6, price=Decimal(1500), at=AT)
    first = shown(order, 4).fills[0]
    after = after.model_copy(update={"fills": (first, more), "status": Status.FILLED})
    accounts: list[str] = []
    assert record_standing(ledger, after, AT, lambda _connection, account, _at: accounts.append(account))
    assert accounts == [order.account], "the day's breakers are asked over what was booked"
    with ledger.read() as connection:
        found = find_order(connection, order.order_id)
        assert found is not None
        assert (found.status, found.filled_quantity) == (Status.FILLED, 10)
        assert sum(held.quantity for held in positions_of(connection, order.account)) == 10
        assert standing(connection, order.order_id) is None
    assert not record_standing(ledger, after, AT, None), "once is enough"


def test_an_order_of_other_terms_is_another_order(ledger: Database, order: Order) -> None:
    external = adopt(ledger, order, 0)
    with ledger.write() as connection:
        found = receive(connection, order.model_copy(update={"symbol": "NSE:SBIN"}), "a run", "its content")
    assert found == external


def test_a_row_of_an_order_that_was_found_is_no_twin(ledger: Database, order: Order) -> None:
    adopt(ledger, order, 0)
    with ledger.read() as connection:
        (view,) = views_for(connection, order.account, tags={order.tag}, broker_order_ids=())
    other = shown(order).row
    assert kind_of(other, view) is ExternalKind.EXTERNAL
