from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import (
    DAY,
    events_after,
    events_of,
    find_by_tag,
    find_order,
    fingerprint_of,
    list_orders,
    open_views,
    views_for,
)
from durable_orders.trading.ledger.rows import CHUNK
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Status
from tests.trading.ledger.examples import (
    START,
    Recording,
    enter,
    history,
    limit_order,
    new_order,
    record_all,
)

MINUTE = timedelta(minutes=1)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        sent.append(str(arguments[2]))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture
def day(ledger: Database) -> dict[str, Order]:
    """Four orders, a minute apart: received, filled, partly filled, and one of another account."""
    received = limit_order("received", strategy="slow")
    filled = new_order("filled", START + MINUTE, strategy="fast")
    partial = new_order("partial", START + 2 * MINUTE, strategy="fast", symbol="NSE:TCS")
    foreign = new_order("foreign", START + 3 * MINUTE, account="other")
    for order in (received, filled, partial, foreign):
        enter(ledger, order)
    return {
        "received": received,
        "filled": record_all(ledger, history(filled, [(60, Decimal("10.01")), (40, Decimal(9))], BookState.COMPLETE)),
        "partial": record_all(ledger, history(partial, [(1, Decimal(3000))])),
        "foreign": record_all(ledger, history(foreign, [])),
    }


def test_an_order_is_found_by_id_and_by_tag(ledger: Database, day: dict[str, Order]) -> None:
    with ledger.read() as connection:
        for order in day.values():
            assert find_order(connection, order.order_id) == order
            assert find_by_tag(connection, order.account, order.tag) == order
        assert find_order(connection, "order:paper:nobody") is None
        assert find_by_tag(connection, "other", day["filled"].tag) is None
        assert fingerprint_of(connection, "order:paper:nobody") is None


def test_orders_are_listed_newest_first(ledger: Database, day: dict[str, Order]) -> None:
    with ledger.read() as connection:
        assert list_orders(connection) == [day[name] for name in ("foreign", "partial", "filled", "received")]
        own = [day[name] for name in ("received", "filled", "partial")]
        assert list_orders(connection, "paper", newest_first=False) == own
        assert list_orders(connection, "paper", limit=2) == [day["partial"], day["filled"]]
        assert list_orders(connection, "nobody") == []


def test_orders_are_chosen_by_what_they_are(ledger: Database, day: dict[str, Order]) -> None:
    with ledger.read() as connection:
        assert list_orders(connection, open_only=True) == [day["foreign"], day["partial"], day["received"]]
        assert list_orders(connection, statuses={Status.FILLED, Status.PENDING}) == [day["filled"], day["received"]]
        assert list_orders(connection, statuses=[]) == []
        assert list_orders(connection, symbol="NSE:TCS") == [day["partial"]]
        assert list_orders(connection, "paper", strategy="fast", open_only=True) == [day["partial"]]


def test_a_list_takes_the_same_queries_however_long_it_is(ledger: Database, day: dict[str, Order]) -> None:
    with statements(ledger) as sent, ledger.read() as connection:
        list_orders(connection, limit=1, symbol="NSE:TCS")
        few = len(sent)
        sent.clear()
        assert len(list_orders(connection)) == 4
        assert few - 1 <= len(sent) <= few  # the first of a transaction may begin it


def test_the_feed_is_read_in_pieces(ledger: Database, day: dict[str, Order]) -> None:
    with ledger.read_feed() as connection:
        whole = events_after(connection, 0)
        assert events_after(connection, whole[2].feed_id, limit=3) == whole[3:6]
        assert events_after(connection, whole[-1].feed_id) == []
        assert events_after(connection, 0, account="other") == [e for e in whole if e.account == "other"]
        own = events_of(connection, day["filled"].order_id)
    assert own == [event for event in whole if event.order_id == day["filled"].order_id]
    assert [event.type for event in own] == [
        EventType.ORDER_RECEIVED,
        EventType.ORDER_PLACED,
        EventType.ORDER_PARTIALLY_FILLED,
        EventType.ORDER_PARTIALLY_FILLED,
        EventType.ORDER_FILLED,
    ]
    assert own[-1].at == day["filled"].updated_at


def test_a_view_shows_the_order(ledger: Database, day: dict[str, Order]) -> None:
    with ledger.read() as connection:
        views = {view.order_id: view for view in open_views(connection, "paper", ended_since=START)}
    assert set(views) == {day[name].order_id for name in ("received", "filled", "partial")}
    received, partial = views[day["received"].order_id], views[day["partial"].order_id]
    assert (received.status, received.broker_order_id, received.sequence) == (Status.PENDING, None, 0)
    assert (received.order_type, received.price, received.trigger_price) == (OrderType.LIMIT, Decimal("1500.05"), None)
    assert (partial.tag, partial.broker_order_id) == (day["partial"].tag, "B-partial")
    assert (partial.status, partial.quantity, partial.filled_quantity) == (Status.PARTIAL, 100, 1)
    assert (partial.created_at, partial.sequence) == (day["partial"].created_at, 2)


def test_views_leave_out_what_ended_before(ledger: Database, day: dict[str, Order]) -> None:
    now = datetime.now(UTC)
    for name, age in (("yesterday", timedelta(hours=25)), ("today", timedelta(hours=23))):
        record_all(ledger, history(new_order(name, now - age), [(100, Decimal(5))], BookState.COMPLETE))
    record_all(ledger, history(new_order("long", now - 3 * DAY), [(100, Decimal(5))])[:1])
    *_, ended = history(new_order("long", now - 3 * DAY), [(100, Decimal(5))], BookState.COMPLETE)
    record_all(ledger, [Recording(ended.order.model_copy(update={"updated_at": now}), ended.entries)])
    with ledger.read() as connection:
        shown = {view.order_id.removeprefix("order:paper:") for view in open_views(connection, "paper")}
    assert shown == {"received", "partial", "today", "long"}


def test_views_are_found_by_tag_and_broker_order_id(ledger: Database, day: dict[str, Order]) -> None:
    unknown = [f"{number:020d}" for number in range(2 * CHUNK)]
    tags = [*unknown, day["received"].tag, day["partial"].tag, day["foreign"].tag]
    broker_order_ids = [*unknown, "B-partial", "B-filled", "B-foreign"]
    with ledger.read() as connection:
        views = views_for(connection, "paper", tags=tags, broker_order_ids=broker_order_ids)
        assert views_for(connection, "paper", tags=(), broker_order_ids=()) == []
    found = sorted(view.order_id.removeprefix("order:paper:") for view in views)
    assert found == ["filled", "partial", "received"]
