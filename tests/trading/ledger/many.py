"""A ledger of any size in seconds: a few orders made by the ledger itself, multiplied by SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import record
from durable_orders.trading.ledger.tables import events, fills, orders
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import Entry, EventType
from durable_orders.trading.orders.lifecycle import Refused, step
from durable_orders.trading.orders.order import Order
from tests.trading.ledger.examples import START, enter, history, new_order, record_all

STEP_SECONDS = 120
"""Between one order and the next, so that 265,000 of them, with a million events, take a year."""
NAMED = {
    "order_id": "order_id || '-' || n.i",
    "client_order_id": "client_order_id || '-' || n.i",
    "tag": "tag || '-' || n.i",
    "broker_order_id": "broker_order_id || '-' || n.i",
    "trade_id": "trade_id || '-' || n.i",
}
"""What makes each copy another order."""
EARNED = dict.fromkeys(("realized_pnl", "realized_fifo"), "(n.i % 7 - 3) * 10000")
"""Some trades earn, some lose, some do neither."""
GROUPED = {"symbol": "'NSE:S' || (n.i % 50)", "strategy": "'s' || (n.i % 20)"}
MOMENTS = ("created_at", "updated_at", "at")


@dataclass(frozen=True, slots=True)
class Template:
    """An order that is multiplied: every `share`th copy is like it, from the `place`th on."""

    order: Order
    share: int
    place: int


def fill_up(database: Database, count: int) -> None:
    """Add about `count` orders of the account `paper` to a SQLite ledger, four events each: most filled in one or two
    trades, a fifth cancelled, a fifth refused, and one in a thousand still working.
    """
    templates = _templates(database)
    with database.write() as connection:
        for template in templates:
            for table in (orders, events, fills):
                _multiply(connection, table, template, count)


def _templates(database: Database) -> Sequence[Template]:
    return [
        Template(_traded(database, "whole", [100], BookState.COMPLETE), 5, 0),
        Template(_traded(database, "halves", [50, 50], BookState.COMPLETE), 5, 1),
        Template(_traded(database, "parts", [60, 40], BookState.COMPLETE), 5, 2),
        Template(_traded(database, "cancelled", [], BookState.CANCELLED), 5, 3),
        Template(_refused(database), 5, 4),
        Template(_traded(database, "working", [], BookState.WORKING), 1000, 999),
    ]


def _traded(database: Database, name: str, parts: Sequence[int], end: BookState) -> Order:
    order = new_order(name)
    enter(database, order)
    return record_all(database, history(order, [(part, Decimal("1500.05")) for part in parts], end))


def _refused(database: Database) -> Order:
    order = new_order("refused")
    enter(database, order)
    after = step(order, Refused(("LOT_SIZE: no",)), START)
    entry = Entry(sequence=1, type=EventType.ORDER_REJECTED, at=START, message="rejected", status=after.status)
    record(database, after, [entry])
    return after


def _multiply(connection: sa.Connection, table: sa.Table, template: Template, count: int) -> None:
    """Copy the template's rows of a table, as often as the share says."""
    columns = [column.name for column in table.columns if column.name != "feed_id"]
    values = ", ".join(_value(name) for name in columns)
    connection.exec_driver_sql(
        f"WITH RECURSIVE n(i) AS (SELECT {template.place} + 1 UNION ALL SELECT i + {template.share} FROM n "
        f"WHERE i + {template.share} <= {count}) "
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} FROM n CROSS JOIN {table.name} "
        f"WHERE order_id = ?",
        (template.order.order_id,),
    )


def _value(column: str) -> str:
    if column in MOMENTS:
        return f"strftime('%Y-%m-%d %H:%M:%f', \"{column}\", '+' || (n.i * {STEP_SECONDS}) || ' seconds') || '000'"
    return NAMED.get(column) or GROUPED.get(column) or EARNED.get(column) or f'"{column}"'
