"""Orders as far as their execution is measured, read from the ledger a few hundred at a time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.ledger.rows import CHUNK
from durable_orders.trading.ledger.tables import CHARGED, events, fills, orders, reservations
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import OrderType, Side, Status
from durable_orders.trading.quality.measures import Execution, Moments, Prices, Traded

OF_ORDER = (
    *("order_id", "client_order_id", "strategy", "symbol", "side", "order_type", "quantity", "status"),
    "created_at",
)
OF_CHECK = (
    *("reserved_at", "arrival_price", "arrival_bid", "arrival_ask", "arrival_received_at"),
    *("sent_price", "sent_at"),
)
FILLED = (EventType.ORDER_PARTIALLY_FILLED.value, EventType.ORDER_FILLED.value)
ANSWERED = (EventType.ORDER_PLACED.value, *FILLED)
"""The first of these is recorded when the broker is known to have the order."""
NOT_YET: tuple[datetime | None, datetime | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Executed:
    """An order with what its execution is measured by, and grouped by."""

    order_id: str
    client_order_id: str
    strategy: str
    symbol: str
    order_type: OrderType
    status: Status
    execution: Execution

    @property
    def turnover(self) -> Decimal:
        """Rupees."""
        traded = sum((fill.quantity * fill.price for fill in self.execution.fills), Decimal(0))
        return traded * self.execution.multiplier


APPROVED = sa.select(*(orders.c[name] for name in OF_ORDER), *(reservations.c[name] for name in OF_CHECK)).join(
    reservations, reservations.c.order_id == orders.c.order_id
)
"""Orders with what was noted when they were approved."""


def execution_of(connection: sa.Connection, order_id: str) -> Executed | None:
    """One order's; `None` if it was never approved, so that there was none."""
    rows = connection.execute(APPROVED.where(orders.c.order_id == order_id)).all()
    return next(_of_rows(connection, rows), None)


def executions(
    connection: sa.Connection, account: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[Executed]:
    """The account's orders that were created within these moments, oldest first. Refused ones had no execution: only
    those that were approved."""
    asked = APPROVED.where(orders.c.account == account).order_by(orders.c.created_at, orders.c.order_id)
    if since is not None:
        asked = asked.where(orders.c.created_at >= since)
    if until is not None:
        asked = asked.where(orders.c.created_at < until)
    for rows in connection.execute(asked, execution_options={"yield_per": CHUNK}).partitions():
        yield from _of_rows(connection, rows)


def _of_rows(connection: sa.Connection, rows: Sequence[Any]) -> Iterator[Executed]:
    ids = [row.order_id for row in rows]
    traded, charges = _fills(connection, ids)
    answered = _answered(connection, ids)
    for row in rows:
        status = Status(row.status)
        yield Executed(
            row.order_id,
            row.client_order_id,
            row.strategy,
            row.symbol,
            OrderType(row.order_type),
            status,
            Execution(
                side=Side(row.side),
                quantity=row.quantity,
                fills=traded.get(row.order_id, ()),
                moments=Moments(
                    row.created_at,
                    row.reserved_at,
                    row.sent_at,
                    *answered.get(row.order_id, NOT_YET),
                    row.arrival_received_at,
                ),
                prices=Prices(
                    arrival=row.arrival_price, bid=row.arrival_bid, ask=row.arrival_ask, first_byte=row.sent_price
                ),
                charges=charges.get(row.order_id),
                is_over=status.terminal,
                multiplier=multiplier_of(row.symbol),
            ),
        )


def _fills(connection: sa.Connection, ids: Sequence[str]) -> tuple[dict[str, list[Traded]], dict[str, Decimal | None]]:
    columns = (fills.c[name] for name in ("order_id", "quantity", "price", "at", *CHARGED))
    asked = sa.select(*columns).where(fills.c.order_id.in_(ids)).order_by(fills.c.order_id, fills.c.number)
    traded: dict[str, list[Traded]] = defaultdict(list)
    charges: dict[str, Decimal | None] = {}
    for order_id, quantity, price, at, *charged in connection.execute(asked):
        traded[order_id].append(Traded(quantity, price, at))
        so_far = charges.get(order_id, Decimal(0))
        charges[order_id] = None if so_far is None or None in charged else sum(charged, so_far)
    return traded, charges


def _answered(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[datetime | None, datetime | None]]:
    """When the broker was known to have each order, and when the last trade of it was known."""
    told, moment = events.c, events.c.at.type
    of_fill = sa.case((told.type.in_(FILLED), told.at))
    asked = (
        sa.select(
            told.order_id,
            sa.func.min(told.at, type_=moment).label("first"),
            sa.func.max(of_fill, type_=moment).label("last"),
        )
        .where(told.order_id.in_(ids), told.type.in_(ANSWERED))
        .group_by(told.order_id)
    )
    return {row.order_id: (row.first, row.last) for row in connection.execute(asked)}
