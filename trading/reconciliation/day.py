"""A day of the ledger against the broker's own accounts of it. Pure.

Orders and trades are compared as `verify` compares them (`compare.py`), positions and holdings as the account's watch
does (`positions.py`), what they cost by `charges.py`. Whatever differs is one line, with its cause where it can be told
from the other lines, and else open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from durable_orders.trading.charges.fees import Charges
from durable_orders.trading.orders.book import BilledOrder, BrokerOrder
from durable_orders.trading.orders.order import BrokerOrderId, Fill, Frozen, Order, Product, Status
from durable_orders.trading.reconciliation import charges, compare
from durable_orders.trading.reconciliation.positions import PositionDifference


class Kind(StrEnum):
    ORDER = "order"
    TRADE = "trade"
    POSITION = "position"
    HOLDING = "holding"
    CHARGE = "charge"


class DayDifference(Frozen):
    """One line on which the ledger and the broker do not agree."""

    kind: Kind
    order_id: str | None
    """The ledger's id of the order, or the broker's where the ledger has none; `None` of a position."""
    about: str
    """The symbol; with the product of a position, with the line of a charge."""
    ours: str | None
    """What the ledger says; `None` where it says nothing of it."""
    broker: str | None
    cause: str | None
    """Where it comes from; `None` where that is open."""

    def __str__(self) -> str:
        whose = f" {self.order_id}" if self.order_id else ""
        said = f"{self.ours or 'nothing'} in the ledger, {self.broker or 'nothing'} at the broker"
        return f"{self.kind}{whose} {self.about}: {said} ({self.cause or 'open'})"


@dataclass(frozen=True, slots=True)
class DayOrder:
    """An order of the ledger with all that the broker says of it."""

    order: Order
    row: BrokerOrder | None
    trades: Sequence[Fill]
    was_added_to: bool = False
    """Whether something was recorded of it after its end."""


def of_order(found: DayOrder, now: datetime) -> list[DayDifference]:
    """An UNKNOWN order never agrees: what became of it is proved by nothing so far."""
    order = found.order
    said = compare.against_book(order, found.row, found.trades, now)
    if said and found.was_added_to:
        said = compare.against_book(order, found.row, found.trades, now, late=True)
    if order.status is Status.UNKNOWN and not any(each.kind is compare.Kind.ORDER for each in said):
        shown = found.row.status if found.row is not None else None
        said = [compare.Mismatch(compare.Kind.ORDER, str(order.status), shown, ""), *said]
    return [
        DayDifference(
            kind=Kind(each.kind.value),
            order_id=order.order_id,
            about=order.symbol,
            ours=each.ours,
            broker=each.theirs,
            cause=_cause_of(each, order),
        )
        for each in said
    ]


def _cause_of(said: compare.Mismatch, order: Order) -> str | None:
    if order.status is Status.UNKNOWN and said.kind is compare.Kind.ORDER:
        return "nothing proves its end: it takes no new risk until it is settled"
    return None


def of_unknown_row(row: BrokerOrder, trades: Sequence[Fill]) -> DayDifference:
    """A row of the book that no order of the ledger owns."""
    shown = f"{row.side} {row.quantity} {row.status}, {sum(fill.quantity for fill in trades)} traded"
    return DayDifference(
        kind=Kind.ORDER,
        order_id=row.broker_order_id,
        about=row.symbol,
        ours=None,
        broker=shown,
        cause="placed elsewhere, and not adopted so far" if row.tag is None else None,
    )


def of_stray_trade(fill: Fill) -> DayDifference:
    """A trade of an order that the broker's own book does not show."""
    return DayDifference(
        kind=Kind.TRADE,
        order_id=fill.broker_order_id,
        about="",
        ours=None,
        broker=f"trade {fill.trade_id}: {fill.quantity} at {fill.price}",
        cause="its order is not in the broker's book",
    )


def of_position(found: PositionDifference, orders: Iterable[DayOrder], known: Iterable[DayDifference]) -> DayDifference:
    """`known` are the differences of the orders: what is missing of their trades is missing here too."""
    ids = {each.order.order_id for each in orders if _is_in(each.order, found)}
    of_trades = [each for each in known if each.kind is not Kind.CHARGE and each.order_id in ids]
    of_shares = Product(found.product).is_delivery if found.product in list(Product) else False
    return DayDifference(
        kind=Kind.HOLDING if of_shares else Kind.POSITION,
        order_id=None,
        about=f"{found.symbol} {found.product}",
        ours=str(found.ours),
        broker=str(found.theirs),
        cause=f"follows from the trades of {of_trades[0].order_id}" if of_trades else None,
    )


def _is_in(order: Order, found: PositionDifference) -> bool:
    return (order.symbol, order.product.value) == (found.symbol, found.product)


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger's trades of one order and day come to."""

    order: Order
    quantity: int
    value: Decimal
    """Rupees: quantity times price, as quoted."""
    charges: Charges | None
    """`None` where the ledger could not work them out."""

    def as_billed(self, order_id: BrokerOrderId, row: BrokerOrder | None) -> BilledOrder:
        order, variety = self.order, row.variety if row is not None else "regular"
        average = self.value / self.quantity
        return BilledOrder(
            order_id, order.symbol, order.side, order.product, order.order_type, variety, self.quantity, average
        )


def charge_differences(
    booked: Sequence[Booked], billed: Sequence[BilledOrder], notes: Sequence[Charges], day: date
) -> list[DayDifference]:
    """Of each order, in the same sequence: what the ledger booked, what was asked, and what the broker answered."""
    found = []
    for own, asked, note in zip(booked, billed, notes, strict=True):
        if own.charges is None:
            found.append(_of_charge(own, "total", None, note.total, "our sheet does not know what it costs"))
        else:
            lines = charges.differences(asked, own.charges, note, day)
            found += [_of_charge(own, each.line, each.ours, each.theirs, each.cause) for each in lines]
    return found


def _of_charge(own: Booked, line: str, ours: Decimal | None, theirs: Decimal, cause: str) -> DayDifference:
    return DayDifference(
        kind=Kind.CHARGE,
        order_id=own.order.order_id,
        about=f"{own.order.symbol} {line}",
        ours=None if ours is None else str(ours),
        broker=str(theirs),
        cause=cause,
    )
