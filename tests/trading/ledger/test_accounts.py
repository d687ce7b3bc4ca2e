from datetime import timedelta

import pytest

from durable_orders.trading.ledger.accounts import book_read, halt_reason, last_book_read, set_halt
from durable_orders.trading.ledger.database import Database
from tests.trading.ledger.examples import START

LATER = START + timedelta(minutes=1)


def test_an_account_is_halted_until_it_resumes(ledger: Database) -> None:
    set_halt(ledger, "paper", "fat finger", START)
    with ledger.read() as connection:
        assert halt_reason(connection, "paper") == "fat finger"
        assert halt_reason(connection, "other") is None
    set_halt(ledger, "paper", "still not", LATER)
    with ledger.read() as connection:
        assert halt_reason(connection, "paper") == "still not"
    set_halt(ledger, "paper", None, LATER)
    with ledger.read() as connection:
        assert halt_reason(connection, "paper") is None


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_halt_needs_a_reason(ledger: Database, reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        set_halt(ledger, "paper", reason, START)


def test_a_halt_and_a_reading_of_the_book_leave_each_other_alone(ledger: Database) -> None:
    with ledger.read() as connection:
        assert last_book_read(connection, "paper") is None
    set_halt(ledger, "paper", "fat finger", START)
    with ledger.read() as connection:
        assert last_book_read(connection, "paper") is None
    book_read(ledger, "paper", START)
    book_read(ledger, "paper", LATER)
    set_halt(ledger, "other", None, LATER)
    with ledger.read() as connection:
        assert halt_reason(connection, "paper") == "fat finger"
        assert last_book_read(connection, "paper") == LATER
        assert last_book_read(connection, "other") is None
