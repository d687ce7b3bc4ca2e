"""What the ledger knows of a strategy at one moment: all of it is read in one transaction.

A strategy that saw its position before a fill and its open orders after it would think that it has neither.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from durable_orders.trading.ledger.plans import plan_ids_of
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import (
    FeedEvent,
    events_after,
    find_order,
    list_orders,
    strategy_positions_of,
)
from durable_orders.trading.ledger.rows import OPEN
from durable_orders.trading.ledger.tables import exchange_orders, orders
from durable_orders.trading.ledger.told_positions import Others, ToldPosition
from durable_orders.trading.orders.order import Order, Product, order_id
from durable_orders.trading.strategies.desk import numbered_id, numbered_plan

AT_ONCE = 1000
"""Events in one look."""


@dataclass(frozen=True, slots=True)
class View:
    feed_id: int
    """The last event that is in it."""
    open: tuple[Order, ...] = ()
    """The strategy's orders that have not ended, oldest first."""
    positions: Mapping[tuple[str, Product], Position] = field(default_factory=dict)
    """What its own orders have come to."""
    others: Others | None = None
    """What account and broker have."""
    changed: tuple[Order, ...] = ()
    """Its orders that stand differently than in the view before, in the order of their last change."""
    last_events: tuple[int, ...] = ()
    """Of each of those, its last event."""
    recorded: frozenset[str] = frozenset()
    """Of the orders that were asked about, those that the ledger has by now; client order ids."""

    def told(self, account: str, key: tuple[str, Product]) -> ToldPosition:
        """What the strategy has of a symbol and product, and the others."""
        own = self.positions.get(key) or Position(account, *key)
        return self.others.told(own) if self.others is not None else ToldPosition.of(own, own.quantity)

    def moved_by_others(self, account: str, before: "View") -> list[ToldPosition]:
        """What the strategy has or had, and others than its own orders have moved since, at the account or at the
        broker."""
        found = []
        for key in sorted(self.positions.keys() | before.positions.keys()):
            was, now = before.told(account, key), self.told(account, key)
            if not (was.quantity or now.quantity):
                continue
            traded = self._traded(before, key)
            own = (was.quantity + traded, was.of_account + traded, was.unexplained)
            if own != (now.quantity, now.of_account, now.unexplained):
                found.append(now)
        return found

    def _traded(self, before: "View", key: tuple[str, Product]) -> int:
        """Signed quantity of what the strategy's own orders have filled since."""
        known = {order.order_id: order.filled_quantity for order in before.open}
        return sum(
            order.side.sign * (order.filled_quantity - known.get(order.order_id, 0))
            for order in self.changed
            if (order.symbol, order.product) == key
        )


def look(
    connection: sa.Connection, account: str, strategy: str, after: int, asked: Collection[str] = ()
) -> View | None:
    """How things stand, if there is any event behind `after`; `None` if there is not."""
    told = events_after(connection, after, account=account, limit=AT_ONCE)
    if not told:
        return None
    changed = _changed(connection, strategy, told)
    return view_at(connection, account, strategy, told[-1].feed_id, changed, asked)


def changed_since(connection: sa.Connection, account: str, strategy: str, after: int) -> list[tuple[int, Order]]:
    """The strategy's orders of which anything was recorded since, as they stand, in the order of their last event."""
    told = list[FeedEvent]()
    while more := events_after(connection, after, account=account, limit=AT_ONCE):
        told += more
        after = more[-1].feed_id
    return _changed(connection, strategy, told)


def _changed(connection: sa.Connection, strategy: str, told: Sequence[FeedEvent]) -> list[tuple[int, Order]]:
    last = {event.order_id: event.feed_id for event in told}
    found = ((last[own], find_order(connection, own)) for own in sorted(last, key=last.__getitem__))
    return [(feed_id, order) for feed_id, order in found if order is not None and order.strategy == strategy]


def view_at(
    connection: sa.Connection,
    account: str,
    strategy: str,
    feed_id: int,
    changed: Sequence[tuple[int, Order]] = (),
    asked: Collection[str] = (),
) -> View:
    """How things stand, whatever has happened since."""
    ids = {order_id(account, own): own for own in asked}
    known = connection.execute(sa.select(orders.c.order_id).where(orders.c.order_id.in_(list(ids)))).scalars()
    return View(
        feed_id,
        tuple(list_orders(connection, account, strategy=strategy, open_only=True, newest_first=False)),
        strategy_positions_of(connection, account, strategy),
        Others(connection, account),
        tuple(order for _, order in changed),
        tuple(own_event for own_event, _ in changed),
        frozenset(ids[own] for own in known),
    )


def last_number(connection: sa.Connection, account: str, strategy: str) -> int:
    """The highest number in the ids of the strategy's orders; 0 without one."""
    prefix = numbered_id(strategy, 0)[:-1]
    asked = sa.select(orders.c.client_order_id).where(
        orders.c.account == account, orders.c.client_order_id.startswith(prefix, autoescape=True)
    )
    numbers = (own.removeprefix(prefix) for own in connection.execute(asked).scalars())
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def last_plan_number(connection: sa.Connection, account: str, strategy: str) -> int:
    """The same of its plans."""
    prefix = numbered_plan(strategy, 0)[:-1]
    numbers = [own.removeprefix(prefix) for own in plan_ids_of(connection, account, strategy) if own.startswith(prefix)]
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def is_settled(connection: sa.Connection, account: str, strategy: str) -> bool:
    """Whether the ledger has all that the paper exchange's book says of the strategy's open orders, and each is there
    that no person has yet to approve.

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
    approval = orders.c.approval
    waits = approval.is_not(None) & approval["approved_at"].as_string().is_(None) & (orders.c.status == "PENDING")
    own &= sa.not_(waits)
    return connection.execute(sa.select(sa.literal(1)).select_from(both).where(own, differs).limit(1)).first() is None
