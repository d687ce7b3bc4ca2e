"""What a strategy has earned today, where others have closed what it held."""

from datetime import timedelta
from decimal import Decimal

import pytest

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.day_profit import DayProfit, profit_of_day
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from tests.trading.ledger.examples import START
from tests.trading.ledger.test_plan_claims import INFY, traded

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def profits(ledger: Database, price: int, at: timedelta, *strategies: str) -> list[DayProfit]:
    now = START + at
    with ledger.write() as connection:
        save_ticks(connection, "paper", [Tick(INFY, Decimal(price), now)], now)
    with ledger.read() as connection:
        return [profit_of_day(connection, "paper", now, MINUTE, name) for name in strategies]


def rupees(*amounts: str) -> list[DayProfit]:
    return [DayProfit(Decimal(amount)) for amount in amounts]


@pytest.mark.parametrize("by", ["unwind", "external"])
def test_what_others_have_closed_counts_up_to_their_price_and_never_again(ledger: Database, by: str) -> None:
    """All trades are at 1500."""
    traded(ledger, 20, "a", at=START - DAY)
    traded(ledger, 10, "b", at=START)
    assert profits(ledger, 1490, -DAY + MINUTE, "a") == rupees("-200")
    assert profits(ledger, 1520, MINUTE, "a", "b") == rupees("600", "200")
    traded(ledger, -30, by, at=START)
    for price in (1520, 1400):
        assert profits(ledger, price, MINUTE, "a", "b") == rupees("200", "0")
    assert profits(ledger, 1300, DAY, "a", "b") == rupees("0", "0")
    with ledger.read() as connection:
        assert profit_of_day(connection, "paper", START + 3 * DAY, MINUTE, "a") == DayProfit(Decimal(0)), "no price"


def test_what_is_bought_after_that_is_its_own_again(ledger: Database) -> None:
    traded(ledger, 20, "a", at=START - DAY)
    traded(ledger, -20, "unwind", at=START - DAY)
    assert profits(ledger, 1300, -DAY + MINUTE, "a") == rupees("0")
    traded(ledger, 4, "a", at=START)
    assert profits(ledger, 1490, MINUTE, "a") == rupees("-40")


def test_a_part_that_others_have_closed_is_shared_and_the_rest_goes_on(ledger: Database) -> None:
    traded(ledger, 20, "a")
    traded(ledger, 10, "b")
    traded(ledger, -9, "external")
    assert profits(ledger, 1510, MINUTE, "a", "b") == rupees("140", "70")


def test_of_two_on_both_sides_nobody_has_closed_anything(ledger: Database) -> None:
    traded(ledger, 10, "a")
    traded(ledger, -10, "b")
    assert profits(ledger, 1510, MINUTE, "a", "b") == rupees("100", "-100")
