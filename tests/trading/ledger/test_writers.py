"""Several writers at once, as when several workers share one ledger."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

from durable_orders.trading.ledger.audit import fill_sums
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import FeedEvent, events_after, events_of, find_order, positions_of
from durable_orders.trading.ledger.recording import record, record_within
from durable_orders.trading.ledger.tables import CHARGED
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order, Side
from tests.trading.ledger.examples import enter, everything, history, new_order, record_all, rows
from tests.trading.ledger.processes import SECONDS, Call, at_once, run

FILLS = 50


def record_fifty_fills(url: str, client_order_id: str) -> None:
    """One after the other, each in a transaction of its own. Runs in another process."""
    order = new_order(client_order_id, quantity=FILLS)
    with Database(url) as database:
        record_all(database, history(order, [(1, Decimal(100) + number) for number in range(FILLS)]))


def die_while_recording(url: str) -> None:
    """Everything is written, and the process is killed before it commits."""
    *_, filled = history(new_order(), [(100, Decimal(5))], BookState.COMPLETE)
    with Database(url) as database, database.write() as connection:
        record_within(connection, filled.order, filled.entries)
        os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_lose_no_fill_of_one_symbol(ledger: Database, ledger_url: str) -> None:
    at_once([(f"{__name__}:record_fifty_fills", (ledger_url, name)) for name in ("a", "b")])
    with ledger.read_feed() as connection:
        [position] = positions_of(connection, "paper")
        feed = events_after(connection, 0)
    assert position.quantity == 2 * FILLS
    assert position.open_value == 2 * sum(100 + number for number in range(FILLS))
    assert len(feed) == 2 * (FILLS + 1)


MAX_WAIT = 300.0
"""Seconds for which a writer waits for the others, here where fifty begin together on a machine that may be busy."""


def test_fifty_orders_at_once_lose_no_position_update(ledger: Database, ledger_url: str) -> None:
    """Of one symbol, half of them sold, each over a connection of its own, and all begun together."""
    begun = Barrier(FILLS)
    orders = [new_order(f"o{n}", quantity=3, side=Side.BUY if n % 2 else Side.SELL) for n in range(FILLS)]

    def write(order: Order) -> None:
        with Database(ledger_url, busy_seconds=MAX_WAIT) as database:
            recordings = history(order, [(2, Decimal(100)), (1, Decimal(103))], BookState.COMPLETE)
            begun.wait(SECONDS)
            record_all(database, recordings)

    with ThreadPoolExecutor(FILLS) as threads:
        list(threads.map(write, orders))
    booked = rows(ledger, "fills")
    with ledger.read() as connection:
        [position] = positions_of(connection, "paper")
        assert fill_sums(connection, "paper") == {(position.symbol, position.product): (0, Decimal(0))}
    assert len(booked) == 2 * FILLS
    assert (position.quantity, position.open_value) == (0, Decimal(0)), "as much was sold as bought, at the same prices"
    assert position.realized_pnl == position.realized_fifo == sum(row["realized_fifo"] for row in booked) == 0
    assert position.charges == sum(row[name] for row in booked for name in CHARGED)
    assert rows(ledger, "lots") == []
    [own] = rows(ledger, "strategy_positions")
    assert (own["quantity"], own["realized_pnl"], own["charges"]) == (0, 0, position.charges)


def test_a_killed_process_leaves_nothing_and_blocks_nobody(ledger: Database, ledger_url: str) -> None:
    order = new_order()
    enter(ledger, order)
    before = everything(ledger)
    assert run([(f"{__name__}:die_while_recording", (ledger_url,))]) == [-signal.SIGKILL]
    assert everything(ledger) == before
    filled = record_all(ledger, history(order, [(100, Decimal(5))], BookState.COMPLETE))
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == filled


def test_a_reader_sees_every_event_once_and_in_order(ledger: Database, ledger_url: str) -> None:
    """The feed is read by "after the last one that I saw": an event that turned up behind it would be lost."""
    calls: list[Call] = [(f"{__name__}:record_fifty_fills", (ledger_url, name)) for name in ("a", "b")]
    seen: list[FeedEvent] = []
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(at_once, calls)
        while True:
            finished = writing.done()
            with ledger.read_feed() as connection:
                found = events_after(connection, seen[-1].feed_id if seen else 0, limit=7)
            seen += found
            if finished and not found:
                break
        writing.result()
    with ledger.read_feed() as connection:
        assert seen == events_after(connection, 0)
    ids = [event.feed_id for event in seen]
    assert ids == sorted(set(ids))
    for name in ("a", "b"):
        own = [event.sequence for event in seen if event.order_id == f"order:paper:{name}"]
        assert own == list(range(1, FILLS + 2))


def test_threads_that_record_one_order_agree(ledger: Database, ledger_url: str) -> None:
    """A late attempt of an activity beside its successor: each event and fill is there once."""
    recordings = history(new_order(), [(5, Decimal(100) + number) for number in range(20)], BookState.COMPLETE)

    def write(_: int) -> None:
        with Database(ledger_url) as database:
            for recording in recordings:
                record(database, recording.order, recording.entries)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, range(2)))
    with ledger.read() as connection:
        assert find_order(connection, recordings[-1].order.order_id) == recordings[-1].order
        assert [position.quantity for position in positions_of(connection)] == [100]
        sequences = [event.sequence for event in events_of(connection, recordings[-1].order.order_id)]
    assert sequences == [entry.sequence for recording in recordings for entry in recording.entries]
