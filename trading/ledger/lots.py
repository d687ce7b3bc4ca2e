"""What is open of each fill and entry, in the order of booking: profit that is realized first in, first out."""

from collections.abc import Mapping
from decimal import Decimal

import sqlalchemy as sa

from durable_orders.trading.ledger.positions import Position, closed_by, in_lots, part_of
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import lots
from durable_orders.trading.orders.position_entry import scaled

_KEY = [lots.c[name] == sa.bindparam(f"own_{name}") for name in ("account", "symbol", "product")]
_LOTS = sa.select(lots.c.lot_id, lots.c.quantity, lots.c.price).where(*_KEY).order_by(lots.c.lot_id)
_WHOLE = sa.select(lots.c.order_id, lots.c.trade_id, lots.c.quantity, lots.c.price).where(*_KEY).order_by(lots.c.lot_id)
_INSERT = prepared(sa.insert(lots))
_END = prepared(sa.delete(lots).where(lots.c.lot_id == sa.bindparam("own")))
_END_ALL = sa.delete(lots).where(*_KEY)
_CUT = prepared(sa.update(lots).where(lots.c.lot_id == sa.bindparam("own")))
"""Made once: to make a statement anew costs more than SQLite takes to run it."""


def through_lots(
    connection: sa.Connection, held: Position, quantity: int, paid: Decimal, origin: Mapping[str, str]
) -> Decimal:
    """Close what was opened first with so many, signed, for which so many rupees were paid, and open what is left.
    Rupees earned."""
    closing = closed_by(held.quantity, quantity)
    for_closing = part_of(paid, closing, quantity) if closing else Decimal(0)
    earned = -for_closing - _closed(connection, held, closing) if closing else Decimal(0)
    if abs(quantity) > closing:
        opening = quantity + (closing if held.quantity > 0 else -closing)
        _open(connection, held, in_lots(opening, paid - for_closing), origin)
    return earned


def rescale_lots(connection: sa.Connection, held: Position, after: int) -> None:
    """What is open becomes so many in all, each lot its part, and costs what it did. What a lot is too small for goes
    to the next one, and of the last ones to the one before."""
    found = connection.execute(_WHOLE, _key_of(held)).all()
    connection.execute(_END_ALL, _key_of(held))
    scaled_lots: list[tuple[Mapping[str, str], int, Decimal]] = []
    before = seen = 0
    cost = Decimal(0)
    for order_id, trade_id, quantity, price in found:
        seen += quantity
        cost += quantity * price
        reached = after if seen == held.quantity else scaled(seen, held.quantity, after)
        if reached != before:
            scaled_lots.append(({"order_id": order_id, "trade_id": trade_id}, reached - before, cost))
            before, cost = reached, Decimal(0)
    if scaled_lots and cost:
        origin, quantity, own = scaled_lots[-1]
        scaled_lots[-1] = (origin, quantity, own + cost)
    for origin, quantity, own in scaled_lots:
        _open(connection, held, in_lots(quantity, own), origin)


def _key_of(held: Position) -> dict[str, str]:
    return {"own_account": held.account, "own_symbol": held.symbol, "own_product": held.product.value}


def _open(
    connection: sa.Connection, held: Position, opened: list[tuple[int, Decimal]], origin: Mapping[str, str]
) -> None:
    key = {"account": held.account, "symbol": held.symbol, "product": held.product.value}
    connection.execute(_INSERT, [{**key, **origin, "quantity": quantity, "price": price} for quantity, price in opened])


def _closed(connection: sa.Connection, held: Position, closing: int) -> Decimal:
    """Take so many units out of the oldest lots, which are what is held. Rupees that those cost, signed like them."""
    cost, left, ended = Decimal(0), closing, []
    with connection.execute(_LOTS, _key_of(held)) as found:
        for lot_id, open_quantity, price in found:
            taken = min(left, abs(open_quantity))
            signed = taken if open_quantity > 0 else -taken
            cost += signed * price
            left -= taken
            ended.append((lot_id, open_quantity - signed))
            if not left:
                break
    gone = [{"own": lot_id} for lot_id, rest in ended if not rest]
    if gone:
        connection.execute(_END, gone)
    if ended and ended[-1][1]:
        connection.execute(_CUT, {"own": ended[-1][0], "quantity": ended[-1][1]})
    return cost
