"""What the ledger answers: orders, their events, positions, and a light view of them for the account's watch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import AwareDatetime

from durable_orders.trading.ledger.database import feed_of_all
from durable_orders.trading.ledger.positions import NET_ONLY, Position
from durable_orders.trading.ledger.rows import OPEN, chunks, order_of, position_of
from durable_orders.trading.ledger.tables import events, fills, orders, positions, strategy_positions
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Frozen, Mode, Order, OrderType, Product, Side, Status, Tag

DAY = timedelta(hours=24)

_BY_NUMBER = itemgetter("number", "trade_id")
_UNSETTLED = sa.select(orders.c.created_at, orders.c.order_id).where(
    orders.c.account == sa.bindparam("account"), orders.c.unsettled == sa.true()
)


class FeedEvent(Frozen):
    """One row of the feed. `feed_id` goes up in the order in which an account's readers see its rows."""

    feed_id: int
    account: str
    order_id: str
    sequence: int
    type: EventType
    status: Status | Literal[""]
    """The order's status after it; empty for an event of the whole account."""
    dry_run: bool = False
    """Whether its order is one that is never sent."""
    message: str
    at: AwareDatetime
    fills: int | None = None
    """How many of the order's trades were known with it; `None` if that was not recorded."""


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """What the account's watch compares with a row of the broker's book. No model: it reads thousands at once."""

    order_id: str
    tag: str
    broker_order_id: str | None
    status: Status
    quantity: int
    filled_quantity: int
    price: Decimal | None
    trigger_price: Decimal | None
    order_type: OrderType
    created_at: datetime
    sequence: int
    """That of the order's last recorded event."""


def find_order(connection: sa.Connection, order_id: str) -> Order | None:
    """The order as last recorded, with its fills."""
    return next(iter(_orders(connection, sa.select(orders).where(orders.c.order_id == order_id))), None)


def find_by_tag(connection: sa.Connection, account: str, tag: str) -> Order | None:
    """The account's order with that broker tag."""
    asked = sa.select(orders).where(orders.c.account == account, orders.c.tag == tag)
    return next(iter(_orders(connection, asked)), None)


def fingerprint_of(connection: sa.Connection, order_id: str) -> str | None:
    """The fingerprint of the intent that the guard received under this id; `None` if it received none."""
    return connection.execute(sa.select(orders.c.fingerprint).where(orders.c.order_id == order_id)).scalar()


def tag_recorded(connection: sa.Connection, order_id: str) -> Tag | None:
    """The tag with which the order was entered, whatever would be given to it today."""
    return connection.execute(sa.select(orders.c.tag).where(orders.c.order_id == order_id)).scalar()


def list_orders(
    connection: sa.Connection,
    account: str | None = None,
    *,
    statuses: Collection[Status] | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    open_only: bool = False,
    limit: int | None = None,
    newest_first: bool = True,
) -> list[Order]:
    """The orders to which everything given applies, by their creation. Two queries, however many they are."""
    asked = sa.select(orders)
    for column, wanted in ((orders.c.account, account), (orders.c.symbol, symbol), (orders.c.strategy, strategy)):
        if wanted is not None:
            asked = asked.where(column == wanted)
    chosen = _of_statuses(asked, _values(statuses, open_only))
    by = (chosen.selected_columns.created_at, chosen.selected_columns.order_id)
    ordered = chosen.order_by(*(column.desc() if newest_first else column for column in by)).limit(limit)
    return _orders(connection, ordered)


def _values(statuses: Collection[Status] | None, open_only: bool) -> list[str] | None:
    """The statuses that are wanted; `None` for whatever status."""
    if statuses is None:
        return list(OPEN) if open_only else None
    return sorted({status.value for status in statuses if not (open_only and status.terminal)})


def _of_statuses(asked: sa.Select[Any], values: Sequence[str] | None) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """For several statuses a query each: they are merged in their order as they come, where for an IN all of the
    account's orders would be walked through, or sorted.
    """
    if values is None:
        return asked
    each = [asked.where(orders.c.status == value) for value in values]
    return sa.union_all(*each) if len(each) > 1 else (each or [asked.where(sa.false())])[0]


def unsettled_orders(connection: sa.Connection, account: str) -> list[str]:
    """The ids of the orders whose placing is not settled, oldest first. They block new risk."""
    found = connection.execute(_UNSETTLED, {"account": account})
    # sorted here: for an ORDER BY, SQLite would walk through all of the account's orders
    return [order_id for _, order_id in sorted(tuple(row) for row in found)]


def events_of(connection: sa.Connection, order_id: str) -> list[FeedEvent]:
    """The order's events, by their sequence."""
    return _events(connection, sa.select(events).where(events.c.order_id == order_id).order_by(events.c.sequence))


def last_sequence(connection: sa.Connection, order_id: str) -> int:
    """That of the last event recorded under this id; -1 without one."""
    newest = sa.select(sa.func.max(events.c.sequence)).where(events.c.order_id == order_id)
    last: int | None = connection.execute(newest).scalar_one_or_none()
    return -1 if last is None else last


def events_after(
    connection: sa.Connection, feed_id: int, *, account: str | None = None, limit: int = 1000
) -> list[FeedEvent]:
    """The next events of the feed. Asking again after the last one seen shows every event once, in order. Those of all
    accounts are asked within `Database.read_feed`."""
    asked = sa.select(events).where(events.c.feed_id > feed_id)
    if account is not None:
        asked = asked.where(events.c.account == account)
    elif (settled := feed_of_all(connection)) is not None:
        asked = asked.where(events.c.feed_id <= settled)
    return _events(connection, asked.order_by(events.c.feed_id).limit(limit))


def positions_of(connection: sa.Connection, account: str | None = None) -> list[Position]:
    """Net positions, flat ones with their realized profit included, by account, symbol and product."""
    asked = sa.select(positions).order_by(*positions.primary_key)
    if account is not None:
        asked = asked.where(positions.c.account == account)
    return [position_of(row) for row in connection.execute(asked).mappings()]


def strategy_positions_of(
    connection: sa.Connection, account: str, strategy: str
) -> dict[tuple[str, Product], Position]:
    """What the strategy's own trades have come to, as if it were alone in the account, by symbol and product."""
    own = strategy_positions.c
    asked = sa.select(strategy_positions).where(own.account == account, own.strategy == strategy)
    rows = (dict(row) | NET_ONLY for row in connection.execute(asked).mappings())
    return {(held.symbol, held.product): held for held in map(position_of, rows)}


def strategy_holdings(connection: sa.Connection, account: str) -> list[tuple[str, Position]]:
    """The same of every strategy, by strategy, symbol and product."""
    own = strategy_positions.c
    asked = sa.select(strategy_positions).where(own.account == account).order_by(own.strategy, own.symbol, own.product)
    rows = connection.execute(asked).mappings()
    return [(row["strategy"], position_of(dict(row) | NET_ONLY)) for row in rows]


def own_quantities(connection: sa.Connection, account: str) -> dict[tuple[str, str], dict[str, int]]:
    """What each strategy's own trades have come to, signed, by symbol and product; flat ones are left out."""
    own = strategy_positions.c
    asked = sa.select(own.symbol, own.product, own.strategy, own.quantity).where(own.account == account)
    found: dict[tuple[str, str], dict[str, int]] = {}
    for symbol, product, strategy, quantity in connection.execute(asked.where(own.quantity != 0)):
        found.setdefault((symbol, product), {})[strategy] = quantity
    return {key: dict(sorted(of_key.items())) for key, of_key in found.items()}


def traded_in_other_mode(connection: sa.Connection, account: str, key: tuple[str, Product], mode: Mode) -> int:
    """Signed quantity of the trades in a symbol and product that were not of that mode."""
    symbol, product = key
    signed = sa.case((fills.c.side == Side.BUY.value, fills.c.quantity), else_=-fills.c.quantity)
    asked = (
        sa.select(sa.func.coalesce(sa.func.sum(signed), 0))
        .join(orders, orders.c.order_id == fills.c.order_id)
        .where(fills.c.account == account, fills.c.symbol == symbol, fills.c.product == product.value)
        .where(orders.c.mode != mode.value)
    )
    return int(connection.execute(asked).scalar_one())


def open_views(connection: sa.Connection, account: str, *, ended_since: datetime | None = None) -> list[OrderSnapshot]:
    """The account's open orders, and those that changed since then (24 hours ago if not given) and are over."""
    since = ended_since or datetime.now(UTC) - DAY
    own = orders.c.account == account
    return _views(connection, sa.or_(own & orders.c.status.in_(OPEN), own & (orders.c.updated_at >= since)))


def views_for(
    connection: sa.Connection, account: str, *, tags: Collection[str], broker_order_ids: Collection[str]
) -> list[OrderSnapshot]:
    """The account's orders with one of these tags or broker order ids, each once, open or not."""
    found: dict[str, OrderSnapshot] = {}
    for column, values in ((orders.c.tag, tags), (orders.c.broker_order_id, broker_order_ids)):
        for chunk in chunks(sorted(set(values))):
            chosen = (orders.c.account == account) & column.in_(chunk)
            found |= {view.order_id: view for view in _views(connection, chosen)}
    return list(found.values())


def trade_ids(connection: sa.Connection, order_id: str) -> set[str]:
    """Of the trades that are recorded under this id."""
    return set(connection.execute(sa.select(fills.c.trade_id).where(fills.c.order_id == order_id)).scalars())


def trades_of_symbols(
    connection: sa.Connection, account: str, symbols: Collection[str], since: datetime
) -> set[tuple[str, str]]:
    """Broker order id and trade id of what is booked in these symbols since then."""
    found: set[tuple[str, str]] = set()
    for chunk in chunks(sorted(symbols)):
        asked = sa.select(fills.c.broker_order_id, fills.c.trade_id).where(
            fills.c.account == account, fills.c.symbol.in_(chunk), fills.c.at >= since
        )
        found |= {(own_id, trade_id) for own_id, trade_id in connection.execute(asked)}
    return found


def _orders(connection: sa.Connection, asked: sa.Select[Any] | sa.CompoundSelect[Any]) -> list[Order]:
    rows = connection.execute(asked).mappings().all()
    if not rows:
        return []
    theirs = fills.c.order_id.in_(sa.select(asked.subquery().c.order_id))
    trades = connection.execute(sa.select(fills).where(theirs).order_by(fills.c.order_id)).mappings()
    of_order = {order_id: sorted(group, key=_BY_NUMBER) for order_id, group in groupby(trades, itemgetter("order_id"))}
    return [order_of(row, of_order.get(row["order_id"], [])) for row in rows]


def _events(connection: sa.Connection, asked: sa.Select[Any]) -> list[FeedEvent]:
    return [FeedEvent(**row) for row in connection.execute(asked).mappings()]


VIEWED = [orders.c[name] for name in OrderSnapshot.__dataclass_fields__]


def _views(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> list[OrderSnapshot]:
    views = []
    for row in connection.execute(sa.select(*VIEWED).where(chosen)):
        order_id, tag, own_id, status, quantity, filled, price, trigger, kind, *rest = row
        status, kind = Status(status), OrderType(kind)
        views.append(OrderSnapshot(order_id, tag, own_id, status, quantity, filled, price, trigger, kind, *rest))
    return views
