"""Whether the exchange's book and the ledger say the same of every order, to the share and the paisa."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from trading.brokers.book import BookState
from trading.ledger.reading import list_orders, positions_of
from trading.ledger.tables import exchange_orders, exchange_trades
from trading.order import Order, Status

SAME = {
    BookState.WORKING: (Status.PLACED, Status.PARTIAL),
    BookState.COMPLETE: (Status.FILLED,),
    BookState.CANCELLED: (Status.CANCELLED,),
    BookState.EXPIRED: (Status.EXPIRED,),
    BookState.REJECTED: (Status.REJECTED,),
}

Row = Mapping[Any, Any]


def disagreements(connection: sa.Connection, account: str) -> list[str]:
    """Every difference, in words; none is the proof."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in connection.execute(sa.select(exchange_orders).where(exchange_orders.c.account == account)).mappings():
        rows[row["tag"]].append(row)
    trades = _trades(connection, account)
    orders = list_orders(connection, account)
    found = [words for order in orders for words in _about(order, rows.pop(order.tag, []), trades)]
    found += [f"the exchange has {len(left)} orders with the unknown tag {tag}" for tag, left in rows.items()]
    return found + _positions(connection, account)


def _trades(connection: sa.Connection, account: str) -> dict[str, list[tuple[str, int, Decimal]]]:
    """(trade id, quantity, price) of each broker order."""
    trades: dict[str, list[tuple[str, int, Decimal]]] = defaultdict(list)
    chosen = sa.select(exchange_trades).where(exchange_trades.c.account == account)
    for row in connection.execute(chosen).mappings():
        trades[row["broker_order_id"]].append((row["trade_id"], row["quantity"], row["price"]))
    return trades


def _about(order: Order, rows: Sequence[Row], trades: Mapping[str, list[tuple[str, int, Decimal]]]) -> list[str]:
    name = order.client_order_id
    if not rows:
        never_there = order.status in (Status.REJECTED, Status.CANCELLED) and order.broker_order_id is None
        return [] if never_there else [f"{name}: {order.status} in the ledger, not at the exchange"]
    if len(rows) > 1:
        return [f"{name}: {len(rows)} orders at the exchange"]
    row, found = rows[0], []
    if order.status not in SAME[BookState(row["state"])]:
        found.append(f"{name}: {order.status} in the ledger, {row['status']} at the exchange")
    if order.filled_quantity != row["filled_quantity"]:
        found.append(f"{name}: {order.filled_quantity} filled in the ledger, {row['filled_quantity']} at the exchange")
    ours = [(fill.trade_id, fill.quantity, fill.price) for fill in order.fills]
    if sorted(ours) != sorted(trades.get(row["broker_order_id"], [])):
        found.append(f"{name}: its fills are not the exchange's trades")
    return found


def _positions(connection: sa.Connection, account: str) -> list[str]:
    """Net quantity and cash of each symbol and product, summed independently from the exchange's trades."""
    sums: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    chosen = sa.select(exchange_trades).where(exchange_trades.c.account == account)
    for row in connection.execute(chosen).mappings():
        sign = 1 if row["side"] == "BUY" else -1
        sums[row["symbol"], row["product"]][0] += sign * row["quantity"]
        sums[row["symbol"], row["product"]][1] += sign * row["quantity"] * row["price"]
    found = []
    for position in positions_of(connection, account):
        quantity, paid = sums.pop((position.symbol, position.product.value), [Decimal(0), Decimal(0)])
        if position.quantity != quantity or position.open_value - position.realized_pnl != paid:
            found.append(f"{position.symbol}: the ledger's position is not what the exchange's trades add up to")
    return found + [f"{symbol}: traded at the exchange, but no position in the ledger" for symbol, _ in sums]
