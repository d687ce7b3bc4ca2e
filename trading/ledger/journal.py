"""The journal: every fill, every order without one, and every entry that moved a position without an order, in the
order of their time.

One line a fill, at the time of the trade. An order that has no fill has one line, at its last change: how it ended,
or how it stands. So the filled quantities of the lines add up to what was traded, whatever part of them is chosen,
and no order is missing. `status` is that of the order as it stands: an order that was cancelled after a part of it
had filled has CANCELLED on the lines of its fills.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from heapq import merge
from operator import add, attrgetter
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.alerts import event_id
from durable_orders.trading.ledger.results import COLUMNS
from durable_orders.trading.ledger.tables import CHARGED, Money, accounts, fills, orders, position_entries
from durable_orders.trading.orders.order import Mode, OrderType, Product, Side, Status, Validity

BATCH = 1000
"""Rows that are fetched at a time: the journal of years is never in memory as a whole."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which part of one account's journal. What is `None` is not looked at."""

    account: str
    since: datetime | None = None
    """Lines of this moment and later ones."""
    until: datetime | None = None
    """Lines before this moment."""
    symbol: str | None = None
    strategy: str | None = None
    statuses: Collection[Status] | None = None
    realized_by: RealizedBy = RealizedBy.AVERAGE
    """Which realized profit the lines show."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A fill with its order; or an order without fills, where what belongs to a fill is `None`."""

    at: datetime
    account: str
    order_id: str
    client_order_id: str
    broker_order_id: str | None
    trade_id: str | None
    mode: Mode
    strategy: str
    symbol: str
    side: Side
    product: Product
    order_type: OrderType | None
    """`None` of an entry, as `validity`: it is no order. Its `reason` is its kind, its last one the evidence."""
    validity: Validity | None
    quantity: int
    """The order's, in shares."""
    price: Decimal | None
    """Rupees: the order's limit."""
    trigger_price: Decimal | None
    filled_quantity: int
    """Shares of this fill; 0 without one."""
    fill_price: Decimal | None
    """Rupees a share of this fill."""
    realized_pnl: Decimal | None
    """Rupees that this fill earned by closing a part of the account's position, before charges."""
    charges: Decimal | None
    """Rupees that this fill added to the charges of its order; `None` also where they are not known."""
    status: Status
    tag: str
    reason: str
    """Why it was wanted, in the strategy's words."""
    reasons: tuple[str, ...]
    """Why it stands as it does."""


def journal_lines(connection: sa.Connection, chosen: Chosen) -> Iterator[JournalLine]:
    """The lines to which everything given applies, oldest first. Three queries, read as far as the lines are taken."""
    of_fills, of_orders = (_lines(connection, asked) for asked in (_fills(chosen), _orders(chosen)))
    return merge(of_fills, of_orders, _entries(connection, chosen), key=attrgetter("at"))


ENUMS = {
    "mode": Mode,
    "side": Side,
    "product": Product,
    "order_type": OrderType,
    "validity": Validity,
    "status": Status,
    "reasons": tuple,
}
OF_TRADE = {
    "at": fills.c.at,
    "broker_order_id": fills.c.broker_order_id,
    "trade_id": fills.c.trade_id,
    "filled_quantity": fills.c.quantity,
    "fill_price": fills.c.price,
    "charges": sa.type_coerce(reduce(add, (fills.c[name] for name in CHARGED)), Money),
}
OF_NONE = {"at": orders.c.updated_at} | dict.fromkeys(("trade_id", "fill_price", "realized_pnl", "charges"), sa.null())


def _columns(own: dict[str, Any]) -> list[sa.ColumnElement[Any]]:
    names = JournalLine.__dataclass_fields__
    return [(own[name] if name in own else orders.c[name]).label(name) for name in names]


def _fills(chosen: Chosen) -> sa.Select[Any]:
    """By the fills, which are there by their time; each order is then looked up by its id. Where hardly any fill can be
    meant, it is the other way round, and the few that are found are sorted."""
    columns = _columns(OF_TRADE | {"realized_pnl": COLUMNS[chosen.realized_by]})
    asked = sa.select(*columns).join(orders, orders.c.order_id == fills.c.order_id)
    by = fills.c
    if chosen.since is None and chosen.statuses is not None and Status.FILLED not in chosen.statuses:
        by = orders.c
        asked = asked.where(orders.c.filled_quantity + 0 > 0)  # not by the index of that, which has nearly all of them
    asked = asked.where(by.account == chosen.account)
    if chosen.symbol is not None:
        asked = asked.where(by.symbol == chosen.symbol)
    return _narrowed(asked, chosen, fills.c.at).order_by(fills.c.at, fills.c.order_id, fills.c.number)


def _orders(chosen: Chosen) -> sa.Select[Any]:
    asked = sa.select(*_columns(OF_NONE)).where(orders.c.account == chosen.account, orders.c.filled_quantity == 0)
    if chosen.symbol is not None:
        asked = asked.where(orders.c.symbol == chosen.symbol)
    return _narrowed(asked, chosen, orders.c.updated_at).order_by(orders.c.updated_at, orders.c.order_id)


def _entries(connection: sa.Connection, chosen: Chosen) -> Iterator[JournalLine]:
    """Entries are few. Each leg is a line like a trade's; its mode is that of the account."""
    own = position_entries.c
    mode = sa.select(accounts.c.mode).where(accounts.c.account == chosen.account).scalar_subquery()
    asked = sa.select(position_entries, mode.label("mode")).where(own.account == chosen.account)
    for column, wanted in ((own.symbol, chosen.symbol), (own.strategy, chosen.strategy)):
        if wanted is not None:
            asked = asked.where(column == wanted)
    if chosen.since is not None:
        asked = asked.where(own.at >= chosen.since)
    if chosen.until is not None:
        asked = asked.where(own.at < chosen.until)
    if chosen.statuses is not None and Status.FILLED not in chosen.statuses:
        return
    earned = COLUMNS[chosen.realized_by].name
    for row in connection.execute(asked.order_by(own.at, own.sequence, own.leg)).mappings():
        yield JournalLine(
            at=row["at"],
            account=row["account"],
            order_id=event_id(row["account"]),
            client_order_id=f"entry-{row['sequence']}",
            broker_order_id=None,
            trade_id=f"{row['sequence']}-{row['leg']}",
            mode=Mode(row["mode"] or Mode.LIVE),
            strategy=row["strategy"] or "",
            symbol=row["symbol"],
            side=Side.BUY if row["quantity"] > 0 else Side.SELL,
            product=Product(row["product"]),
            order_type=None,
            validity=None,
            quantity=abs(row["quantity"]),
            price=None,
            trigger_price=None,
            filled_quantity=abs(row["quantity"]),
            fill_price=row["price"],
            realized_pnl=row[earned],
            charges=None,
            status=Status.FILLED,
            tag="",
            reason=row["kind"],
            reasons=(row["evidence"], row["who"]),
        )


def _narrowed(asked: sa.Select[Any], chosen: Chosen, moment: sa.ColumnElement[datetime]) -> sa.Select[Any]:
    if chosen.since is not None:
        asked = asked.where(moment >= chosen.since)
    if chosen.until is not None:
        asked = asked.where(moment < chosen.until)
    if chosen.strategy is not None:
        asked = asked.where(orders.c.strategy == chosen.strategy)
    if chosen.statuses is not None:
        asked = asked.where(orders.c.status.in_([status.value for status in chosen.statuses]))
    return asked


def _lines(connection: sa.Connection, asked: sa.Select[Any]) -> Iterator[JournalLine]:
    for row in connection.execute(asked, execution_options={"yield_per": BATCH}).mappings():
        content = dict(row)
        for name, kind in ENUMS.items():
            content[name] = kind(content[name])
        yield JournalLine(**content)
