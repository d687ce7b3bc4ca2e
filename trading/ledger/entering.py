"""Enters what moves a position without an order: into the account's position, its strategies', and their open lots."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ledger.alerts import add_event, event_id
from durable_orders.trading.ledger.booking import strategy_row
from durable_orders.trading.ledger.lots import rescale_lots, through_lots
from durable_orders.trading.ledger.positions import NET_ONLY, Position, closed_by, entered, part_of
from durable_orders.trading.ledger.rows import position_of, position_row, upsert
from durable_orders.trading.ledger.tables import position_entries, positions, strategy_positions
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Product
from durable_orders.trading.orders.position_entry import EntryKind, PositionEntry, in_proportion, shares

OF_ENTRY = ("symbol", "product", "kind", "price", "to_product", "strategy", "evidence", "who", "at", "quantity")

Own = dict[str, Position]
"""Positions by strategy."""


class Moved(NamedTuple):
    """One leg of an entry."""

    product: Product
    quantity: int
    paid: Decimal
    shares: dict[str, tuple[int, Decimal]]
    """What of it is each strategy's."""


class Share(NamedTuple):
    """What of an entry is one strategy's. Signed."""

    held: int
    """What the strategy had of the position before."""
    moved: int


class Entered(NamedTuple):
    """One leg of an entry, as the ledger has it."""

    sequence: int
    leg: int
    kind: EntryKind
    symbol: str
    product: Product
    quantity: int
    price: Decimal | None
    evidence: str
    at: datetime
    shares: Mapping[str, Share]
    """By strategy; `external` is nobody's."""


def enter(connection: sa.Connection, account: str, entry: PositionEntry, at: datetime) -> int:
    """Enter it, with its event, in the caller's transaction. The number of the event.

    Raises `InvalidOrder` for what cannot be said of the position as it is; nothing is written then.
    """
    held = _held(connection, account, entry.symbol, entry.product).quantity
    if problem := entry.problem_with(held):
        raise InvalidOrder(problem)
    sequence = add_event(connection, account, EventType.POSITION_SETTLED, f"{entry.words}, {entry.who}", at)
    book_entry(connection, account, entry, sequence, at)
    return sequence


def book_entry(connection: sa.Connection, account: str, entry: PositionEntry, sequence: int, at: datetime) -> None:
    """The same of an entry whose event has that number and is recorded."""
    for leg, moved in enumerate(_legs(connection, account, entry)):
        net = _held(connection, account, entry.symbol, moved.product)
        after = _moved(net, moved.quantity, moved.paid, entry.kind)
        if entry.kind is EntryKind.CORPORATE_ACTION:
            rescale_lots(connection, net, after.quantity)
            first_in = Decimal(0)
        else:
            origin = {"order_id": event_id(account), "trade_id": f"{sequence}-{leg}"}
            first_in = through_lots(connection, net, moved.quantity, moved.paid, origin)
        after = after._replace(realized_fifo=net.realized_fifo + first_in)
        upsert(connection, positions, [position_row(after) | {"updated_at": at}])
        own = _own(connection, account, entry.symbol, moved.product)
        told: dict[str, Share] = {}
        for strategy, (quantity, paid) in moved.shares.items():
            before = own.get(strategy) or Position(account, entry.symbol, moved.product)
            told[strategy] = Share(before.quantity, quantity)
            row = strategy_row(_moved(before, quantity, paid, entry.kind), strategy, at)
            upsert(connection, strategy_positions, [row])
        earned = {"realized_pnl": after.realized_pnl - net.realized_pnl, "realized_fifo": first_in}
        row = _row(account, entry, sequence, at, leg, moved) | earned | {"shares": told}
        connection.execute(sa.insert(position_entries), row)


def _legs(connection: sa.Connection, account: str, entry: PositionEntry) -> Iterator[Moved]:
    """A conversion takes out at cost and puts in what that was, before the second leg is looked at."""
    net = _held(connection, account, entry.symbol, entry.product)
    own = _own(connection, account, entry.symbol, entry.product)
    quantity = entry.quantity
    if entry.kind is EntryKind.CORPORATE_ACTION:
        grown = in_proportion(quantity, net.quantity, {name: held.quantity for name, held in own.items()})
        nothing = Decimal(0)
        yield Moved(entry.product, quantity, nothing, {name: (by, nothing) for name, by in grown.items() if by})
        return
    parts = shares(quantity, {name: held.quantity for name, held in own.items()}, entry.strategy)
    if entry.to_product is None:
        unit = (entry.price or Decimal(0)) * multiplier_of(entry.symbol)
        yield Moved(entry.product, quantity, quantity * unit, {name: (by, by * unit) for name, by in parts.items()})
        return
    flat = Position(account, entry.symbol, entry.product)
    out = {name: (by, _at_cost(own.get(name, flat), by)) for name, by in parts.items()}
    paid = _at_cost(net, quantity)
    yield Moved(entry.product, quantity, paid, out)
    into = {name: (-by, -value) for name, (by, value) in out.items()}
    yield Moved(entry.to_product, -quantity, -paid, into)


def _at_cost(held: Position, quantity: int) -> Decimal:
    """What taking so many out of a position brings if nothing is earned by it. What it has not is worth nothing."""
    part = closed_by(held.quantity, quantity)
    return -part_of(held.open_value, part, held.quantity) if part else Decimal(0)


def _moved(held: Position, quantity: int, paid: Decimal, kind: EntryKind) -> Position:
    if kind is EntryKind.CORPORATE_ACTION:
        return held._replace(quantity=held.quantity + quantity)
    return entered(held, quantity, paid)


def _row(account: str, entry: PositionEntry, sequence: int, at: datetime, leg: int, moved: Moved) -> dict[str, Any]:
    return {
        "account": account,
        "sequence": sequence,
        "leg": leg,
        "kind": entry.kind.value,
        "symbol": entry.symbol,
        "product": moved.product.value,
        "to_product": entry.to_product.value if entry.to_product is not None else None,
        "strategy": entry.strategy,
        "quantity": moved.quantity,
        "price": entry.price,
        "paid": moved.paid,
        "evidence": entry.evidence,
        "who": entry.who,
        "at": entry.at or at,
    }


def entry_of(connection: sa.Connection, account: str, sequence: int) -> PositionEntry | None:
    """What was entered with the account's event of that number."""
    own = position_entries.c
    asked = sa.select(*(own[name] for name in OF_ENTRY)).where(
        own.account == account, own.sequence == sequence, own.leg == 0
    )
    row = connection.execute(asked).mappings().one_or_none()
    return None if row is None else PositionEntry(**row)


def newest_entry(connection: sa.Connection, account: str) -> int:
    """The number of the account's last entry; -1 before the first."""
    own = position_entries.c
    asked = sa.select(sa.func.coalesce(sa.func.max(own.sequence), -1)).where(own.account == account)
    return int(connection.execute(asked).scalar_one())


def entered_after(connection: sa.Connection, account: str, sequence: int) -> list[Entered]:
    """The account's entries with higher numbers than that, leg by leg, in their order."""
    return _entered(connection, account, position_entries.c.sequence > sequence)


def entered_of(connection: sa.Connection, account: str, sequence: int) -> list[Entered]:
    """The legs of the account's entry of that number."""
    return _entered(connection, account, position_entries.c.sequence == sequence)


def _entered(connection: sa.Connection, account: str, which: sa.ColumnElement[bool]) -> list[Entered]:
    own = position_entries.c
    asked = sa.select(*(own[name] for name in Entered._fields)).where(own.account == account, which)
    found = []
    for row in connection.execute(asked.order_by(own.sequence, own.leg)).mappings():
        told = {name: Share(*share) for name, share in (row["shares"] or {}).items()}
        words = {"kind": EntryKind(row["kind"]), "product": Product(row["product"]), "shares": told}
        found.append(Entered(**dict(row) | words))
    return found


def _held(connection: sa.Connection, account: str, symbol: str, product: Product) -> Position:
    own = positions.c
    asked = sa.select(positions).where(own.account == account, own.symbol == symbol, own.product == product.value)
    row = connection.execute(asked).mappings().one_or_none()
    return Position(account, symbol, product) if row is None else position_of(row)


def _own(connection: sa.Connection, account: str, symbol: str, product: Product) -> Own:
    own = strategy_positions.c
    asked = sa.select(strategy_positions).where(
        own.account == account, own.symbol == symbol, own.product == product.value
    )
    return {row["strategy"]: position_of(dict(row) | NET_ONLY) for row in connection.execute(asked).mappings()}
