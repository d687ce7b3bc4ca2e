"""The numbered attempts to send an order: each is used once, and the next only when nothing came of those before.

Two numbers stand beside an order's reservation. `attempt` is the highest one that was used, or must not be any more;
`not_sent` the highest up to which it is proved that nothing is at the broker. Where the first is greater, the outcome
of an attempt is open, and nothing is sent before it is proved.
"""

from datetime import datetime

import sqlalchemy as sa

from durable_orders.trading.errors import AttemptUsed
from durable_orders.trading.ledger.prepared import prepared
from durable_orders.trading.ledger.tables import orders, reservations, ticks
from durable_orders.trading.orders.order import Status

_R, _O = reservations.c, orders.c
_OWN = _R.order_id == sa.bindparam("own")
_PROVED = sa.case((_R.not_sent > sa.bindparam("proved"), _R.not_sent), else_=sa.bindparam("proved"))
_UNSENT = sa.exists().where(
    _O.order_id == sa.bindparam("own"), _O.status == Status.PENDING.value, _O.broker_order_id.is_(None)
)
_LAST_PRICE = (
    sa.select(ticks.c.last_price)
    .where(ticks.c.account == _R.account, ticks.c.symbol == _R.symbol)
    .correlate(reservations)
    .scalar_subquery()
)
_USE = prepared(
    sa.update(reservations)
    .where(_OWN, _R.released_at.is_(None), _R.attempt < sa.bindparam("number"), _R.attempt <= _PROVED, _UNSENT)
    .values(
        attempt=sa.bindparam("number"),
        not_sent=_PROVED,
        sent_at=sa.bindparam("at", type_=_R.sent_at.type),
        sent_price=_LAST_PRICE,
    )
)
_STANDS = prepared(
    sa.select(sa.exists().where(_OWN, _R.released_at.is_(None), _R.attempt == sa.bindparam("number"), _UNSENT))
)
_CLOSE = prepared(
    sa.update(reservations)
    .where(_OWN)
    .values(
        attempt=sa.case((_R.attempt > sa.bindparam("proved"), _R.attempt), else_=sa.bindparam("proved")),
        not_sent=_PROVED,
    )
)
_STATE = prepared(sa.select(_R.attempt, _R.not_sent).where(_OWN))
_KNOWN = prepared(sa.select(_O.status, _O.broker_order_id).where(_O.order_id == sa.bindparam("own")))


def use(connection: sa.Connection, order_id: str, number: int, proved: int, at: datetime | None = None) -> bool:
    """Use up that attempt, at that moment; `proved` is up to which number nothing was sent. `False` for an order
    without a reservation.

    Raises `AttemptUsed` where the order is at the broker already, or may be.
    """
    if connection.execute(_USE, {"own": order_id, "number": number, "proved": proved, "at": at}).rowcount:
        return True
    known = connection.execute(_KNOWN, {"own": order_id}).one_or_none()
    if known is None:
        raise AttemptUsed("the ledger does not know the order: it is older than the order's history")
    if known.broker_order_id is not None or known.status == Status.UNKNOWN:
        where = f" as {known.broker_order_id}" if known.broker_order_id else ""
        raise AttemptUsed(f"it is {known.status} in the ledger already{where}")
    used, not_sent = connection.execute(_STATE, {"own": order_id}).one_or_none() or (0, 0)
    if known.status == Status.PENDING and (used >= number or used > max(not_sent, proved)):
        raise AttemptUsed(f"attempt {used} to send it was made already, and attempt {number} was asked for")
    return False


def stands(connection: sa.Connection, order_id: str, number: int) -> bool:
    """Whether that attempt is still the one under way: nobody has given it up, and looks for it in the book."""
    return bool(connection.execute(_STANDS, {"own": order_id, "number": number}).scalar_one())


def close(connection: sa.Connection, order_id: str, proved: int) -> None:
    """Nothing came of any attempt up to that number, and none of them may be used any more."""
    if proved:
        connection.execute(_CLOSE, {"own": order_id, "proved": proved})
