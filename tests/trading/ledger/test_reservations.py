from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.exc import StatementError

from tests.trading.ledger.examples import START, new_order, rows
from trading.ledger.database import Database
from trading.ledger.reservations import is_reserved, release, reserve


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
