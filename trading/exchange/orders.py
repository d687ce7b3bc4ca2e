"""An order of the paper exchange, and the steps it can take. No I/O and no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from durable_orders.trading.market.rules import NO_WAYS, Way, ends_before_auction
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    OrderType,
    Product,
    Side,
    Tag,
    Terms,
    TradeId,
    Validity,
)


class KiteStatus(StrEnum):
    """The statuses that the paper exchange uses, in Kite's words (Kite documentation, order statuses)."""

    PUT_ORDER_REQ_RECEIVED = "PUT ORDER REQ RECEIVED"
    VALIDATION_PENDING = "VALIDATION PENDING"
    OPEN_PENDING = "OPEN PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER PENDING"
    MODIFY_VALIDATION_PENDING = "MODIFY VALIDATION PENDING"
    MODIFY_PENDING = "MODIFY PENDING"
    MODIFIED = "MODIFIED"
    CANCEL_PENDING = "CANCEL PENDING"
    CANCELLED = "CANCELLED"
    COMPLETE = "COMPLETE"
    REJECTED = "REJECTED"
    AMO_REQ_RECEIVED = "AMO REQ RECEIVED"


Standing = tuple[int, int, Decimal | None, Decimal | None, str | None]
"""Those that may change, of `Passed`, in its order."""
RECEIVED, VALIDATION_PENDING = KiteStatus.PUT_ORDER_REQ_RECEIVED, KiteStatus.VALIDATION_PENDING
WAY_IN = (RECEIVED, VALIDATION_PENDING, KiteStatus.OPEN_PENDING)
"""Through Kite's checks to the exchange."""
OPEN, TRIGGER_PENDING, COMPLETE = KiteStatus.OPEN, KiteStatus.TRIGGER_PENDING, KiteStatus.COMPLETE
ORDER_IN, STOP_IN = (*WAY_IN, OPEN), (*WAY_IN, TRIGGER_PENDING)
WORKING = BookState.WORKING


@dataclass(slots=True)
class ExchangeOrder:
    """An order as the exchange keeps it. Only a `Progress` changes it, in place: copies of it would be most of what an
    order costs. Nobody else holds it while that happens; what others are shown is the `row`, which does not change.
    """

    broker_order_id: BrokerOrderId
    marked: Tag | Callable[[], Tag] | None
    """The tag, or what makes it: in memory most orders end before anybody asks for theirs."""
    symbol: str
    side: Side
    product: Product
    order_type: OrderType
    validity: Validity
    quantity: int
    filled_quantity: int
    price: Decimal | None
    trigger_price: Decimal | None
    status: str
    state: BookState
    message: str | None
    placed_at: datetime
    updated_at: datetime
    session: date
    triggered: bool = False
    """Whether its trigger was hit; an SL order then works as a LIMIT order, an SL-M order as a MARKET order."""
    fill_count: int = 0
    queue_ahead: int | None = None
    """Units that were at its price before it and have not traded yet; `None` where it does not stand in a queue."""
    margin_price: Decimal | None = None
    """Rupees a share that it binds margin by, where the account has funds."""
    disclosed_quantity: int | None = None
    """What of it the market is to see; `None` for all."""

    @property
    def tag(self) -> Tag | None:
        return self.marked() if callable(self.marked) else self.marked

    @property
    def row(self) -> BrokerOrder:
        """As the book shows it now."""
        return BrokerOrder(
            self.broker_order_id,
            self.tag,
            self.symbol,
            self.side,
            self.product,
            self.order_type,
            self.validity,
            self.quantity,
            self.filled_quantity,
            self.price,
            self.trigger_price,
            self.status,
            self.state,
            self.message,
            self.placed_at,
            self.updated_at,
        )

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def working(self) -> bool:
        return self.state is WORKING

    @property
    def at_exchange(self) -> bool:
        """Whether it can trade, and be changed: not on its way in, nor waiting for a session."""
        return self.state is WORKING and self.status in (OPEN, TRIGGER_PENDING)

    @property
    def after_market(self) -> bool:
        """Whether it was placed for the next session and waits for it."""
        return self.working and self.status == KiteStatus.AMO_REQ_RECEIVED

    @property
    def waits_for_trigger(self) -> bool:
        return self.order_type.has_trigger and not self.triggered

    @property
    def ways(self) -> frozenset[Way]:
        """How it is sent, as far as the exchange is to know."""
        return frozenset({Way.DISCLOSED}) if self.disclosed_quantity else NO_WAYS

    def ends_before_auction(self, day: date) -> bool:
        """Whether the exchange cancels it before the closing auction of that day, where its symbol has one."""
        return ends_before_auction(day, self.order_type if self.waits_for_trigger else None, self.ways)

    @property
    def key(self) -> str:
        """What its share of chance hangs on: the tag, since a broker order id holds the time of placing."""
        return self.tag or self.broker_order_id


class Passed(NamedTuple):
    """A status that an order passed, with what may have changed until then."""

    status: str
    quantity: int
    filled_quantity: int
    price: Decimal | None
    trigger_price: Decimal | None
    message: str | None
    at: datetime


class Traded(NamedTuple):
    """A trade as the exchange keeps it. Others are shown a `Fill`, which checks it all again."""

    number: int
    """Of the order's trades, from 1."""
    quantity: int
    price: Decimal
    at: datetime
    broker_order_id: BrokerOrderId
    session: date

    @property
    def trade_id(self) -> TradeId:
        return TradeId(f"{self.broker_order_id}-{self.number}")

    @property
    def fill(self) -> Fill:
        own, order = self.trade_id, self.broker_order_id
        return Fill(
            trade_id=own,
            broker_order_id=order,
            quantity=self.quantity,
            price=self.price,
            at=self.at,
            session=self.session,
        )


class Progress:
    """One order within one transaction: what it becomes, every status it passes and every trade it gets."""

    __slots__ = ("_is_kept", "_passed", "_shifted", "at", "fills", "is_shown", "order")

    def __init__(self, order: ExchangeOrder, at: datetime, *, is_kept: bool = True) -> None:
        """`is_kept`: somebody will ask for the `history`."""
        self.order = order
        self.is_shown = False
        """Whether the order's row in the book has changed."""
        self._is_kept = is_kept
        self.at = at
        self._shifted = False
        self._passed: list[tuple[tuple[str, ...], Standing]] = []
        self.fills: list[Traded] = []

    @property
    def report(self) -> OrderReport:
        return OrderReport(row=self.order.row, fills=tuple([traded.fill for traded in self.fills]))

    @property
    def history(self) -> list[Passed]:
        return [Passed(status, *terms, self.at) for statuses, terms in self._passed for status in statuses]

    @property
    def moved(self) -> bool:
        """Whether anything about the order has changed, if only its session or its place in a queue."""
        return self.is_shown or self._shifted

    def open(self) -> None:
        """Through Kite's checks to the exchange, where it is OPEN or waits for its trigger."""
        self._pass(*(STOP_IN if self.order.waits_for_trigger else ORDER_IN))

    def hold(self) -> None:
        """Through Kite's checks to the exchange, which does not answer: OPEN PENDING until `release`."""
        self._pass(*WAY_IN)

    def queue(self) -> None:
        """Kept for the next session, until `release`."""
        self._pass(KiteStatus.AMO_REQ_RECEIVED)

    def release(self) -> None:
        if self.order.after_market:
            self.hold()
        self._pass(self._resting_status())

    def reject(self, message: str) -> None:
        """Received, and turned down by Kite's checks: no exchange has seen it."""
        self._pass(RECEIVED, VALIDATION_PENDING)
        self._end(KiteStatus.REJECTED, BookState.REJECTED, message)

    def trigger(self) -> None:
        self.order.triggered = True
        self._pass(OPEN)

    def fill(self, quantity: int, price: Decimal, message: str | None = None) -> None:
        """A trade of so many shares at so many rupees; the last share completes the order."""
        order = self.order
        order.fill_count += 1
        self.fills.append(Traded(order.fill_count, quantity, price, self.at, order.broker_order_id, order.session))
        order.filled_quantity += quantity
        if order.filled_quantity < order.quantity:
            self._pass(OPEN)
        else:
            self._end(COMPLETE, BookState.COMPLETE, message)

    def modify(self, terms: Terms) -> None:
        """To new terms. A total at or below what is filled completes the order at what is filled (FIX D12).

        Another price or a greater quantity costs the order its place in the queue (NSE, price-time priority).
        """
        order, queued = self.order, self.order.after_market
        self._pass(KiteStatus.MODIFY_VALIDATION_PENDING, KiteStatus.MODIFY_PENDING)
        order.triggered = order.triggered and terms.order_type.has_trigger
        if terms.price != order.price or terms.quantity > order.quantity:
            order.queue_ahead = None
        order.order_type = terms.order_type
        order.quantity = max(terms.quantity, order.filled_quantity)
        order.price, order.trigger_price = terms.price, terms.trigger_price
        self._pass(KiteStatus.MODIFIED)
        if order.remaining:
            self._pass(KiteStatus.AMO_REQ_RECEIVED if queued else self._resting_status())
        else:
            self._end(COMPLETE, BookState.COMPLETE)

    def rest_at(self, limit: Decimal) -> None:
        """A MARKET order becomes a LIMIT order: its protection is reached."""
        self.order.order_type, self.order.price = OrderType.LIMIT, limit
        self._pass(OPEN)

    def cancel(self, message: str | None = None) -> None:
        self._pass(KiteStatus.CANCEL_PENDING)
        self._end(KiteStatus.CANCELLED, BookState.CANCELLED, message)

    def expire(self, message: str) -> None:
        self._end(KiteStatus.CANCELLED, BookState.EXPIRED, message)

    def move_to(self, session: date) -> None:
        self.order.session = session
        self._shifted = True

    def stand_behind(self, units: int) -> None:
        """So many are ahead of it in its queue."""
        self._shifted = self._shifted or units != self.order.queue_ahead
        self.order.queue_ahead = units

    def _resting_status(self) -> KiteStatus:
        return TRIGGER_PENDING if self.order.waits_for_trigger else OPEN

    def _pass(self, *statuses: KiteStatus) -> None:
        order = self.order
        order.status, order.updated_at = statuses[-1], self.at
        self.is_shown = True
        if self._is_kept:
            terms = (order.quantity, order.filled_quantity, order.price, order.trigger_price, order.message)
            self._passed.append((statuses, terms))

    def _end(self, status: KiteStatus, state: BookState, message: str | None = None) -> None:
        self.order.state, self.order.message = state, message
        self._pass(status)


def received(
    terms: Terms,
    tag: Tag | Callable[[], Tag] | None,
    broker_order_id: BrokerOrderId,
    session: date,
    at: datetime,
    *,
    is_kept: bool = True,
    disclosed: int | None = None,
) -> Progress:
    """A new order on its way in. `is_kept`: somebody will ask for the history. `disclosed`: so much of it shows."""
    order = ExchangeOrder(
        broker_order_id,
        tag,
        terms.symbol,
        terms.side,
        terms.product,
        terms.order_type,
        terms.validity,
        terms.quantity,
        0,
        terms.price,
        terms.trigger_price,
        RECEIVED,
        WORKING,
        None,
        at,
        at,
        session,
        disclosed_quantity=disclosed,
    )
    return Progress(order, at, is_kept=is_kept)


def terms_of(order: ExchangeOrder | BrokerOrder) -> Terms:
    return Terms(
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        order_type=order.order_type,
        price=order.price,
        trigger_price=order.trigger_price,
        product=order.product,
        validity=order.validity,
    )
