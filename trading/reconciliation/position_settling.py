"""Explains by hand where the broker's positions differ from the ledger's: with evidence, and no more than differs."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.ist import start_of_day
from durable_orders.trading.ledger.broker_positions import BrokerReading, Key, last_reading
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.delivery import DELIVERY, moved_today
from durable_orders.trading.ledger.entering import enter
from durable_orders.trading.ledger.position_differences import Cause, Unexplained, keep_differences, unexplained
from durable_orders.trading.ledger.positions import signed
from durable_orders.trading.ledger.reading import positions_of
from durable_orders.trading.ledger.tables import orders
from durable_orders.trading.orders.position_entry import PositionEntry
from durable_orders.trading.reconciliation.positions import PositionDifference, differences


def held_by_ledger(connection: sa.Connection, account: str) -> dict[Key, int]:
    """Signed quantities by symbol and product; flat ones are not among them."""
    return signed(positions_of(connection, account))


def settle_position(
    database: Database, account: str, entry: PositionEntry, at: datetime, *, is_of_one_day: bool
) -> tuple[Unexplained, ...]:
    """Enter it. What is left unexplained in its symbol.

    The quantity must lie within what the broker's positions, as last read, have more or less than the ledger. Raises
    `InvalidOrder`, one line, with nothing written.
    """
    with database.write(account) as connection:
        reading = last_reading(connection, account)
        ours = held_by_ledger(connection, account)
        standing = unexplained(connection, account)
        _must_be_in_a_book(entry, ours, reading, standing)
        if reading is None:
            raise InvalidOrder("quantity: the broker's positions were never read, so nothing is known to differ")
        _must_be_newer_than_the_fills(connection, account, entry, reading)
        moved = moved_today(connection, account, at) if is_of_one_day else {}
        found = differences(ours, moved, reading, is_of_one_day=is_of_one_day)
        for product, quantity in _legs(entry).items():
            differs = room((entry.symbol, product), ours, found, standing, reading)
            _must_lie_within(f"{entry.symbol} {product}", quantity, differs)
        enter(connection, account, _dated(entry, reading, moved, at), at)
        return _keep_what_is_left(connection, account, entry, standing)


def _dated(entry: PositionEntry, reading: BrokerReading, moved: Mapping[Key, int], at: datetime) -> PositionEntry:
    """What was converted into delivery on an earlier day is among the holdings now, and no longer in the positions of
    the day: then it counts before today."""
    if entry.at is not None or not entry.kind.is_in_the_days_positions:
        return entry
    for product, quantity in _legs(entry).items():
        key = (entry.symbol, product)
        shown = reading.at_broker(*key).quantity - moved.get(key, 0)
        if product in DELIVERY and shown * quantity <= 0:
            return entry.model_copy(update={"at": start_of_day(at) - timedelta(seconds=1)})
    return entry


def _legs(entry: PositionEntry) -> dict[str, int]:
    """By product, what it adds."""
    own = {entry.product.value: entry.quantity}
    return own if entry.to_product is None else own | {entry.to_product.value: -entry.quantity}


def room(
    key: Key,
    ours: Mapping[Key, int],
    found: list[PositionDifference],
    standing: list[Unexplained],
    reading: BrokerReading,
) -> int:
    """By how much the broker has more of the position, or less. Of delivery also shares that the ledger need not
    know."""
    stood = [each.quantity for each in standing if each[:2] == key and _still(each, ours)]
    differing = stood or [each.quantity for each in found if each[:2] == key]
    if differing:
        return differing[0]
    if key[1] in DELIVERY:
        return max(reading.at_broker(*key).total - ours.get(key, 0), 0)
    return 0


def _still(each: Unexplained, ours: Mapping[Key, int]) -> bool:
    return each.cause is Cause.CORPORATE_ACTION or ours.get((each.symbol, each.product), 0) == each.ours


def _must_be_in_a_book(
    entry: PositionEntry, ours: Mapping[Key, int], reading: BrokerReading | None, standing: list[Unexplained]
) -> None:
    symbols = {symbol for symbol, _ in ours} | {each.symbol for each in standing}
    symbols |= {symbol for symbol, _ in reading.rows} if reading is not None else set()
    if entry.symbol not in symbols:
        raise InvalidOrder(f"symbol: {entry.symbol} is in no book: neither the ledger nor the broker has it")


def _must_be_newer_than_the_fills(
    connection: sa.Connection, account: str, entry: PositionEntry, reading: BrokerReading
) -> None:
    own = orders.c
    asked = sa.select(sa.func.max(own.updated_at)).where(
        own.account == account,
        own.symbol == entry.symbol,
        own.product == entry.product.value,
        own.filled_quantity > 0,
    )
    changed = connection.execute(asked).scalar_one_or_none()
    if changed is not None and changed > reading.at:
        raise InvalidOrder(
            f"quantity: {entry.symbol} {entry.product} has traded since the broker's positions were last read: ask "
            "again in a moment, while `up` or a worker runs"
        )


def _must_lie_within(name: str, quantity: int, differs: int) -> None:
    if quantity * differs > 0 and abs(quantity) <= abs(differs):
        return
    if not differs:
        raise InvalidOrder(f"quantity: nothing of {name} differs, was {quantity:+d}")
    raise InvalidOrder(f"quantity: {name} differs by {differs:+d}, and may be settled as far, was {quantity:+d}")


def _keep_what_is_left(
    connection: sa.Connection, account: str, entry: PositionEntry, standing: list[Unexplained]
) -> tuple[Unexplained, ...]:
    """The watch would see it, too: but until it looks again, and where none runs, this counts at once."""
    moved = _legs(entry)
    now = [
        each._replace(ours=each.ours + moved.get(each.product, 0)) if each.symbol == entry.symbol else each
        for each in standing
    ]
    left = [each for each in now if each.quantity]
    if left != standing:
        keep_differences(connection, account, left)
    return tuple(each for each in left if each.symbol == entry.symbol)
