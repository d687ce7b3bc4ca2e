"""A ledger of an earlier program keeps what it knows."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tests.trading.ledger.examples import START, limit_order, rows
from trading.ledger.accounts import AccountState, Permission, permission_of
from trading.ledger.database import Database
from trading.ledger.migrate import SCRIPTS, open_database
from trading.ledger.rows import order_row
from trading.ledger.tables import events, fills, orders

NEW = ("tags", "dry_run")
"""Columns of `orders` that have come since."""


@pytest.fixture
def before_exposure(url: str) -> Iterator[Database]:
    """At revision 0002."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    with Database(url) as database:
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0002")
        yield database


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
        connection.execute(_old(fills, "realized_pnl"), fill | {"price": Decimal("1500.05"), "at": START})
        connection.execute(_table("reservations", *reserved), reserved)
        connection.execute(_table("accounts", *halted), halted)
    with open_database(url) as database:
        [reservation] = rows(database, "reservations")
        assert [row["realized_pnl"] for row in rows(database, "fills")] == [0]
        assert rows(database, "strategy_positions") == []
        with database.read() as connection:
            assert permission_of(connection, "paper") == Permission(AccountState.HALTED, "lunch")
            assert connection.execute(sa.select(sa.func.count()).select_from(events)).scalar() == 0
            assert connection.execute(sa.select(orders.c.dry_run)).scalars().all() == [False]
    assert (reservation["quantity"], reservation["filled"], reservation["product"]) == (6, 4, "MIS")
    assert (reservation["price"], reservation["value"]) == (Decimal("1500.05"), Decimal("9000.3"))


def _table(name: str, *columns: str) -> sa.Insert:
    return sa.insert(sa.table(name, *(sa.column(column) for column in columns)))


def _old(table: sa.Table, *new: str) -> sa.Insert:
    """An insert without the columns that the table did not have."""
    return sa.insert(sa.table(table.name, *(sa.column(c.name, c.type) for c in table.columns if c.name not in new)))
