"""A ledger of an earlier program keeps what it knows."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from durable_orders.trading.ledger.accounts import AccountState, Permission, permission_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.migrate import SCRIPTS, open_database
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.rows import order_row
from durable_orders.trading.ledger.tables import (
    CHARGED,
    breaker_trips,
    day_peaks,
    events,
    fills,
    orders,
    positions,
    strategy_positions,
)
from tests.trading.ledger.examples import START, limit_order, rows


def at_revision(database: Database, revision: str) -> Database:
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return database


NEW = ("tags", "dry_run", "slices", "held_by", "approval")
"""Columns of `orders` that have come since."""


@pytest.fixture
def before_exposure(url: str) -> Iterator[Database]:
    """At revision 0002."""
    with Database(url) as database:
        yield at_revision(database, "0002")


@pytest.fixture
def before_strategy_charges(url: str) -> Iterator[Database]:
    """At the revision before the charges of strategies."""
    with Database(url) as database:
        yield at_revision(database, "0031")


@pytest.fixture
def before_strategy_locks(url: str) -> Iterator[Database]:
    """At the revision before day locks of strategies."""
    with Database(url) as database:
        yield at_revision(database, "0033")


@pytest.fixture
def before_profit(url: str) -> Iterator[Database]:
    """At the revision before `lots`."""
    with Database(url) as database:
        yield at_revision(database, "0008")


def test_reservations_and_halts_are_carried_over(before_exposure: Database, url: str) -> None:
    order = limit_order(quantity=10)
    own = {"order_id": order.order_id, "account": "paper", "symbol": order.symbol, "side": "BUY"}
    known = {"run_id": "run", "sequence": 0, "unsettled": False, "filled_quantity": 4}
    fill = own | {"trade_id": "T1", "number": 0, "broker_order_id": "B", "product": "MIS", "quantity": 4}
    reserved = own | {"strategy": "s", "quantity": 10, "value": 150005000, "reserved_at": START}
    halted = {"account": "paper", "halted": True, "halt_reason": "lunch", "updated_at": START}
    with before_exposure.write() as connection:
        row = {name: value for name, value in order_row(order).items() if name not in NEW}
        connection.execute(_old(orders, *NEW), row | known)
        new = ("realized_pnl", "realized_fifo", "session", *CHARGED)
        connection.execute(_old(fills, *new), fill | {"price": Decimal("1500.05"), "at": START})
        connection.execute(_table("reservations", *reserved), reserved)
        connection.execute(_table("accounts", *halted), halted)
    with open_database(url) as database:
        [reservation] = rows(database, "reservations")
        assert [(row["realized_pnl"], row["gst"]) for row in rows(database, "fills")] == [(0, None)]
        assert rows(database, "strategy_positions") == []
        with database.read() as connection:
            assert permission_of(connection, "paper") == Permission(AccountState.HALTED, "lunch")
            assert connection.execute(sa.select(sa.func.count()).select_from(events)).scalar() == 0
            assert connection.execute(sa.select(orders.c.dry_run)).scalars().all() == [False]
    assert (reservation["quantity"], reservation["filled"], reservation["product"]) == (6, 4, "MIS")
    assert (reservation["price"], reservation["value"]) == (Decimal("1500.05"), Decimal("9000.3"))


def test_what_was_traded_is_matched_first_in_first_out(before_profit: Database, url: str) -> None:
    """Bought 10 at 100 and 10 at 110, sold 15 at 120, and the first row has the last time; and a short position."""
    deals = [("SELL", 15, 120, 3), ("BUY", 10, 100, 1), ("BUY", 10, 110, 2)]
    shared = {"account": "paper", "broker_order_id": "B", "product": "MIS", "number": 0, "realized_pnl": Decimal(0)}
    trades = [
        shared
        | {"order_id": f"o{n}", "trade_id": f"T{n}", "symbol": symbol, "side": side, "quantity": quantity}
        | {"price": Decimal(price), "at": START + timedelta(seconds=second)}
        for n, (side, quantity, price, second) in enumerate(deals)
        for symbol in ("NSE:INFY",)
    ]
    short = trades[0] | {"symbol": "NSE:TCS", "order_id": "short"}
    held = {"account": "paper", "symbol": "NSE:INFY", "product": "MIS", "quantity": 5, "open_value": Decimal(525)}
    with before_profit.write() as connection:
        connection.execute(_old(fills, "realized_fifo", *CHARGED), [*trades, short])
        new = ("realized_fifo", "charges", "uncharged")
        known = {"realized_pnl": Decimal(225), "updated_at": START}
        connection.execute(_old(positions, *new), held | known)
    with open_database(url) as database, database.read() as connection:
        [position] = positions_of(connection)
        lots = [(row["symbol"], row["quantity"], row["price"], row["order_id"]) for row in rows(database, "lots")]
        earned = {row["order_id"]: row["realized_fifo"] for row in rows(database, "fills")}
    assert sorted(lots) == [("NSE:INFY", 5, Decimal(110), "o2"), ("NSE:TCS", -15, Decimal(120), "short")]
    assert earned == {"o0": Decimal(250), "o1": 0, "o2": 0, "short": 0}
    assert (position.realized_fifo, position.charges, position.uncharged) == (Decimal(250), Decimal(0), 3)


def test_what_was_charged_is_each_strategys(before_strategy_charges: Database, url: str) -> None:
    """Two trades of one strategy, one of them at a cost that nobody knows, and one of another in the same symbol."""
    shared = {"account": "paper", "broker_order_id": "B", "product": "MIS", "number": 0, "symbol": "NSE:INFY"}
    shared |= {"side": "BUY", "quantity": 1, "price": Decimal(100), "at": START}
    shared |= {"realized_pnl": Decimal(0), "realized_fifo": Decimal(0)}
    own = {"account": "paper", "symbol": "NSE:INFY", "product": "MIS", "quantity": 1, "open_value": Decimal(100)}
    own |= {"realized_pnl": Decimal(0), "updated_at": START}
    with before_strategy_charges.write() as connection:
        for number, (strategy, cost) in enumerate((("s", Decimal("1.25")), ("s", None), ("t", Decimal("0.5")))):
            order = limit_order(quantity=1, client_order_id=f"o{number}", strategy=strategy)
            row = order_row(order) | {"run_id": "run", "sequence": 0, "unsettled": False}
            connection.execute(sa.insert(orders), row)
            costs = dict.fromkeys(CHARGED, cost)
            connection.execute(sa.insert(fills), shared | {"order_id": order.order_id, "trade_id": "T"} | costs)
        new = ("charges", "uncharged")
        for strategy in ("s", "t", "untraded"):
            connection.execute(_old(strategy_positions, *new), own | {"strategy": strategy})
    with open_database(url) as database:
        found = {row["strategy"]: (row["charges"], row["uncharged"]) for row in rows(database, "strategy_positions")}
    assert found == {"s": (Decimal("7.5"), 1), "t": (Decimal(3), 0), "untraded": (0, 0)}


def test_the_best_of_the_day_and_its_trips_stay_the_accounts(before_strategy_locks: Database, url: str) -> None:
    peak = {"account": "paper", "day": START.date(), "best": Decimal(250)}
    trip = {"account": "paper", "key": "2025-04-29 DAY_LOCK", "cause": "DAY_LOSS", "message": "lost", "at": START}
    trip |= {"response": "flatten", "told_at": None}
    with before_strategy_locks.write() as connection:
        connection.execute(_old(day_peaks, "strategy"), peak)
        connection.execute(_old(breaker_trips, "strategy"), trip)
    with open_database(url) as database:
        assert list(rows(database, "day_peaks")) == [peak | {"strategy": "", "best": Decimal(250)}]
        [kept] = rows(database, "breaker_trips")
        assert (kept["key"], kept["strategy"]) == (trip["key"], None)


def _table(name: str, *columns: str) -> sa.Insert:
    return sa.insert(sa.table(name, *(sa.column(column) for column in columns)))


def _old(table: sa.Table, *new: str) -> sa.Insert:
    """An insert without the columns that the table did not have."""
    return sa.insert(sa.table(table.name, *(sa.column(c.name, c.type) for c in table.columns if c.name not in new)))
