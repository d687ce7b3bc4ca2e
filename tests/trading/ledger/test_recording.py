from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import events_of, find_order, positions_of, unsettled_orders, views_for
from durable_orders.trading.ledger.recording import record, record_within
from durable_orders.trading.ledger.reservations import is_reserved, reserve
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import CancelRequested, Refused, step
from durable_orders.trading.orders.order import Order, Side
from tests.properties import FIXTURES_STAY
from tests.trading.ledger.examples import (
    START,
    Recording,
    enter,
    everything,
    histories,
    history,
    new_order,
    record_all,
    rows,
)

PROVE = settings(FIXTURES_STAY, max_examples=25)
"""Each example uses an account of its own, so that the database can be shared."""
_numbers = count()


def in_own_account(recordings: list[Recording]) -> list[Recording]:
    """The same recordings, of the same order in an account that nobody has used."""
    order = recordings[0].order
    account = f"{order.account}-{next(_numbers)}"
    order_id = f"order:{account}:{order.client_order_id}"
    own = {"account": account, "order_id": order_id, "tag": order_id[-20:]}
    return [Recording(each.order.model_copy(update=own), each.entries) for each in recordings]


def seen_of(database: Database, order: Order) -> dict[str, object]:
    """Everything that the ledger says about an order, but for ids that differ from ledger to ledger, and for how many
    trades were known with an event: one that is recorded late is recorded with a later order."""
    with database.read() as connection:
        found = find_order(connection, order.order_id)
        events = events_of(connection, order.order_id)
        positions = positions_of(connection, order.account)
    fresh = {"account": "", "order_id": ""}
    return {
        "order": found and found.model_copy(update=fresh | {"tag": ""}),
        "events": [event.model_copy(update=fresh | {"feed_id": 0, "fills": None}) for event in events],
        "positions": [(position.quantity, position.open_value, position.realized_pnl) for position in positions],
    }


@PROVE
@given(histories())
def test_a_recorded_order_is_read_back_equal(ledger: Database, given_history: list[Recording]) -> None:
    for recording in in_own_account(given_history):
        record(ledger, recording.order, recording.entries)
        with ledger.read() as connection:
            assert find_order(connection, recording.order.order_id) == recording.order


@PROVE
@given(histories(), st.data())
def test_late_repeated_and_partial_recordings_change_nothing(
    ledger: Database, given_history: list[Recording], data: st.DataObject
) -> None:
    once = in_own_account(given_history)
    record_all(ledger, once)
    wild = in_own_account(given_history)
    numbers = st.integers(min_value=0, max_value=len(wild) - 1)
    for number in [*data.draw(st.lists(numbers, max_size=8)), *data.draw(st.permutations(range(len(wild))))]:
        # a recording may also carry the entries of earlier ones that failed
        first = data.draw(st.integers(min_value=0, max_value=number))
        entries = [entry for each in wild[first : number + 1] for entry in each.entries]
        record(ledger, wild[number].order, entries)
    assert seen_of(ledger, wild[0].order) == seen_of(ledger, once[0].order)


def test_a_number_that_is_taken_changes_nothing(ledger: Database) -> None:
    [placed] = history(new_order(), [])
    record(ledger, placed.order, placed.entries)
    before = everything(ledger)
    record(ledger, step(placed.order, CancelRequested("by hand"), START), placed.entries, unsettled=True)
    assert everything(ledger) == before


@pytest.mark.parametrize("number", [2, 4])
def test_a_fill_counts_whatever_number_its_recording_bears(ledger: Database, number: int) -> None:
    """The watch books a late trade under the next number, which the workflow may have used meanwhile."""
    *_, last = history(new_order(), [(10, Decimal(5)), (20, Decimal(5))], BookState.CANCELLED)
    late = last.order
    record(ledger, late.model_copy(update={"fills": late.fills[:1]}), last.entries)
    record(ledger, late, [last.entries[0].model_copy(update={"sequence": number})])
    with ledger.read() as connection:
        assert find_order(connection, late.order_id) == late
        [view] = views_for(connection, "paper", tags=[late.tag], broker_order_ids=())
        assert [position.quantity for position in positions_of(connection)] == [30]
    assert (view.filled_quantity, view.sequence) == (30, 4)


def test_fills_of_all_orders_make_one_position(ledger: Database) -> None:
    record_all(ledger, history(new_order("bought"), [(60, Decimal("100.05")), (40, Decimal("100.10"))]))
    record_all(ledger, history(new_order("sold", side=Side.SELL, quantity=130), [(130, Decimal(101))]))
    record_all(ledger, history(new_order("other", symbol="NSE:TCS"), [(5, Decimal(3000))]))
    with ledger.read() as connection:
        infy, tcs = positions_of(connection, "paper")
        assert positions_of(connection, "somebody-else") == []
    assert (infy.symbol, infy.quantity, infy.open_value, infy.realized_pnl) == (
        "NSE:INFY",
        -30,
        Decimal(-3030),
        Decimal(93),
    )
    assert (tcs.symbol, tcs.quantity, tcs.average_price) == ("NSE:TCS", 5, Decimal(3000))


def test_the_end_releases_the_reservation_once(ledger: Database) -> None:
    order = new_order()
    enter(ledger, order)
    with ledger.write() as connection:
        reserve(connection, order, Decimal(1000), START)
    *working, ended = history(order, [(10, Decimal(5))], BookState.CANCELLED)
    record_all(ledger, working)
    with ledger.read() as connection:
        assert is_reserved(connection, order.order_id)
    record_all(ledger, [ended])
    later = ended.order.model_copy(update={"updated_at": START + timedelta(days=1)})
    record(ledger, later, [])
    [reservation] = rows(ledger, "reservations")
    assert reservation["released_at"] == ended.order.updated_at


def test_unsettled_orders_are_named_until_they_settle(ledger: Database) -> None:
    placed, partial = history(new_order(), [(10, Decimal(5))])
    record(ledger, placed.order, placed.entries, unsettled=True)
    record_all(ledger, history(new_order("b"), []))
    with ledger.read() as connection:
        assert unsettled_orders(connection, "paper") == [placed.order.order_id]
        assert unsettled_orders(connection, "somebody-else") == []
    record(ledger, partial.order, partial.entries)
    with ledger.read() as connection:
        assert unsettled_orders(connection, "paper") == []


def test_words_that_a_database_cannot_hold_do_not_stop_a_recording(ledger: Database) -> None:
    order = step(new_order(), Refused(("\ud800 said\0 no",)), START)
    refused = Entry(sequence=1, type=EventType.ORDER_REJECTED, at=START, message="\ud800\0", status=order.status)
    record(ledger, order, [refused])
    with ledger.read() as connection:
        found = find_order(connection, order.order_id)
        [event] = events_of(connection, order.order_id)
    assert found is not None
    assert (found.reasons, event.message) == (order.reasons, "?\ufffd")


@pytest.fixture
def breaking(ledger: Database) -> Iterator[Callable[[int], None]]:
    """`breaking(n)`: from now on the n-th statement, counted from 0, fails before it runs."""
    left: list[int] = []

    def count_down(*_: object) -> None:
        if left:
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionError("pulled the plug")

    sa.event.listen(ledger.engine, "before_cursor_execute", count_down)
    yield lambda number: left.__setitem__(slice(None), [number] if number >= 0 else [])
    sa.event.remove(ledger.engine, "before_cursor_execute", count_down)


def test_a_crash_at_any_statement_leaves_nothing(ledger: Database, breaking: Callable[[int], None]) -> None:
    order = new_order()
    enter(ledger, order)
    with ledger.write() as connection:
        reserve(connection, order, Decimal(1000), START)
    *_, ended = history(order, [(60, Decimal(5)), (40, Decimal(6))], BookState.COMPLETE)
    before = everything(ledger)
    survived = 0
    while True:
        breaking(survived)
        try:
            record(ledger, ended.order, ended.entries)
            break
        except ConnectionError:
            breaking(-1)
            assert everything(ledger) == before
            survived += 1
    breaking(-1)
    assert survived > 5
    with ledger.read() as connection:
        assert find_order(connection, order.order_id) == ended.order


def test_a_crash_after_the_last_statement_leaves_nothing(ledger: Database) -> None:
    *_, ended = history(new_order(), [(100, Decimal(5))], BookState.COMPLETE)
    before = everything(ledger)
    with suppress(ConnectionError), ledger.write() as connection:
        record_within(connection, ended.order, ended.entries)
        raise ConnectionError
    assert everything(ledger) == before
