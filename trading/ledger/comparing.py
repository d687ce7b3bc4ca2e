"""Whether two ledgers say the same: of every order, event, fill and position, to the share and the paisa."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.ledger.rebuilding import DERIVED
from durable_orders.trading.ledger.tables import events, lots
from durable_orders.trading.orders.order import Frozen

LISTED = 1000
"""Differences that are put into words; the others are counted."""
TIMES = frozenset({"at", "updated_at"})
"""A step that a crash made a worker do again is recorded with its first time, and told again with its last."""
KEYS: dict[sa.Table, list[sa.Column[Any]]] = {
    events: [events.c.order_id, events.c.sequence],
    lots: [lots.c.order_id, lots.c.trade_id, lots.c.price, lots.c.quantity],
}
"""Of tables whose rows have a number, which each ledger counts for itself."""
UNCOMPARED = frozenset({"feed_id", "lot_id", "fills"})
"""Nothing but the order of each ledger: with which event a trade became known is not in every history."""

Row = Mapping[str, Any]


class Comparison(Frozen):
    rows: dict[str, int]
    """How many of each table the new ledger has."""
    differences: tuple[str, ...]
    """At most the first `LISTED`."""
    different: int
    retimed: int
    """Rows that differ in nothing but the time of a step."""

    @property
    def equal(self) -> bool:
        return self.different == 0


def compared(old: sa.Connection, new: sa.Connection) -> Comparison:
    """The old ledger's tables that recording writes against the new one's. Both are read as streams."""
    rows: dict[str, int] = {}
    differences: list[str] = []
    different = retimed = 0
    for table in DERIVED:
        rows[table.name] = 0
        for ours, theirs in _pairs(table, old, new):
            rows[table.name] += theirs is not None
            fields = _fields(ours, theirs)
            retimed += bool(fields) and fields <= TIMES
            if fields - TIMES:
                different += 1
                differences += [_words(table, ours, theirs, fields)] if different <= LISTED else []
    return Comparison(rows=rows, differences=tuple(differences), different=different, retimed=retimed)


def _fields(ours: Row | None, theirs: Row | None) -> frozenset[str]:
    if ours is None or theirs is None:
        return frozenset(ours or theirs or ())
    return frozenset(name for name in ours if name not in UNCOMPARED and ours[name] != theirs[name])


def _key(table: sa.Table) -> list[sa.Column[Any]]:
    return KEYS.get(table) or list(table.primary_key)


def _pairs(table: sa.Table, old: sa.Connection, new: sa.Connection) -> Iterator[tuple[Row | None, Row | None]]:
    """The rows with the same key side by side; `None` where one ledger has none."""
    names = [column.name for column in _key(table)]
    lefts, rights = _stream(table, old), _stream(table, new)
    left, right = next(lefts, None), next(rights, None)
    while left is not None or right is not None:
        left_key = [left[name] for name in names] if left is not None else None
        right_key = [right[name] for name in names] if right is not None else None
        if left_key == right_key:
            yield left, right
            left, right = next(lefts, None), next(rights, None)
        elif right_key is None or (left_key is not None and left_key < right_key):
            yield left, None
            left = next(lefts, None)
        else:
            yield None, right
            right = next(rights, None)


def _stream(table: sa.Table, connection: sa.Connection) -> Iterator[Row]:
    """By key, in the order of code points, as Python compares; PostgreSQL has its own idea of the alphabet."""
    is_postgresql = connection.dialect.name == "postgresql"
    by = [
        sa.collate(column, "C") if is_postgresql and isinstance(column.type, sa.Text) else column
        for column in _key(table)
    ]
    asked = sa.select(table).order_by(*by)
    for row in connection.execute(asked, execution_options={"yield_per": 1000}).mappings():
        yield dict(row)


def _words(table: sa.Table, ours: Row | None, theirs: Row | None, fields: frozenset[str]) -> str:
    row = ours or theirs or {}
    what = f"{table.name} {' '.join(str(row[column.name]) for column in _key(table))}"
    if ours is None:
        return f"{what}: only in the histories"
    if theirs is None:
        return f"{what}: only in the ledger"
    said = (f"{name} is {ours[name]} in the ledger, {theirs[name]} rebuilt" for name in sorted(fields - TIMES))
    return f"{what}: {', '.join(said)}"
