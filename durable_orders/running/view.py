"""What the ledger knows of a strategy at one moment: all of it is read in one transaction.

A strategy that saw its position before a fill and its open orders after it would think that it has neither.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from trading.ledger.positions import Position
from trading.ledger.reading import events_after, find_order, list_orders
from trading.ledger.rows import OPEN, position_of
from trading.ledger.tables import exchange_orders, orders, strategy_positions
from trading.order import Order, Product, order_id
from trading.strategy_desk import numbered_id

AT_ONCE = 1000
"""Events in one look."""
NET_ONLY = ("realized_fifo", "charges", "uncharged")
"""What the ledger has of an account's position, and not of a strategy's."""


@dataclass(frozen=True, slots=True)
class View:
    feed_id: int
    """The last event that is in it."""
    open: tuple[Order, ...] = ()
    """The strategy's orders that have not ended, oldest first."""
    positions: Mapping[tuple[str, Product], Position] = field(default_factory=dict)
    """What its own orders have come to."""
    changed: tuple[Order, ...] = ()
    """Its orders that stand differently than in the view before, in the order of their last change."""
    recorded: frozenset[str] = frozenset()
    """Of the orders that were asked about, those that the ledger has by now; client order ids."""


def look(
    connection: sa.Connection, account: str, strategy: str, after: int, asked: Collection[str] = ()
) -> View | None:
    """How things stand, if there is any event behind `after`; `None` if there is not."""
    told = events_after(connection, after, account=account, limit=AT_ONCE)
    if not told:
        return None
    last = {event.order_id: event.feed_id for event in told}
    found = (find_order(connection, own) for own in sorted(last, key=last.__getitem__))
    changed = tuple(order for order in found if order is not None and order.strategy == strategy)
    return view_at(connection, account, strategy, told[-1].feed_id, changed, asked)


def view_at(
    connection: sa.Connection,
    account: str,
    strategy: str,
    feed_id: int,
    changed: tuple[Order, ...] = (),
    asked: Collection[str] = (),
) -> View:
    """How things stand, whatever has happened since."""
    ids = {order_id(account, own): own for own in asked}
    known = connection.execute(sa.select(orders.c.order_id).where(orders.c.order_id.in_(list(ids)))).scalars()
    return View(
        feed_id,
        tuple(list_orders(connection, account, strategy=strategy, open_only=True, newest_first=False)),
        positions_of_strategy(connection, account, strategy),
        changed,
        frozenset(ids[own] for own in known),
    )


def positions_of_strategy(
    connection: sa.Connection, account: str, strategy: str
) -> dict[tuple[str, Product], Position]:
    table = strategy_positions.c
    asked = sa.select(strategy_positions).where(table.account == account, table.strategy == strategy)
    found = {}
    for row in connection.execute(asked).mappings():
        position = position_of(dict(row) | dict.fromkeys(NET_ONLY, 0))
        found[position.symbol, position.product] = position
    return found


def last_number(connection: sa.Connection, account: str, strategy: str) -> int:
    """The highest number in the ids of the strategy's orders; 0 without one."""
    prefix = numbered_id(strategy, 0)[:-1]
    asked = sa.select(orders.c.client_order_id).where(
        orders.c.account == account, orders.c.client_order_id.startswith(prefix, autoescape=True)
    )
    numbers = (own.removeprefix(prefix) for own in connection.execute(asked).scalars())
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def is_settled(connection: sa.Connection, account: str, strategy: str) -> bool:
    """Whether the ledger has all that the paper exchange's book says of the strategy's open orders, and each is there.

    What the exchange has done is told to the order's workflow, which records it: that takes some milliseconds.
    """
    at_exchange = exchange_orders.c
    differs = sa.or_(
        at_exchange.broker_order_id.is_(None),
        at_exchange.filled_quantity != orders.c.filled_quantity,
        at_exchange.state != "WORKING",
    )
    both = orders.outerjoin(
        exchange_orders,
        (at_exchange.account == orders.c.account) & (at_exchange.broker_order_id == orders.c.broker_order_id),
    )
    own = (orders.c.account == account) & (orders.c.strategy == strategy) & orders.c.status.in_(OPEN)
    return connection.execute(sa.select(sa.literal(1)).select_from(both).where(own, differs).limit(1)).first() is None
