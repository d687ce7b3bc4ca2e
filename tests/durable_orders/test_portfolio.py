"""How the day went: it begins at midnight in IST, with what was held then at the last price before."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_orders.portfolio import PositionLine, portfolio_of, position_lines, strategy_lines
from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import Account, Frozen, Product, Side
from tests.ledgers import open_empty_ledger
from tests.trading.ledger.examples import history, new_order, record_all

MIDNIGHT = datetime(2026, 1, 6, tzinfo=IST)
HOUR = timedelta(hours=1)
MORNING, NOON = MIDNIGHT + 10 * HOUR, MIDNIGHT + 12 * HOUR
YESTERDAY = MIDNIGHT - 9 * HOUR
SYMBOL = "NSE:INFY"
EARNINGS = ("realized_pnl", "unrealized_pnl", "net_pnl")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        yield database


def deal(
    ledger: Database,
    at: datetime,
    side: Side,
    quantity: int,
    price: int,
    symbol: str = SYMBOL,
    strategy: str = "manual",
) -> None:
    terms = {"side": side, "quantity": quantity, "symbol": symbol, "product": Product.CNC, "strategy": strategy}
    order = new_order(f"{at:%d%H%M}{side}{quantity}", at, **terms)
    *_, last = history(order, [(quantity, Decimal(price))], BookState.COMPLETE)
    fills = tuple(fill.model_copy(update={"at": at}) for fill in last.order.fills)
    record_all(ledger, [type(last)(last.order.model_copy(update={"fills": fills}), last.entries)])


def tick(ledger: Database, at: datetime, price: int) -> None:
    with ledger.write() as connection:
        save_ticks(connection, "paper", [Tick(SYMBOL, Decimal(price), at)], at)


def test_each_strategy_has_what_its_own_trades_came_to(ledger: Database) -> None:
    deal(ledger, MORNING, Side.BUY, 10, 1500)
    deal(ledger, MORNING + HOUR, Side.SELL, 4, 1530)
    with ledger.read() as connection:
        [unpriced] = strategy_lines(connection, "paper")
    assert (unpriced.quantity, unpriced.realized_pnl, unpriced.unrealized_pnl) == (6, Decimal(120), None)
    tick(ledger, NOON, 1540)
    with ledger.read() as connection:
        [found] = strategy_lines(connection, "paper")
    assert (found.symbol, found.product, found.unrealized_pnl) == (SYMBOL, "CNC", Decimal(240))


def test_what_is_left_after_charges_adds_up_by_strategy_and_in_all(ledger: Database) -> None:
    """One strategy buys what the other sells: each has a position, and the account has none of it."""
    deal(ledger, MORNING, Side.BUY, 10, 1500, strategy="trend")
    deal(ledger, MORNING + HOUR, Side.SELL, 10, 1530, strategy="mean")
    deal(ledger, MORNING + HOUR, Side.BUY, 2, 3000, symbol="NSE:TCS", strategy="mean")
    tick(ledger, NOON, 1540)
    with ledger.write() as connection:
        unpriced = portfolio_of(connection, Account("paper"), NOON, RealizedBy.FIFO)
        save_ticks(connection, "paper", [Tick("NSE:TCS", Decimal(3001), NOON)], NOON)
        found = portfolio_of(connection, Account("paper"), NOON, RealizedBy.FIFO)
    assert [(each.strategy, each.net_pnl) for each in unpriced.strategies if each.net_pnl is None] == [("mean", None)]
    assert unpriced.total.net_pnl is None
    mean, trend = found.strategies
    # STT 0.1% and stamp duty 0.015% of 15,000 bought, 307 and 10 a crore of turnover, and GST on those two
    assert trend.charges == Decimal("15.00") + Decimal("0.46") + Decimal("0.02") + Decimal("2.25") + Decimal("0.09")
    assert figures(trend, *EARNINGS) == (0, 400, 400 - trend.charges)
    assert figures(mean, *EARNINGS) == (0, -100 + 2, -98 - mean.charges)
    assert [(each.symbol, each.charges > 0) for each in mean.lines] == [(SYMBOL, True), ("NSE:TCS", True)]
    assert found.total.net_pnl == 302 - found.total.charges == (trend.net_pnl or 0) + (mean.net_pnl or 0)
    assert found.total.charges == mean.charges + trend.charges == sum(each.charges for each in found.positions)


def line(ledger: Database, now: datetime = NOON, by: RealizedBy = RealizedBy.AVERAGE) -> PositionLine:
    with ledger.read() as connection:
        [found] = position_lines(connection, Account("paper"), now, by)
    return found


def figures(found: Frozen, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(found, name) for name in names)


def test_the_day_is_what_the_position_grew_since_the_last_close(ledger: Database) -> None:
    """10 held from 1500 overnight at 1510; 4 of them sold at 1530, 2 more bought at 1520, and now it is 1540.

    Worth then 15,100, now 8 at 1540 = 12,320, and 6,120 - 3,040 came in: 300 more. Average cost after: the 4 earned
    120; the rest grew by the other 180. First in, first out, all three are the same here.
    """
    deal(ledger, YESTERDAY, Side.BUY, 10, 1500)
    tick(ledger, YESTERDAY + HOUR, 1510)
    deal(ledger, MORNING, Side.SELL, 4, 1530)
    deal(ledger, MORNING + HOUR, Side.BUY, 2, 1520)
    tick(ledger, NOON, 1540)
    for by in RealizedBy:
        found = line(ledger, by=by)
        assert figures(found, "day_realized_pnl", "day_unrealized_pnl") == (120, 180)
        assert figures(found, "quantity", "realized_pnl", "unrealized_pnl") == (8, 120, 12_320 - 9_000 - 3_040)
        assert found.day_pnl == 300 - found.day_charges
    # delivery: STT 0.1% of 6,120 and of 3,040; exchange 307 and SEBI 10 a crore; stamp duty 0.015% of the bought
    # 6.12 + 0.19 + 0.01 + 0.04 of GST, and 3.04 + 0.09 + 0.00 + 0.46 + 0.02
    assert found.day_charges == Decimal("6.36") + Decimal("3.61")
    assert found.charges > found.day_charges, "yesterday's are not of the day"


def test_the_day_begins_anew_at_midnight(ledger: Database) -> None:
    """Neither yesterday's trades nor its prices belong to today, and before today's first price nothing has changed."""
    deal(ledger, YESTERDAY, Side.BUY, 10, 1500)
    deal(ledger, YESTERDAY + HOUR, Side.SELL, 5, 1520)
    tick(ledger, MIDNIGHT - HOUR, 1530)
    before, after = line(ledger, MIDNIGHT - timedelta(seconds=1)), line(ledger, MIDNIGHT)
    assert figures(before, "day_realized_pnl", "day_unrealized_pnl") == (100, 150)
    assert figures(after, "day_realized_pnl", "day_unrealized_pnl", "day_charges", "day_pnl") == (0, 0, 0, 0)
    assert after.realized_pnl == before.realized_pnl == 100
    tick(ledger, MORNING, 1535)
    assert line(ledger).day_pnl == 25


def test_the_two_ways_to_realize_share_the_same_day(ledger: Database) -> None:
    """Bought at 1500 and at 1560, one sold at 1540: 40 earned first in, first out, 10 by average; the same in all."""
    for number, price in enumerate((1500, 1560)):
        deal(ledger, YESTERDAY + number * HOUR, Side.BUY, 1, price)
    tick(ledger, YESTERDAY + 3 * HOUR, 1540)
    deal(ledger, MORNING, Side.SELL, 1, 1540)
    tick(ledger, NOON, 1550)
    by_average, by_fifo = (line(ledger, by=by) for by in RealizedBy)
    assert [each.day_realized_pnl for each in (by_average, by_fifo)] == [10, 40]
    assert [each.average_price for each in (by_average, by_fifo)] == [1530, 1560]
    assert by_average.day_pnl == by_fifo.day_pnl
    assert by_average.unrealized_pnl == 20
    assert by_fifo.unrealized_pnl == -10


def test_what_is_not_known_is_not_made_up(ledger: Database) -> None:
    deal(ledger, YESTERDAY, Side.BUY, 10, 1500)
    untold = line(ledger)
    assert figures(untold, "unrealized_pnl", "day_unrealized_pnl", "day_pnl") == (None, None, None)
    tick(ledger, MORNING, 1510)
    without_a_close = line(ledger)
    assert figures(without_a_close, "unrealized_pnl", "day_pnl") == (100, None)
    deal(ledger, NOON - HOUR, Side.SELL, 10, 1500)
    assert line(ledger).day_pnl is None, "flat now, and what it was worth at midnight is still not known"
    assert line(ledger, NOON + 24 * HOUR).day_pnl == 0


def test_a_day_with_charges_that_nobody_knows_has_no_result(ledger: Database) -> None:
    deal(ledger, MORNING, Side.BUY, 1, 1500, symbol="MCX:NICKEL26JANFUT")
    deal(ledger, MORNING, Side.SELL, 1, 1510, symbol="MCX:NICKEL26JANFUT")
    found = line(ledger)
    assert figures(found, "day_realized_pnl", "uncharged_fills", "day_pnl", "net_pnl") == (None, 2, None, None)
    with ledger.read() as connection:
        [own] = strategy_lines(connection, "paper")
    assert figures(own, "uncharged_fills", "charges", "net_pnl") == (2, 0, None)
