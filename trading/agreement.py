"""What the ledger says, against an order's history, against the broker's book, and against its own fills.

Every difference is a sentence; none is the proof. `late` marks an order that the account's watch has added to after
its end, such as a late fill: its history ended before, and of its end only what was filled counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from trading.brokers.book import BookReport, BookState, BrokerOrder, BrokerPosition
from trading.ledger.positions import Position
from trading.lifecycle import Reported, step
from trading.market.calendar import IST
from trading.narration import sentence
from trading.order import Fill, Order, Status
from trading.slices import as_asked

SAME = {
    BookState.WORKING: (Status.PLACED, Status.PARTIAL),
    BookState.COMPLETE: (Status.FILLED,),
    BookState.CANCELLED: (Status.CANCELLED,),
    BookState.EXPIRED: (Status.EXPIRED,),
    BookState.REJECTED: (Status.REJECTED,),
}
"""How an order stands whose row is in that state."""
TOLD_APART = frozenset({"fills", "broker_order_id", "updated_at"})
"""Compared in a way of their own; the last is later in the history if a step was done again after a crash."""
COMPARED = tuple(name for name in Order.model_fields if name not in TOLD_APART)

Key = tuple[str, str]
"""Symbol and product."""


def against_history(order: Order, standing: Order, *, late: bool = False) -> list[str]:
    """The ledger's order against where it stands by its history."""
    found = [
        f"{name} is {_shown(getattr(order, name))} in the ledger, {_shown(getattr(standing, name))} in the history"
        for name in COMPARED
        if getattr(order, name) != getattr(standing, name)
    ]
    if order.broker_order_id != standing.broker_order_id and not (late and standing.broker_order_id is None):
        found.append(
            f"its broker order is {order.broker_order_id} in the ledger, {standing.broker_order_id} in the history"
        )
    return found + _fills(order.fills, standing.fills, "its history", extra_allowed=late)


def against_book(
    order: Order, row: BrokerOrder | None, trades: Sequence[Fill], now: datetime, *, late: bool = False
) -> list[str]:
    """The ledger's order against its row of the book and that row's trades."""
    if row is None:
        return [f"{order.status} in the ledger, not in the broker's book"] if _is_expected(order, now) else []
    row = as_asked(order, row) if order.is_autosliced else row
    found = []
    if order.status not in SAME[row.state] and not (late and row.state is not BookState.WORKING):
        found.append(f"{order.status} in the ledger, {row.status} at the broker")
    if order.filled_quantity != row.filled_quantity:
        found.append(f"{order.filled_quantity} filled in the ledger, {row.filled_quantity} at the broker")
    found += _fills(order.fills, trades, "the broker's trades")
    after = step(order, Reported(BookReport(row, tuple(trades))), now)
    if not found and after is not order:
        found.append(f"the broker's book says more: {sentence(order, after)}")
    return found


def _is_expected(order: Order, now: datetime) -> bool:
    """A book is of one day. What is open must be in it, whatever the day: nobody else closes it."""
    is_of_today = order.created_at.astimezone(IST).date() == now.astimezone(IST).date()
    return order.broker_order_id is not None and (is_of_today or not order.status.terminal)


def _fills(ours: Iterable[Fill], theirs: Iterable[Fill], whose: str, *, extra_allowed: bool = False) -> list[str]:
    mine, others = ({fill.trade_id: fill for fill in fills} for fills in (ours, theirs))
    found = [f"trade {trade} is in {whose}, and not in the ledger" for trade in others.keys() - mine.keys()]
    if not extra_allowed:
        found += [f"trade {trade} is in the ledger, and not in {whose}" for trade in mine.keys() - others.keys()]
    for trade in mine.keys() & others.keys():
        here, there = ((fill.quantity, fill.price) for fill in (mine[trade], others[trade]))
        if here != there:
            said = " and ".join(f"{quantity} at {price}" for quantity, price in (here, there))
            found.append(f"trade {trade} is {said} in the ledger and in {whose}")
    return sorted(found)


def against_own_fills(positions: Iterable[Position], sums: Mapping[Key, tuple[int, Decimal]]) -> dict[Key, str]:
    """The ledger's positions against what its own fills add up to: signed quantity, and rupees paid for it."""
    held = {
        (each.symbol, each.product.value): (each.quantity, each.open_value - each.realized_pnl) for each in positions
    }
    nothing = (0, Decimal(0))
    return {
        key: f"the position is {_of(held.get(key, nothing))}, its fills add up to {_of(sums.get(key, nothing))}"
        for key in sorted(held.keys() | sums.keys())
        if held.get(key, nothing) != sums.get(key, nothing)
    }


def against_positions(positions: Iterable[Position], theirs: Iterable[BrokerPosition]) -> dict[Key, str]:
    """The ledger's net quantities against the broker's."""
    ours, other = (
        {(each.symbol, each.product.value): each.quantity for each in held if each.quantity}
        for held in (positions, theirs)
    )
    return {
        key: f"{ours.get(key, 0)} held in the ledger, {other.get(key, 0)} at the broker"
        for key in sorted(ours.keys() | other.keys())
        if ours.get(key, 0) != other.get(key, 0)
    }


def _of(sums: tuple[int, Decimal]) -> str:
    return f"{sums[0]} for {sums[1]} rupees"


def _shown(value: object) -> str:
    return "; ".join(str(each) for each in value) or "nothing" if isinstance(value, tuple) else str(value)
