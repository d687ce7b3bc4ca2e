"""The feed as a bus tells it: every event once, in order and from any point, while several processes write."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.bus.bus import Event, EventBus
from durable_orders.trading.ledger.alerts import alert
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.entering import enter as move
from durable_orders.trading.ledger.following import feed, follow, newest_id, told_after
from durable_orders.trading.ledger.reading import events_after
from durable_orders.trading.ledger.recording import record, record_within
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Product
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry
from tests.trading.ledger.examples import START, enter, history, new_order, record_all
from tests.trading.ledger.processes import Call, at_once

ORDERS, FILLS = 100, 4
"""Of each process; with its placing, an order has five events."""
THOUSAND = 2 * ORDERS * (FILLS + 1)
EVERY = THOUSAND + 2 * ORDERS * FILLS
"""With one `position_updated` a fill."""
MAX_WAIT = 120.0


def record_many(url: str, account: str) -> None:
    """Five hundred events of a hundred orders, in two hundred transactions. Runs in another process."""
    with Database(url) as database:
        for number in range(ORDERS):
            order = new_order(f"o{number}", account=account, quantity=FILLS)
            recordings = history(order, [(1, Decimal(100) + n) for n in range(FILLS)])
            for together in (recordings[:2], recordings[2:]):
                with database.write(account) as connection:
                    for recording in together:
                        record_within(connection, recording.order, recording.entries)


def read_on(database: Database, after: int = 0, limit: int = 100) -> list[Event]:
    """To the end of the feed, as somebody who goes on from the last event that he saw."""
    found: list[Event] = []
    while True:
        with database.read_feed() as connection:
            batch = told_after(connection, after, limit=limit)
        if not batch:
            return found
        found += batch
        after = batch[-1].feed_id or after


def test_events_say_what_was_known_with_them(ledger: Database) -> None:
    """Told long afterwards, when the order has come to its end."""
    order = new_order()
    enter(ledger, order)
    record_all(ledger, history(order, [(30, Decimal("5.10")), (20, Decimal(6)), (50, Decimal(5))], BookState.COMPLETE))
    told = [(e.type, e.data["qty"], e.data["price"], e.data.get("filled_qty")) for e in read_on(ledger)]
    assert told == [
        (EventType.ORDER_RECEIVED, 100, None, 0),
        (EventType.ORDER_PLACED, 100, None, 0),
        (EventType.ORDER_PARTIALLY_FILLED, 30, 5.1, 30),
        (EventType.POSITION_UPDATED, 30, 5.1, None),
        (EventType.ORDER_PARTIALLY_FILLED, 50, 5.46, 50),
        (EventType.POSITION_UPDATED, 20, 6.0, None),
        (EventType.ORDER_PARTIALLY_FILLED, 100, 5.23, 100),
        (EventType.POSITION_UPDATED, 50, 5.0, None),
        (EventType.ORDER_FILLED, 100, 5.23, 100),
    ]
    keys = {"order_id", "symbol", "side", "qty", "status", "price", "remaining_qty"}
    assert keys <= read_on(ledger)[8].data.keys()


def test_what_is_entered_without_an_order_is_told_strategy_by_strategy(ledger: Database) -> None:
    """10 of one and 5 of another are settled at 6 rupees; of a conversion no position of the symbol changes."""
    for name, quantity in (("first", 10), ("second", 5)):
        order = new_order(name, quantity=quantity, strategy=name, product=Product.MIS)
        record_all(ledger, history(order, [(quantity, Decimal(5))], BookState.COMPLETE))
    with ledger.read() as connection:
        before = newest_id(connection, "paper")
    settled = {"symbol": "NSE:INFY", "product": Product.MIS, "evidence": "contract note"}
    converted = PositionEntry(**settled, quantity=-3, kind=EntryKind.CONVERSION, to_product=Product.NRML)
    with ledger.write() as connection:
        for entry in (PositionEntry(**settled, quantity=-12, price=Decimal(6)), converted):
            move(connection, "paper", entry, START)
    told = read_on(ledger, before)
    assert [event.type for event in told].count(EventType.POSITION_SETTLED) == 2
    moved = [event.data for event in told if event.type is EventType.POSITION_UPDATED]
    assert [(data["strategy"], data["qty"], data["price"]) for data in moved] == [
        ("first", -10, 6.0),
        ("second", -2, 6.0),
    ]


def test_an_alert_of_the_account_is_told_too(ledger: Database) -> None:
    order = new_order()
    alert(ledger, "paper", "look at this", order.created_at)
    [told] = read_on(ledger)
    assert (told.type, told.data["message"]) == (EventType.ALERT, "look at this")


def test_it_can_be_read_from_any_point_and_in_any_portions(ledger: Database) -> None:
    for name in ("a", "b"):
        record_all(ledger, history(new_order(name), [(10, Decimal(5)), (20, Decimal(6))]))
    whole = read_on(ledger)
    for after in {event.feed_id or 0 for event in whole}:
        for limit in (1, 2, 100):
            assert read_on(ledger, after, limit) == [event for event in whole if (event.feed_id or 0) > after]


def test_an_event_of_an_open_transaction_hides_none_behind_it(ledger: Database, ledger_url: str) -> None:
    """Of one account, the second writer waits for its id until the first one's event can be seen."""
    first, second = (history(new_order(name), [(10, Decimal(5))]) for name in ("first", "second"))
    with ThreadPoolExecutor(1) as threads, Database(ledger_url) as other:
        with ledger.write() as connection:
            record_within(connection, first[0].order, first[0].entries)
            writing = threads.submit(record, other, second[0].order, second[0].entries)
            _until_it_waits(ledger, writing.running)
            assert read_on(ledger) == []
            assert not writing.done()
        writing.result(MAX_WAIT)
    assert [event.data["order_id"] for event in read_on(ledger)] == ["order:paper:first", "order:paper:second"]


def _until_it_waits(ledger: Database, is_running: Any) -> None:
    """PostgreSQL shows who waits for the writers' turn. SQLite shows nothing: that the thread runs has to do."""
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while True:
        if ledger.is_sqlite and is_running():
            return
        if not ledger.is_sqlite:
            with ledger.engine.connect() as connection:
                if connection.execute(waits).scalar_one():
                    return


async def test_a_thousand_events_of_two_processes_reach_every_subscriber_once_and_in_order(
    ledger: Database, ledger_url: str
) -> None:
    """Each writes for an account of its own."""
    bus = EventBus(buffer_size=10)
    stream = bus.stream()
    enough = threading.Event()
    plain: list[Event] = []

    def take(event: Event) -> None:
        plain.append(event)
        if len(plain) == EVERY:
            enough.set()

    bus.subscribe("*", take)
    feeding = asyncio.create_task(feed(bus, ledger, every=0.02))
    calls: list[Call] = [(f"{__name__}:record_many", (ledger_url, account)) for account in ("a", "b")]
    writing = asyncio.create_task(asyncio.to_thread(at_once, calls))
    seen: list[Event] = []
    async with asyncio.timeout(MAX_WAIT):
        while len(seen) < EVERY:
            seen.append(await anext(stream))
        await writing
        assert await asyncio.to_thread(enough.wait, MAX_WAIT)
    feeding.cancel()
    bus.close()
    with ledger.read_feed() as connection:
        recorded = events_after(connection, 0, limit=2 * THOUSAND)
    orders_told = [event for event in seen if event.type is not EventType.POSITION_UPDATED]
    assert [event.feed_id for event in orders_told] == [event.feed_id for event in recorded]
    assert len(recorded) == THOUSAND
    assert plain == seen == read_on(ledger)
    moved = [event.data["qty"] for event in seen if event.type is EventType.POSITION_UPDATED]
    assert moved == [1] * (2 * ORDERS * FILLS)


async def test_following_goes_on_where_another_one_stopped(ledger: Database) -> None:
    record_all(ledger, history(new_order("a"), []))
    with ledger.read() as connection:
        newest = newest_id(connection, "paper")
    batches = follow(ledger, newest, every=0.001)
    record_all(ledger, history(new_order("b"), []))
    async with asyncio.timeout(MAX_WAIT):
        batch = await anext(batches)
    await batches.aclose()
    assert [event.data["order_id"] for event in batch] == ["order:paper:b"]
