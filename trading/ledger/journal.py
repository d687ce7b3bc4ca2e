"""The journal: every fill, every order without one, and every entry that moved a position without an order, in the
order of their time.

One line a fill, at the time of the trade. An order that has no fill has one line, at its last change: how it ended,
or how it stands. So the filled quantities of the lines add up to what was traded, whatever part of them is chosen,
and no order is missing. `status` is that of the order as it stands: an order that was cancelled after a part of it
had filled has CANCELLED on the lines of its fills.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import reduce
from heapq import merge
from operator import add, attrgetter
from typing import Any

import sqlalchemy as sa

from durable_orders.trading.config.settings import RealizedBy
from durable_orders.trading.ledger.alerts import event_id
from durable_orders.trading.ledger.results import COLUMNS
from durable_orders.trading.ledger.tables import (
    CHARGED,
    FILLED_IN_PART,
    UNFILLED,
    Money,
    accounts,
    fills,
    orders,
    position_entries,
)
from durable_orders.trading.orders.order import Mode, OrderType, Product, Side, Status, Validity

BATCH = 1000
"""Rows that a server sends at a time: the journal of years is never in memory as a whole."""
STREAMED = {"stream_results": True, "max_row_buffer": BATCH}
"""It begins with few: a first page is there before a thousand rows are."""
FEW = 1000
"""Orders."""


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

    def of_orders(self) -> Iterator[sa.ColumnElement[bool]]:
        """What is chosen of the orders themselves, in the words of the database."""
        for column, wanted in ((orders.c.symbol, self.symbol), (orders.c.strategy, self.strategy)):
            if wanted is not None:
                yield column == wanted
        if self.statuses is not None:
            yield _is_one_of(orders.c.status, [status.value for status in self.statuses])


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

    def as_row(self) -> dict[str, Any]:
        """For pandas or polars: words as text, amounts as `Decimal`, times with their zone."""
        row: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            row[name] = "; ".join(value) if name == "reasons" else value.value if isinstance(value, Enum) else value
        return row


def journal_lines(connection: sa.Connection, chosen: Chosen) -> Iterator[JournalLine]:
    """The lines to which everything given applies, oldest first, read as far as they are taken: fills, orders without
    one, for each status that is chosen, and entries."""
    of_orders = merge(*(_lines(connection, asked) for asked in _orders(chosen)), key=attrgetter("at", "order_id"))
    return merge(
        _lines(connection, _fills(connection, chosen)), of_orders, _entries(connection, chosen), key=attrgetter("at")
    )


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
_UNFILLED: sa.ColumnElement[bool] = sa.literal_column(f"orders.{UNFILLED}")
_FILLED_IN_PART: sa.ColumnElement[bool] = sa.literal_column(
    " AND ".join(f"orders.{each}" for each in FILLED_IN_PART.split(" AND "))
)


def _columns(own: dict[str, Any]) -> list[sa.ColumnElement[Any]]:
    names = JournalLine.__dataclass_fields__
    return [(own[name] if name in own else orders.c[name]).label(name) for name in names]


def _fills(connection: sa.Connection, chosen: Chosen) -> sa.Select[Any]:
    """By the fills, which are there by their time; each order is then looked up by its id. Where few orders are meant
    it is the other way round, and their fills are sorted."""
    columns = _columns(OF_TRADE | {"realized_pnl": COLUMNS[chosen.realized_by]})
    asked = sa.select(*columns).join(orders, orders.c.order_id == fills.c.order_id)
    if are_few(connection, chosen, filled := _has_fills(chosen)):
        asked = asked.where(orders.c.account == chosen.account, *chosen.of_orders(), filled)
    else:
        asked = asked.where(fills.c.account == chosen.account)
        if chosen.symbol is not None:
            asked = asked.where(fills.c.symbol == chosen.symbol)
    return _narrowed(asked, chosen, fills.c.at).order_by(fills.c.at, fills.c.order_id, fills.c.number)


def _has_fills(chosen: Chosen) -> sa.ColumnElement[bool]:
    """Of an order. Hardly any has some and is not FILLED: there is an index of those."""
    if chosen.statuses is None or Status.FILLED in chosen.statuses:
        return orders.c.filled_quantity != 0
    return _FILLED_IN_PART


def are_few(connection: sa.Connection, chosen: Chosen, *more: sa.ColumnElement[bool]) -> bool:
    """Whether no more orders are meant than can be sorted sooner than as many are met by going through all in order."""
    if chosen.symbol is None and chosen.strategy is None and chosen.statuses is None:
        return False
    some = (
        sa.select(orders.c.order_id)
        .where(orders.c.account == chosen.account, *chosen.of_orders(), *more)
        .limit(FEW + 1)
        .subquery()
    )
    return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()) <= FEW


def _orders(chosen: Chosen) -> Iterator[sa.Select[Any]]:
    """For several statuses a query each, as each comes out of an index in the order of the lines."""
    asked = sa.select(*_columns(OF_NONE)).where(orders.c.account == chosen.account, _UNFILLED)
    if chosen.symbol is not None:
        asked = asked.where(orders.c.symbol == chosen.symbol)
    for own in [chosen] if chosen.statuses is None else [replace(chosen, statuses=[each]) for each in chosen.statuses]:
        yield _narrowed(asked, own, orders.c.updated_at).order_by(orders.c.updated_at, orders.c.order_id)


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
        asked = asked.where(_is_one_of(orders.c.status, [status.value for status in chosen.statuses]))
    return asked


def _is_one_of(column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


def _lines(connection: sa.Connection, asked: sa.Select[Any]) -> Iterator[JournalLine]:
    for row in connection.execute(asked, execution_options=STREAMED).mappings():
        content = dict(row)
        for name, kind in ENUMS.items():
            content[name] = kind(content[name])
        yield JournalLine(**content)
