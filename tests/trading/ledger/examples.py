"""Orders and their histories, made by the lifecycle itself, and ways to look at a whole ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, count
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.recording import receive, record
from durable_orders.trading.ledger.tables import metadata
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.events import EVENT_OF, Entry
from durable_orders.trading.orders.lifecycle import Receipt, Reported, step
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, OrderIntent, OrderType, Side, TradeId

START = datetime(2026, 1, 5, 3, 45, tzinfo=UTC)
SECOND = timedelta(seconds=1)
Trade = tuple[int, Decimal]
"""Quantity, and rupees a share."""


@dataclass(frozen=True)
class Recording:
    """What one call of `record` is given."""

    order: Order
    entries: tuple[Entry, ...]


def new_order(client_order_id: str = "a", at: datetime = START, **terms: Any) -> Order:
    content = {"symbol": "NSE:INFY", "side": Side.BUY, "quantity": 100, "account": "paper", "tags": {"run": 7}} | terms
    return Order.from_intent(OrderIntent(client_order_id=client_order_id, **content), at)


def limit_order(client_order_id: str = "a", **terms: Any) -> Order:
    return new_order(client_order_id, order_type=OrderType.LIMIT, price=Decimal("1500.05"), **terms)


def history(order: Order, trades: Sequence[Trade], end: BookState = BookState.WORKING) -> list[Recording]:
    """The order placed, then filled trade by trade, then at its end. One recording a change."""
    order_id = BrokerOrderId(f"B-{order.client_order_id}")
    moments = (order.created_at + SECOND * number for number in count(1))
    orders = [step(order, Receipt(order_id), next(moments))]
    fills = tuple(
        Fill(trade_id=TradeId(f"T{1000 - number}"), broker_order_id=order_id, quantity=quantity, price=price, at=START)
        for number, (quantity, price) in enumerate(trades, 1)
    )
    states = [BookState.WORKING] * len(trades) + ([] if end is BookState.WORKING else [end])
    for number, state in enumerate(states, 1):
        seen = fills[:number]
        report = OrderReport(row_of(order, order_id, seen, state), seen)
        orders.append(step(orders[-1], Reported(report), next(moments)))
    return [Recording(after, (_entry(number, after),)) for number, after in enumerate(orders, 1)]


OF_ROW = BrokerOrderId("B-row")


def row_of(
    order: Order,
    order_id: BrokerOrderId = OF_ROW,
    seen: Sequence[Fill] = (),
    state: BookState = BookState.WORKING,
) -> BrokerOrder:
    """The order's row in the broker's book."""
    filled = sum(fill.quantity for fill in seen)
    return BrokerOrder(
        broker_order_id=order_id,
        tag=order.tag,
        symbol=order.symbol,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        validity=order.validity,
        quantity=filled if state is BookState.COMPLETE else order.quantity,
        filled_quantity=filled,
        price=order.price,
        trigger_price=order.trigger_price,
        status=state.value,
        state=state,
        message=None,
        placed_at=START,
        updated_at=START,
    )


def _entry(sequence: int, order: Order) -> Entry:
    words = f"{order.status}, {order.filled_quantity} filled"
    return Entry(
        sequence=sequence, type=EVENT_OF[order.status], at=order.updated_at, message=words, status=order.status
    )


def enter(database: Database, order: Order, run_id: str = "run-1") -> Order | None:
    with database.write() as connection:
        return receive(connection, order, run_id, f"fingerprint of {order.summary()}")


def record_all(database: Database, recordings: Sequence[Recording]) -> Order:
    """Records them in turn; returns the order as last recorded."""
    for recording in recordings:
        record(database, recording.order, recording.entries)
    return recordings[-1].order


def rows(database: Database, table: str) -> list[dict[str, Any]]:
    chosen = metadata.tables[table]
    with database.read() as connection:
        found = connection.execute(sa.select(chosen).order_by(*chosen.primary_key)).mappings()
        return [dict(row) for row in found]


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {name: rows(database, name) for name in metadata.tables}


prices = st.decimals(min_value="0.05", max_value="99999.9999", places=4)
trades = st.lists(st.tuples(st.integers(min_value=1, max_value=40), prices), max_size=5)
ends = st.sampled_from([BookState.WORKING, BookState.CANCELLED, BookState.COMPLETE])


@st.composite
def histories(draw: st.DrawFn) -> list[Recording]:
    """Of an order called `a`; its fills never exceed its quantity."""
    given_trades = draw(trades)
    end = draw(ends) if given_trades else draw(st.sampled_from([BookState.WORKING, BookState.CANCELLED]))
    total = [*accumulate(quantity for quantity, _ in given_trades)][-1:] or [1]
    order = new_order(quantity=total[0] + draw(st.integers(min_value=0, max_value=3)), side=draw(st.sampled_from(Side)))
    return history(order, given_trades, end)
