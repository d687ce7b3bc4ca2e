"""What approved orders may still trade: reserved with the approval, smaller with every fill, released at the end.

What is filled is part of the position, what is reserved may still become one, and never is anything both. While a
change is on its way to the broker, both the terms that stand and those that were asked for may come true, so the
greater of each is reserved until the book shows the change, or until it is certain that it was not made.

Prices and values are stored as quoted. What they are in rupees is worked out where they are read
(`trading.ledger.exposure`), so a reservation of an earlier version is read right as well.
"""

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from durable_orders.trading.ledger.exposure import Pending
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.rows import insertion
from durable_orders.trading.ledger.tables import LARGEST, SCALE, reservations
from durable_orders.trading.orders.judged import Judged
from durable_orders.trading.orders.order import Order, Terms

LARGEST_VALUE = Decimal(LARGEST) / SCALE


class Reservation(NamedTuple):
    """What stands reserved for one order."""

    quantity: int
    """Units that may still be traded."""
    price: Decimal
    """As quoted, at most."""
    value: Decimal
    """Quantity times price, as quoted."""
    filled: int
    """Units of the order that are part of the position by now."""
    amended_quantity: int | None = None
    """In all, of a change that was asked for and not seen yet."""
    amended_price: Decimal | None = None
    changes: int = 0
    """Changes of the order that were let through, and may have been made."""

    def counted(self, changes: int) -> "Reservation":
        """The same with so many more changes."""
        return self._replace(changes=max(self.changes + changes, 0))

    def pending(self, symbol: str) -> Pending:
        """The same in rupees, of an order for that symbol."""
        return Pending.quoted(symbol, self.quantity, self.value, self.price)

    def of_terms(self, quantity: int, price: Decimal) -> "Reservation":
        """The same with other terms in force: `quantity` in all, and no change on its way."""
        rest = max(quantity - self.filled, 0)
        return Reservation(rest, price, min(rest * price, LARGEST_VALUE), self.filled, changes=self.changes)

    def with_change(self, quantity: int, price: Decimal) -> "Reservation":
        """Enough for these terms and for the change to `quantity` in all at `price`. The same if it was enough."""
        asked = self.of_terms(max(quantity, self.amended_quantity or 0), max(price, self.amended_price or Decimal(0)))
        if asked.quantity <= self.quantity and asked.value <= self.value:
            return self
        return self._replace(
            quantity=max(self.quantity, asked.quantity),
            price=max(self.price, asked.price),
            value=max(self.value, asked.value),
            amended_quantity=asked.quantity + self.filled,
            amended_price=asked.price,
        )


_R = reservations.c
_OWN = _R.order_id == sa.bindparam("own")
_STANDS = _R.released_at.is_(None)
_STANDING = prepared(sa.select(*(_R[name] for name in Reservation._fields)).where(_OWN, _STANDS))
_UPDATE = prepared(sa.update(reservations).where(_OWN))
_REST = sa.case((_R.quantity > sa.bindparam("traded"), _R.quantity - sa.bindparam("traded")), else_=0)
_END = prepared(
    _UPDATE.values(
        filled=_R.filled + sa.bindparam("traded"),
        quantity=_REST,
        released_at=sa.func.coalesce(_R.released_at, sa.bindparam("at", type_=_R.released_at.type)),
    )
)


@cache
def _insert(dialect: str) -> Any:
    return prepared(insertion(reservations, dialect).on_conflict_do_nothing())


def own_price(terms: Terms) -> Decimal | None:
    """The price that an order says itself, as quoted: its limit, else its trigger; `None` at the market."""
    return terms.price or terms.trigger_price


class Arrival(NamedTuple):
    """The last tick when an order was checked. Rupees."""

    price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    received_at: datetime | None = None


NOT_SEEN = Arrival()


def reserve(
    connection: sa.Connection,
    order: Order,
    price: Decimal,
    at: datetime,
    arrival: Arrival = NOT_SEEN,
    judged: Judged | None = None,
) -> None:
    """Reserve what remains of the order, at `price` as quoted. The second time changes nothing."""
    row = {
        "order_id": order.order_id,
        "account": order.account,
        "symbol": order.symbol,
        "strategy": order.strategy,
        "product": order.product.value,
        "side": order.side.value,
        "quantity": order.remaining,
        "price": price,
        "value": (price * order.remaining).min(LARGEST_VALUE),
        "filled": order.filled_quantity,
        "reserved_at": at,
        **{f"arrival_{name}": seen for name, seen in arrival._asdict().items()},
        "judged": None if judged is None else [judged.as_json()],
    }
    connection.execute(_insert(connection.dialect.name), row)


def standing(connection: sa.Connection, order_id: str) -> Reservation | None:
    """The order's reservation, if it is not released."""
    row = connection.execute(_STANDING, {"own": order_id}).one_or_none()
    return None if row is None else Reservation(*row)


def is_reserved(connection: sa.Connection, order_id: str) -> bool:
    """Whether the order has a reservation that is not released."""
    return standing(connection, order_id) is not None


class Sending(NamedTuple):
    """What is known of the attempts to send an order. Rupees."""

    attempt: int
    """The number of the last one whose permission was used up; 0 for none."""
    not_sent: int
    """It is proved that nothing came of any attempt up to this one."""
    sent_at: datetime | None
    sent_price: Decimal | None
    """The last price then."""
    arrival_price: Decimal | None
    """The last price when it was checked."""


def sending_of(connection: sa.Connection, order_id: str) -> Sending | None:
    """`None` for an order for which nothing was ever reserved: no attempt to send it was made."""
    row = connection.execute(sa.select(*(_R[name] for name in Sending._fields)).where(_R.order_id == order_id))
    found = row.one_or_none()
    return None if found is None else Sending(*found)


def judged_of(connection: sa.Connection, order_id: str) -> tuple[Judged | None, ...]:
    """How the order, and then each change of it, stood against the limits when it passed. `None` for what was not
    recorded, nothing if none of it was: that of earlier versions, and of a ledger that was rebuilt without the old one;
    nor is there any of an order that never passed."""
    kept = connection.execute(sa.select(_R.judged).where(_R.order_id == order_id)).scalar_one_or_none()
    return tuple(None if each is None else Judged.of_json(each) for each in kept or ())


def keep_judged(connection: sa.Connection, order_id: str, change: int, judged: Judged) -> None:
    """Of the order's change of that number, from 1, as `Reservation.changes` counts. It takes the place of one that was
    certainly not made."""
    known = [None if each is None else each.as_json() for each in judged_of(connection, order_id)[:change]]
    missing = [None] * (change - len(known))
    values = {"judged": [*known, *missing, judged.as_json()]}
    connection.execute(sa.update(reservations).where(_R.order_id == order_id).values(values))


def was_ever_made(connection: sa.Connection, order_id: str) -> bool:
    """Whether anything was ever reserved for the order: without that, no attempt to send it was made."""
    return bool(connection.execute(sa.select(sa.exists().where(_R.order_id == order_id))).scalar_one())


def change(connection: sa.Connection, order_id: str, reservation: Reservation) -> None:
    """Put this in place of what stands reserved for the order."""
    columns: dict[str, Any] = {name: getattr(reservation, name) for name in Reservation._fields}
    connection.execute(_UPDATE, columns | {"own": order_id})


def follow(connection: sa.Connection, order: Order, traded: int) -> None:
    """Of a working order: `traded` more units became position, and its terms may be new."""
    known = standing(connection, order.order_id)
    if known is None:
        return
    price = own_price(order) or known.price
    now = known._replace(filled=known.filled + traded).of_terms(order.quantity, price)
    if known.amended_quantity is not None and known.amended_price is not None:
        now = now.with_change(known.amended_quantity, known.amended_price)
    if now != known:
        change(connection, order.order_id, now)


def end(connection: sa.Connection, order_id: str, traded: int, at: datetime) -> None:
    """The order is over, and `traded` more units became position. Its reservation is released, if it still stands."""
    connection.execute(_END, {"own": order_id, "traded": traded, "at": at})


def release(connection: sa.Connection, order_id: str, at: datetime) -> None:
    """End the order's reservation, if it has one that still stands."""
    end(connection, order_id, 0, at)
