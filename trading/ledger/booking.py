"""Books the fills of an order that are new: each once, with what it earned and cost, into positions and open lots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from trading.contracts import multiplier_of
from trading.fees import Charges, NoCharges, charged_as, charges_by_fill
from trading.ledger.positions import Position, booked, closed_by
from trading.ledger.rows import OF_FILL, fill_row, position_of, position_row, upsert
from trading.ledger.tables import CHARGED, fills, lots, positions, strategy_positions
from trading.order import Fill, Order, Side

UNKNOWN: dict[str, Decimal | None] = dict.fromkeys(CHARGED)
NET_ONLY = {"realized_fifo": Decimal(0), "charges": Decimal(0), "uncharged": 0}
"""What a strategy's position has not."""


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


_KNOWN = sa.select(*(fills.c[name] for name in OF_FILL)).where(fills.c.order_id == sa.bindparam("own"))
_INSERT_FILL = sa.insert(fills)
_INSERT_LOT = sa.insert(lots)
_HELD = sa.union_all(*(_of_table(table) for table in (positions, strategy_positions)))
_LOTS = (
    sa.select(lots.c.lot_id, lots.c.quantity, lots.c.price)
    .where(*(lots.c[name] == sa.bindparam(name) for name in ("account", "symbol", "product")))
    .order_by(lots.c.lot_id)
)
_END_LOT = sa.delete(lots).where(lots.c.lot_id == sa.bindparam("own"))
_CUT_LOT = sa.update(lots).where(lots.c.lot_id == sa.bindparam("own"))
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
        first_in = _through_lots(connection, order, net.quantity, fill)
        before, net = net, _with(booked(net, order.side, fill.quantity, fill.price), first_in, charges)
        own = booked(own, order.side, fill.quantity, fill.price)
        earned = {"realized_pnl": net.realized_pnl - before.realized_pnl, "realized_fifo": first_in}
        rows.append(fill_row(order, number) | earned | (charges.model_dump() if charges else UNKNOWN))
    connection.execute(_INSERT_FILL, rows)
    upsert(connection, positions, [position_row(net) | {"updated_at": order.updated_at}])
    upsert(connection, strategy_positions, [_strategy_row(own, order.strategy, order.updated_at)])


def added_charges(order: Order, fresh: Fresh) -> Sequence[Charges | None]:
    """What each new fill adds to the charges of its order, whose other fills are booked; `None` where nobody knows."""
    every = [*fresh.known, *(fill for _, fill in fresh.fills)]
    try:
        segment, contract = charged_as(order.symbol, order.product)
        size = contract.multiplier or 1
        return charges_by_fill(segment, contract.exchange, order.side, every, multiplier=size)[len(fresh.known) :]
    except NoCharges:
        return [None] * len(fresh.fills)


def _with(net: Position, first_in: Decimal, charges: Charges | None) -> Position:
    return net._replace(
        realized_fifo=net.realized_fifo + first_in,
        charges=net.charges + (charges.total if charges else 0),
        uncharged=net.uncharged + (charges is None),
    )


def _through_lots(connection: sa.Connection, order: Order, held: int, fill: Fill) -> Decimal:
    """Close what was opened first, open what is left. Rupees earned."""
    key = {"account": order.account, "symbol": order.symbol, "product": order.product.value}
    unit = fill.price * multiplier_of(order.symbol)
    closing = closed_by(held, order.side, fill.quantity)
    earned = _close(connection, key, order.side, closing, unit) if closing else Decimal(0)
    if opening := fill.quantity - closing:
        own = {"order_id": order.order_id, "trade_id": fill.trade_id}
        connection.execute(_INSERT_LOT, key | own | {"quantity": order.side.sign * opening, "price": unit})
    return earned


def _close(connection: sa.Connection, key: dict[str, str], side: Side, quantity: int, unit: Decimal) -> Decimal:
    """A fill of that many units, at `unit` rupees each, against the oldest lots, which are what is held."""
    earned, left, ended = Decimal(0), quantity, []
    with connection.execute(_LOTS, key) as found:
        for lot_id, open_quantity, price in found:
            taken = min(left, abs(open_quantity))
            earned -= side.sign * taken * (unit - price)
            left -= taken
            ended.append((lot_id, open_quantity + side.sign * taken))
            if not left:
                break
    gone = [{"own": lot_id} for lot_id, rest in ended if not rest]
    if gone:
        connection.execute(_END_LOT, gone)
    if ended and ended[-1][1]:
        connection.execute(_CUT_LOT, {"own": ended[-1][0], "quantity": ended[-1][1]})
    return earned


def _strategy_row(own: Position, strategy: str, at: datetime) -> dict[str, Any]:
    row = {name: value for name, value in position_row(own).items() if name not in NET_ONLY}
    return row | {"strategy": strategy, "updated_at": at}
