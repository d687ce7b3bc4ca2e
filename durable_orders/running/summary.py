"""What a run has come to: its orders, its fills, and what it earned."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.running.view import View
from durable_orders.trading.ledger.last_ticks import last_tick
from durable_orders.trading.ledger.tables import CHARGED, fills, orders
from durable_orders.trading.orders.order import Frozen, Mode, Order, Product, Status


class Holding(Frozen):
    """What the strategy holds at the end. Rupees; `quantity` is signed."""

    symbol: str
    product: Product
    quantity: int
    average_price: Decimal | None
    last_price: Decimal | None
    unrealized_pnl: Decimal | None
    """`None` without a last price."""


class Summary(Frozen):
    """Money in rupees. Of this run alone, but for what the strategy held before."""

    strategy: str
    account: str
    mode: Mode
    ended: str
    """Why it has ended."""
    failure: str | None
    notes: tuple[str, ...]
    """What went otherwise than asked for."""
    left: tuple[str, ...] = ()
    """What could not be closed or cancelled at the end, where that was asked for."""
    ticks: int
    first_tick: AwareDatetime | None
    last_tick: AwareDatetime | None
    orders: dict[Status, int]
    """How many there are of each status."""
    fills: int
    units: int
    """Bought and sold, added up."""
    realized_pnl: Decimal
    """Earned by closing, before charges."""
    unrealized_pnl: Decimal | None
    charges: Decimal
    uncharged_fills: int
    """Fills whose charges nobody knows."""
    holdings: tuple[Holding, ...]
    open_orders: tuple[str, ...]
    """Client order ids of orders that go on."""


class Tally(Frozen):
    """The fills of some orders."""

    fills: int
    units: int
    charges: Decimal
    uncharged: int


def tally_of(connection: sa.Connection, account: str, strategy: str, since: datetime) -> Tally:
    """The strategy's fills from that moment on, on the wall's clock."""
    mine = (orders.c.account == account) & (orders.c.strategy == strategy) & (fills.c.at >= since)
    both = fills.join(orders, orders.c.order_id == fills.c.order_id)
    asked = sa.select(fills.c.quantity, *(fills.c[name] for name in CHARGED)).select_from(both).where(mine)
    rows = connection.execute(asked).all()
    charged = [sum(charges, Decimal(0)) for _, *charges in rows if None not in charges]
    return Tally(
        fills=len(rows),
        units=sum(quantity for quantity, *_ in rows),
        charges=sum(charged, Decimal(0)),
        uncharged=len(rows) - len(charged),
    )


def holdings_of(connection: sa.Connection, account: str, view: View) -> tuple[Holding, ...]:
    """What is held, by symbol."""
    found = []
    for (symbol, product), held in sorted(view.positions.items()):
        if held.quantity:
            tick = last_tick(connection, account, symbol)
            worth = held.unrealized_at(tick.last_price) if tick else None
            found.append(
                Holding(
                    symbol=symbol,
                    product=product,
                    quantity=held.quantity,
                    average_price=held.average_price,
                    last_price=tick.last_price if tick else None,
                    unrealized_pnl=worth,
                )
            )
    return tuple(found)


def realized(view: View) -> Decimal:
    return sum((held.realized_pnl for held in view.positions.values()), Decimal(0))


def unrealized(holdings: Sequence[Holding]) -> Decimal | None:
    """`None` if any of it is not known."""
    known = [held.unrealized_pnl for held in holdings if held.unrealized_pnl is not None]
    return sum(known, Decimal(0)) if len(known) == len(holdings) else None


def by_status(found: Sequence[Order]) -> dict[Status, int]:
    counts = Counter(order.status for order in found)
    return {status: counts[status] for status in Status if counts[status]}
