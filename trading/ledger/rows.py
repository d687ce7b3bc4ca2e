"""Orders, fills and positions as rows of the ledger, and back."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import sqlalchemy as sa

from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import fills, orders
from durable_orders.trading.orders.order import Fill, Order, OrderIntent, Product, Status

Row = Mapping[Any, Any]

CHUNK = 500
"""Values in one IN list: SQLite allows 32,766 parameters in a statement, and 999 where it is old."""

OVER = tuple(status.value for status in Status if status.terminal)
OPEN = tuple(status.value for status in Status if not status.terminal)
SHARED = tuple(column.name for column in orders.columns if column.name in Order.model_fields)
"""The columns that are an order's fields, under the same name."""
FIXED = frozenset(OrderIntent.model_fields) - {"quantity", "price", "trigger_price", "order_type"} | {
    "order_id",
    "tag",
    "created_at",
}
"""The columns that never change once an order is entered."""
OF_POSITION = tuple(name for name in Position._fields if name != "product")
OF_FILL = tuple(column.name for column in fills.columns if column.name in Fill.model_fields)

T = TypeVar("T")


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, as many at a time as one IN list takes."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def order_row(order: Order) -> dict[str, Any]:
    """All columns but those that only the ledger knows: `run_id`, `fingerprint`, `unsettled` and `sequence`."""
    row = {name: _plain(getattr(order, name)) for name in SHARED}
    return row | {
        "tags": order.tags or None,
        "slices": list(order.slices) or None,
        "reasons": list(order.reasons),
        "instructions": order.instructions.model_dump(mode="json") if order.instructions else None,
        "approval": order.approval.model_dump(mode="json") if order.approval else None,
        "filled_quantity": order.filled_quantity,
        "filled_value": order.filled_value,
    }


def order_of(row: Row, trades: Sequence[Row]) -> Order:
    """The order as it was recorded. `trades` are its rows in `fills`, in the order of their number."""
    content = {name: row[name] for name in SHARED} | {"tags": row["tags"] or {}, "slices": row["slices"] or ()}
    return Order(**content, fills=tuple(Fill(**{name: trade[name] for name in OF_FILL}) for trade in trades))


def fill_row(order: Order, number: int) -> dict[str, Any]:
    """The row of the order's fill of that number, counted from 0."""
    fill = order.fills[number]
    return {name: getattr(fill, name) for name in OF_FILL} | {
        "order_id": order.order_id,
        "number": number,
        "account": order.account,
        "symbol": order.symbol,
        "product": order.product.value,
        "side": order.side.value,
    }


def position_of(row: Row) -> Position:
    return Position(**{name: row[name] for name in OF_POSITION}, product=Product(row["product"]))


def position_row(position: Position) -> dict[str, Any]:
    """All columns but `updated_at`."""
    return {name: getattr(position, name) for name in OF_POSITION} | {"product": position.product.value}


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert the rows, or bring those with the same primary key up to date. All rows have the same columns."""
    connection.execute(_upsert(table, tuple(rows[0]), connection.dialect.name), list(rows))


def insertion(table: sa.Table, dialect: str) -> Any:
    """An INSERT that can say what becomes of a conflict, which each dialect says in its own way."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@cache
def _upsert(table: sa.Table, columns: tuple[str, ...], dialect: str) -> Any:
    statement = insertion(table, dialect)
    keys = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in columns if name not in keys}
    return prepared(statement.on_conflict_do_update(index_elements=keys, set_=changes))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
