"""What the ledger says, against an order's history, against the broker's book, and against its own fills.

Every difference is a sentence; none is the proof. `late` marks an order that the account's watch has added to after
its end, such as a late fill: its history ended before, and of its end only what was filled counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from durable_orders.trading.charges.contracts import multiplier_of
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.broker_positions import BrokerReading
from durable_orders.trading.ledger.positions import Position, signed
from durable_orders.trading.orders.book import BookState, BrokerOrder, BrokerPosition, OrderReport
from durable_orders.trading.orders.lifecycle import ENDS, Reported, next_status, step
from durable_orders.trading.orders.narration import sentence
from durable_orders.trading.orders.order import Fill, Order, Status, TradeId
from durable_orders.trading.orders.slices import as_asked
from durable_orders.trading.reconciliation.positions import differences

SAME = {BookState.WORKING: (Status.PLACED, Status.PARTIAL)} | {
    state: (next_status(Status.PLACED, end),) for state, end in ENDS.items()
}
"""How an order stands whose row is in that state."""
BY_THE_CLOCK = (BookState.EXPIRED, Status.CANCELLED)
"""A row and an order of which both may be right: the broker took a cancel, and stamped it after the session."""
TOLD_APART = frozenset({"fills", "broker_order_id", "updated_at"})
"""Compared in a way of their own; the last is later in the history if a step was done again after a crash."""
COMPARED = tuple(name for name in Order.model_fields if name not in TOLD_APART)

Key = tuple[str, str]
"""Symbol and product."""
SAME_MONEY = Decimal("0.05")
"""Rupees: the broker's figures are rounded."""


class Kind(StrEnum):
    """Of what two accounts of one order differ."""

    ORDER = "order"
    TRADE = "trade"


class Mismatch(NamedTuple):
    """One thing of an order of which the ledger and the broker's book say different things."""

    kind: Kind
    ours: str | None
    """What the ledger says, in short; `None` where it says nothing of it."""
    theirs: str | None
    words: str


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
    fills = _fills(order.fills, standing.fills, "its history", extra_allowed=late)
    return found + [mismatch.words for mismatch in fills]


def against_book(
    order: Order, row: BrokerOrder | None, trades: Sequence[Fill], now: datetime, *, late: bool = False
) -> list[Mismatch]:
    """The ledger's order against its row of the book and that row's trades."""
    if row is None:
        words = f"{order.status} in the ledger, not in the broker's book"
        return [Mismatch(Kind.ORDER, str(order.status), None, words)] if _is_expected(order, now) else []
    row = as_asked(order, row) if order.is_autosliced else row
    found = []
    is_named_by_clock = order.cancel_requested and (row.state, order.status) == BY_THE_CLOCK
    is_late = late and row.state is not BookState.WORKING
    if order.status not in SAME[row.state] and not is_late and not is_named_by_clock:
        words = f"{order.status} in the ledger, {row.status} at the broker"
        found.append(Mismatch(Kind.ORDER, str(order.status), row.status, words))
    if order.filled_quantity != row.filled_quantity:
        ours, theirs = f"{order.filled_quantity} filled", f"{row.filled_quantity} filled"
        found.append(Mismatch(Kind.ORDER, ours, theirs, f"{ours} in the ledger, {row.filled_quantity} at the broker"))
    found += _fills(order.fills, trades, "the broker's trades")
    after = step(order, Reported(OrderReport(row, tuple(trades))), now)
    if not found and after is not order:
        said = sentence(order, after)
        found.append(Mismatch(Kind.ORDER, str(order.status), said, f"the broker's book says more: {said}"))
    return found


def _is_expected(order: Order, now: datetime) -> bool:
    """A book is of one day. What is open must be in it, whatever the day: nobody else closes it."""
    is_of_today = order.created_at.astimezone(IST).date() == now.astimezone(IST).date()
    return order.broker_order_id is not None and (is_of_today or not order.status.terminal)


def _fills(ours: Iterable[Fill], theirs: Iterable[Fill], whose: str, *, extra_allowed: bool = False) -> list[Mismatch]:
    """Trade by trade, in the order of their ids. Of several with one id, that which is as ours stands against it, or
    else the first; each other one is a mismatch of its own."""
    mine, others = {fill.trade_id: fill for fill in ours}, defaultdict[TradeId, list[Fill]](list)
    for fill in theirs:
        others[fill.trade_id].append(fill)
    found = []
    for trade in sorted(mine.keys() | others.keys()):
        own, told = mine.get(trade), others.get(trade, [])
        first = next((each for each in told if _traded(each) == _traded(own)), told[0] if told else None)
        if _traded(own) != _traded(first) and not (extra_allowed and first is None):
            found.append(_of_trade(trade, own, first, whose))
        if first is not None:
            told.remove(first)
        found += [_a_second_time(each, whose) for each in told]
    return found


def _a_second_time(fill: Fill, whose: str) -> Mismatch:
    told = f"trade {fill.trade_id}: {fill.quantity} at {fill.price}"
    return Mismatch(Kind.TRADE, None, told, f"{told} is in {whose} beside another with that id")


def _traded(fill: Fill | None) -> tuple[int, Decimal] | None:
    return None if fill is None else (fill.quantity, fill.price)


def _of_trade(trade: str, ours: Fill | None, theirs: Fill | None, whose: str) -> Mismatch:
    here, there = (None if fill is None else f"{fill.quantity} at {fill.price}" for fill in (ours, theirs))
    if here is None:
        words = f"trade {trade} is in {whose}, and not in the ledger"
    elif there is None:
        words = f"trade {trade} is in the ledger, and not in {whose}"
    else:
        words = f"trade {trade} is {here} and {there} in the ledger and in {whose}"
    return Mismatch(Kind.TRADE, here and f"trade {trade}: {here}", there and f"trade {trade}: {there}", words)


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


def against_positions(
    positions: Iterable[Position], moved: Mapping[Key, int], reading: BrokerReading, *, is_of_one_day: bool
) -> dict[Key, str]:
    """The ledger's quantities against the broker's net positions and holdings; `moved` are the day's delivery
    trades."""
    return {
        (each.symbol, each.product): f"{each.ours} held in the ledger, {each.theirs} at the broker"
        for each in differences(signed(positions), moved, reading, is_of_one_day=is_of_one_day)
    }


def against_day(traded: Mapping[Key, tuple[int, Decimal]], theirs: Iterable[BrokerPosition]) -> dict[Key, str]:
    """What each position earned today, before charges, against the broker's own figure, at the broker's own prices.
    `traded` are signed quantity and rupees paid of the day. What was carried over without a close cannot be told."""
    found = {}
    for each in theirs:
        key, day = (each.symbol, str(each.product)), each.day
        if day is None or (day.overnight and not day.close):
            continue
        quantity, paid = traded.get(key, (0, Decimal(0)))
        size = multiplier_of(each.symbol)
        worth = ((day.overnight + quantity) * day.last - day.overnight * day.close) * size
        if abs(worth - paid - day.profit) > SAME_MONEY:
            found[key] = f"it earned {worth - paid:.2f} rupees today by the ledger, {day.profit:.2f} by the broker"
    return found


def _of(sums: tuple[int, Decimal]) -> str:
    return f"{sums[0]} for {sums[1]} rupees"


def _shown(value: object) -> str:
    return "; ".join(str(each) for each in value) or "nothing" if isinstance(value, tuple) else str(value)
