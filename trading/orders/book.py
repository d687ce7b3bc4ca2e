"""The broker's book, in Kite's words: the evidence that every outcome rests on."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from durable_orders.trading.orders.order import BrokerOrderId, Fill, Order, OrderType, Product, Side, Tag, Validity


class BookState(StrEnum):
    """What a row of the book says about the order's end.

    `STATES` has Kite's terminal statuses; everything else, known or not, is still working ("there may be other
    values", Kite documentation, order statuses). EXPIRED is a CANCELLED row whose validity ran out: the rest of an
    IOC, or a DAY order after the close.
    """

    WORKING = "WORKING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


STATES: dict[str, BookState] = {
    "COMPLETE": BookState.COMPLETE,
    "CANCELLED": BookState.CANCELLED,
    "CANCELLED AMO": BookState.CANCELLED,  # an after-market order, cancelled before it was sent to the exchange
    "REJECTED": BookState.REJECTED,
}
"""The broker's words for an end. Every other word, known or not, is one of an order that works."""


def state_of(status: str) -> BookState:
    return STATES.get(status, BookState.WORKING)


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One row of the order book. A dataclass, not a model: a book of ten thousand rows is read every interval."""

    broker_order_id: BrokerOrderId
    tag: Tag | None
    symbol: str
    side: Side
    product: Product
    order_type: OrderType
    validity: Validity
    quantity: int
    """The order's present total, as Kite counts."""
    filled_quantity: int
    """Cumulative; the one figure of a row that can be trusted to tell progress."""
    price: Decimal | None
    trigger_price: Decimal | None
    status: str
    """The broker's own word, such as `TRIGGER PENDING`."""
    state: BookState
    message: str | None
    placed_at: datetime
    updated_at: datetime
    variety: str = "regular"
    """Kite's path component: a change or a cancel must name the one that the order was placed with."""
    slices: tuple[BrokerOrderId, ...] = ()
    """Where this stands for several rows of an autoslice order: theirs, as far as the book shows them. `quantity` is
    then what those add up to, which may be less than was asked for."""


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row of a reply whose words are not understood, such as a product that is not known here."""

    what: str
    """As in `order 26112900001` or `trade 7`."""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """A row and the trades of the same order, read together."""

    row: BrokerOrder
    fills: tuple[Fill, ...]

    def as_asked_for(self) -> "OrderReport":
        """The same of an order whose cancel the broker has taken. By the clock it would have expired where the row is
        stamped after the session: after-market, on a holiday, or in the broker's reconciliation of the evening."""
        if self.row.state is not BookState.EXPIRED:
            return self
        return replace(self, row=replace(self.row, state=BookState.CANCELLED))


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What the broker itself says of the day of one position."""

    profit: Decimal
    """Rupees, before charges, at its last price (Kite's `m2m`)."""
    overnight: int
    """Signed quantity that was carried into the day as a position."""
    close: Decimal
    """The price at which that is counted, as quoted; 0 where it was not said."""
    last: Decimal
    """The last price, as quoted."""


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """Net position in one symbol and product."""

    symbol: str
    product: str
    """One of `Product`, or another that only the broker has, such as Kite's `CO`."""
    quantity: int
    """Signed: short is negative. As orders count it. Kite's is of the day for CNC and MTF: delivery shares of earlier
    days are holdings, and what was sold of those today is below zero."""
    average_price: Decimal
    """Rupees, as quoted."""
    day: DayFigures | None = field(default=None, compare=False)
    """`None` where the broker has no figures of its own."""


@dataclass(frozen=True, slots=True)
class BrokerHolding:
    """Delivery shares that were carried into the day."""

    symbol: str
    """The broker may name either exchange on which a share is listed."""
    product: Product
    quantity: int
    """At the beginning of the day: what was sold of it since is a position."""
    sellable: int
    """Of those, how many may be sold, before any sale of today: without what is pledged."""
    average_price: Decimal
    """Rupees."""


@dataclass(frozen=True, slots=True)
class BilledOrder:
    """An executed order, for whose charges the broker is asked."""

    broker_order_id: BrokerOrderId
    symbol: str
    side: Side
    product: Product
    order_type: OrderType
    variety: str
    quantity: int
    """That was traded."""
    average_price: Decimal
    """Rupees, not rounded."""


@dataclass(frozen=True, slots=True)
class Funds:
    """What the account has to trade with, in rupees."""

    available: Decimal
    """Free for new orders (Kite's `net`). Below 0 when more is bound than there is."""
    utilised: Decimal
    """Bound by positions and open orders (Kite's `utilised.debits`)."""


def row_of(order: Order, broker_order_id: BrokerOrderId, state: BookState, at: datetime, **known: Any) -> BrokerOrder:
    """A row that shows the order as it stands, in that state; `known` is what it shows otherwise."""
    content: dict[str, Any] = {
        "broker_order_id": broker_order_id,
        "tag": order.tag,
        "symbol": order.symbol,
        "side": order.side,
        "product": order.product,
        "order_type": order.order_type,
        "validity": order.validity,
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "status": state.value,
        "state": state,
        "message": None,
        "placed_at": order.created_at,
        "updated_at": at,
    }
    return BrokerOrder(**content | known)
