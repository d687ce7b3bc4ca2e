"""Books the fills of an order that are new: each once, with what it earned and cost, into positions and open lots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.charges.fees import Charges, NoCharges, charged_as, charges_by_fill
from durable_orders.trading.ledger.lots import through_lots
from durable_orders.trading.ledger.positions import NET_ONLY, Position, booked
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.rows import OF_FILL, fill_row, position_of, position_row, upsert
from durable_orders.trading.ledger.tables import CHARGED, fills, positions, strategy_positions
from durable_orders.trading.orders.order import Fill, Order

UNKNOWN: dict[str, Decimal | None] = dict.fromkeys(CHARGED)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The fills of an order that the ledger lacks, and those that it has."""

    fills: Sequence[tuple[int, Fill]]
    """Each with its number."""
    known: Sequence[Fill] = ()

    @property
    def quantity(self) -> int:
        return sum(fill.quantity for _, fill in self.fills)


POSITION_COLUMNS = tuple(column.name for column in positions.columns)


def _of_table(table: sa.Table) -> sa.Select[Any]:
    columns = (table.c[name] if name in table.c else _missing(name) for name in POSITION_COLUMNS)
    own = (column == sa.bindparam(column.name) for column in table.primary_key)
    return sa.select(sa.literal(table.name).label("table"), *columns).where(*own)


def _missing(name: str) -> sa.ColumnElement[Any]:
    return sa.literal(NET_ONLY[name], positions.c[name].type).label(name)


_KNOWN = prepared(sa.select(*(fills.c[name] for name in OF_FILL)).where(fills.c.order_id == sa.bindparam("own")))
_INSERT_FILL = prepared(sa.insert(fills))
_HELD = prepared(sa.union_all(*(_of_table(table) for table in (positions, strategy_positions))))
"""Made once: to make a statement anew costs more than SQLite takes to run it."""


def fresh_fills(connection: sa.Connection, order: Order) -> Fresh:
    """Those whose trade id the ledger does not have under this order."""
    if not order.fills:
        return Fresh(())
    known = [Fill.model_construct(**row) for row in connection.execute(_KNOWN, {"own": order.order_id}).mappings()]
    ids = {fill.trade_id for fill in known}
    return Fresh([(number, fill) for number, fill in enumerate(order.fills) if fill.trade_id not in ids], known)


def book(connection: sa.Connection, order: Order, fresh: Fresh) -> None:
    """Enter new fills, each with what it earned and cost, into the account's net position, and its strategy's."""
    key = {"account": order.account, "symbol": order.symbol, "product": order.product.value, "strategy": order.strategy}
    held = {row["table"]: position_of(row) for row in connection.execute(_HELD, key).mappings()}
    flat = Position(order.account, order.symbol, order.product)
    net, own = held.get(positions.name, flat), held.get(strategy_positions.name, flat)
    rows = []
    for (number, fill), charges in zip(fresh.fills, added_charges(order, fresh), strict=True):
        signed = order.side.sign * fill.quantity
        origin = {"order_id": order.order_id, "trade_id": fill.trade_id}
        first_in = through_lots(connection, net, signed, signed * fill.price * multiplier_of(order.symbol), origin)
        before, net = net, _charged(booked(net, order.side, fill.quantity, fill.price), charges)
        net = net._replace(realized_fifo=net.realized_fifo + first_in)
        own = _charged(booked(own, order.side, fill.quantity, fill.price), charges)
        earned = {"realized_pnl": net.realized_pnl - before.realized_pnl, "realized_fifo": first_in}
        rows.append(fill_row(order, number) | earned | (charges.model_dump() if charges else UNKNOWN))
    connection.execute(_INSERT_FILL, rows)
    upsert(connection, positions, [position_row(net) | {"updated_at": order.updated_at}])
    upsert(connection, strategy_positions, [strategy_row(own, order.strategy, order.updated_at)])


def added_charges(order: Order, fresh: Fresh) -> Sequence[Charges | None]:
    """What each new fill adds to the charges of its order, whose other fills are booked; `None` where nobody knows."""
    every = [*fresh.known, *(fill for _, fill in fresh.fills)]
    try:
        segment, contract = charged_as(order.symbol, order.product)
        size = contract.multiplier or 1
        return charges_by_fill(segment, contract.exchange, order.side, every, multiplier=size)[len(fresh.known) :]
    except NoCharges:
        return [None] * len(fresh.fills)


def _charged(held: Position, charges: Charges | None) -> Position:
    if charges is None:
        return held._replace(uncharged=held.uncharged + 1)
    return held._replace(charges=held.charges + charges.total)


def strategy_row(own: Position, strategy: str, at: datetime) -> dict[str, Any]:
    row = {name: value for name, value in position_row(own).items() if name not in NET_ONLY}
    return row | {"strategy": strategy, "updated_at": at}
