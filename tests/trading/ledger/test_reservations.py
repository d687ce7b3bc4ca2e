"""What is reserved is what the order may still trade: filled, amended, ended, told twice or in the wrong order."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.exc import StatementError

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.reservations import Reservation, change, is_reserved, release, reserve, standing
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Order
from tests.trading.ledger.examples import START, enter, history, limit_order, new_order, record_all, rows

PRICE = Decimal("1500.05")


def approved(ledger: Database) -> Order:
    """BUY 100 at `PRICE`."""
    order = limit_order()
    enter(ledger, order)
    with ledger.write() as connection:
        reserve(connection, order, PRICE, START)
    return order


def stands(ledger: Database, order: Order) -> Reservation | None:
    with ledger.read() as connection:
        return standing(connection, order.order_id)


def test_a_reservation_stands_until_it_is_released(ledger: Database) -> None:
    order = new_order()
    with ledger.write() as connection:
        assert not is_reserved(connection, order.order_id)
        reserve(connection, order, Decimal("1500.055"), START)
        assert is_reserved(connection, order.order_id)
        release(connection, order.order_id, START)
        assert not is_reserved(connection, order.order_id)


def test_reserving_and_releasing_again_change_nothing(ledger: Database) -> None:
    order = new_order()
    with ledger.write() as connection:
        reserve(connection, order, Decimal("1500.055"), START)
        reserve(connection, order, Decimal(1), START)
        release(connection, order.order_id, START)
        release(connection, order.order_id, START + timedelta(hours=1))
        reserve(connection, order, Decimal(1), START)
    [reservation] = rows(ledger, "reservations")
    assert (reservation["value"], reservation["quantity"]) == (Decimal("150005.5"), 100)
    assert reservation["released_at"] == START


@pytest.mark.parametrize("value", ["0.00001", "922337203685477.5808", "Infinity", "NaN"])
def test_money_that_cannot_be_kept_exactly_is_refused(ledger: Database, value: str) -> None:
    with pytest.raises(StatementError, match="money"), ledger.write() as connection:
        reserve(connection, new_order(), Decimal(value), START)
    assert rows(ledger, "reservations") == []


def test_what_fills_is_not_reserved_any_more(ledger: Database) -> None:
    order = approved(ledger)
    placed, first, second = history(order, [(30, Decimal(1500)), (20, Decimal(1499))])
    seen = []
    for recording in (placed, first, first, second, first, placed):  # twice, and late
        record(ledger, recording.order, recording.entries)
        seen.append(stands(ledger, order))
    assert [each and (each.quantity, each.filled) for each in seen] == [
        (100, 0),
        (70, 30),
        (70, 30),
        (50, 50),
        (50, 50),
        (50, 50),
    ]
    assert all(each and each.value == each.quantity * PRICE for each in seen)


def test_an_end_releases_once_and_a_later_fill_reserves_nothing(ledger: Database) -> None:
    order = approved(ledger)
    record_all(ledger, history(order, [(30, Decimal(1500))], BookState.CANCELLED))
    [released] = rows(ledger, "reservations")
    late = history(order, [(30, Decimal(1500)), (20, Decimal(1500))], BookState.CANCELLED)[-1]
    record(ledger, late.order, [entry.model_copy(update={"sequence": 9}) for entry in late.entries])
    [after] = rows(ledger, "reservations")
    assert stands(ledger, order) is None
    assert after["released_at"] == released["released_at"]
    assert (released["filled"], after["filled"]) == (30, 50)


def test_an_order_found_at_the_broker_reserves_too(ledger: Database) -> None:
    with ledger.write() as connection:
        save_ticks(connection, "paper", [Tick("NSE:INFY", PRICE, START)], START)
    order = new_order("found")  # at the market
    placed, filled, ended = history(order, [(30, Decimal(1500))], BookState.CANCELLED)
    record(ledger, placed.order, placed.entries)
    assert stands(ledger, order) == Reservation(100, PRICE, 100 * PRICE, 0)
    record(ledger, filled.order, filled.entries)
    assert stands(ledger, order) == Reservation(70, PRICE, 70 * PRICE, 30)
    record(ledger, ended.order, ended.entries)
    assert stands(ledger, order) is None


def amended(order: Order, quantity: int, price: Decimal) -> Order:
    return order.model_copy(update={"quantity": quantity, "price": price})


def test_a_change_is_reserved_beside_what_stands_until_the_book_shows_it(ledger: Database) -> None:
    order = approved(ledger)
    placed, partial = history(order, [(30, Decimal(1500))])
    record(ledger, placed.order, placed.entries)
    with ledger.write() as connection:
        asked = Reservation(100, PRICE, 100 * PRICE, 0).with_change(120, Decimal(1400))
        change(connection, order.order_id, asked)
    assert (asked.quantity, asked.value, asked.price) == (120, 120 * Decimal(1400), PRICE)
    record(ledger, partial.order, partial.entries)
    now = stands(ledger, order)
    assert now is not None
    assert (now.quantity, now.filled, now.amended_quantity) == (90, 30, 120)
    shown = amended(partial.order, 120, Decimal(1400))
    record(ledger, shown, [partial.entries[0].model_copy(update={"sequence": 3})])
    assert stands(ledger, order) == Reservation(90, Decimal(1400), 90 * Decimal(1400), 30)


def test_a_change_to_less_frees_it_only_when_the_book_shows_it(ledger: Database) -> None:
    order = approved(ledger)
    [placed] = history(order, [])
    record(ledger, placed.order, placed.entries)
    known = Reservation(100, PRICE, 100 * PRICE, 0)
    assert known.with_change(50, PRICE) == known
    shown = amended(placed.order, 50, PRICE)
    record(ledger, shown, [placed.entries[0].model_copy(update={"sequence": 2})])
    assert stands(ledger, order) == Reservation(50, PRICE, 50 * PRICE, 0)


def test_two_changes_on_their_way_reserve_for_both() -> None:
    first = Reservation(100, PRICE, 100 * PRICE, 0).with_change(200, PRICE)
    second = first.with_change(100, PRICE * 3)
    assert (second.quantity, second.value) == (200, 200 * PRICE * 3)
    assert second.with_change(150, PRICE) == second
    assert second._replace(filled=200).of_terms(200, PRICE).quantity == 0
