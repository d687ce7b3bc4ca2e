"""The broker's book, in Kite's words: the evidence that every outcome rests on."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from trading.order import BrokerOrderId, Fill, OrderType, Product, Side, Tag, Validity


class BookState(StrEnum):
    """What a row of the book says about the order's end.

    Kite's terminal statuses are COMPLETE, CANCELLED and REJECTED; everything else, known or not, is still
    working ("there may be other values", Kite documentation, order statuses). EXPIRED is a CANCELLED row whose
    validity ran out: the rest of an IOC, or a DAY order after the close.
    """

    WORKING = "WORKING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


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
    """The order's present total, in shares."""
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
class BookReport:
    """A row and the trades of the same order, read together."""

    row: BrokerOrder
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """Net position in one symbol and product. `quantity` is signed: short is negative."""

    symbol: str
    product: Product
    quantity: int
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class Funds:
    """What the account has to trade with, in rupees."""

    available: Decimal
    """Free for new orders (Kite's `net`). Below 0 when more is bound than there is."""
    utilised: Decimal
    """Bound by positions and open orders (Kite's `utilised.debits`)."""
