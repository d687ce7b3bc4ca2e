"""An order of the paper exchange, and the steps it can take. Pure: no I/O and no clock."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trading.brokers.book import BookReport, BookState, BrokerOrder
from trading.order import BrokerOrderId, Fill, Tag, Terms, TradeId


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


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order as the exchange keeps it: the row that the book shows, and what the book does not show."""

    row: BrokerOrder
    session: date
    triggered: bool = False
    """Whether its trigger was hit; an SL order then works as a LIMIT order, an SL-M order as a MARKET order."""
    fill_count: int = 0

    @property
    def remaining(self) -> int:
        return self.row.quantity - self.row.filled_quantity

    @property
    def working(self) -> bool:
        return self.row.state is BookState.WORKING

    @property
    def at_exchange(self) -> bool:
        """Whether it can trade, and be changed: not on its way in, nor waiting for a session."""
        return self.working and self.row.status in (KiteStatus.OPEN, KiteStatus.TRIGGER_PENDING)

    @property
    def after_market(self) -> bool:
        """Whether it was placed for the next session and waits for it."""
        return self.working and self.row.status == KiteStatus.AMO_REQ_RECEIVED

    @property
    def waits_for_trigger(self) -> bool:
        return self.row.order_type.has_trigger and not self.triggered

    @property
    def key(self) -> str:
        """What its share of chance hangs on: the tag, since a broker order id holds the time of placing."""
        return self.row.tag or self.row.broker_order_id


class Progress:
    """One order within one transaction: what it becomes, every status it passes and every trade it gets."""

    def __init__(self, order: ExchangeOrder, at: datetime) -> None:
        self.order = order
        self.at = at
        self.history: list[BrokerOrder] = []
        self.fills: list[Fill] = []

    @property
    def report(self) -> BookReport:
        return BookReport(row=self.order.row, fills=tuple(self.fills))

    def open(self) -> None:
        """Through Kite's checks to the exchange, where it is OPEN or waits for its trigger."""
        self.hold()
        self.release()

    def hold(self) -> None:
        """Through Kite's checks to the exchange, which does not answer: OPEN PENDING until `release`."""
        self._pass(KiteStatus.PUT_ORDER_REQ_RECEIVED, KiteStatus.VALIDATION_PENDING, KiteStatus.OPEN_PENDING)

    def queue(self) -> None:
        """Kept for the next session, until `release`."""
        self._pass(KiteStatus.AMO_REQ_RECEIVED)

    def release(self) -> None:
        if self.order.after_market:
            self.hold()
        self._pass(self._resting_status())

    def reject(self, message: str) -> None:
        """Received, and turned down by Kite's checks: no exchange has seen it."""
        self._pass(KiteStatus.PUT_ORDER_REQ_RECEIVED, KiteStatus.VALIDATION_PENDING)
        self._end(KiteStatus.REJECTED, BookState.REJECTED, message)

    def trigger(self) -> None:
        self.order = replace(self.order, triggered=True)
        self._pass(KiteStatus.OPEN)

    def fill(self, quantity: int, price: Decimal) -> None:
        """A trade of so many shares at so many rupees; the last share completes the order."""
        row = self.order.row
        number = self.order.fill_count + 1
        trade = TradeId(f"{row.broker_order_id}-{number}")
        self.fills.append(
            Fill(trade_id=trade, broker_order_id=row.broker_order_id, quantity=quantity, price=price, at=self.at)
        )
        self.order = replace(self.order, fill_count=number)
        self._change(filled_quantity=row.filled_quantity + quantity)
        if self.order.remaining:
            self._pass(KiteStatus.OPEN)
        else:
            self._end(KiteStatus.COMPLETE, BookState.COMPLETE)

    def modify(self, terms: Terms) -> None:
        """To new terms. A total at or below what is filled completes the order at what is filled (FIX D12)."""
        row, queued = self.order.row, self.order.after_market
        self._pass(KiteStatus.MODIFY_VALIDATION_PENDING, KiteStatus.MODIFY_PENDING)
        self.order = replace(self.order, triggered=self.order.triggered and terms.order_type.has_trigger)
        self._change(
            order_type=terms.order_type,
            quantity=max(terms.quantity, row.filled_quantity),
            price=terms.price,
            trigger_price=terms.trigger_price,
        )
        self._pass(KiteStatus.MODIFIED)
        if self.order.remaining:
            self._pass(KiteStatus.AMO_REQ_RECEIVED if queued else self._resting_status())
        else:
            self._end(KiteStatus.COMPLETE, BookState.COMPLETE)

    def cancel(self) -> None:
        self._pass(KiteStatus.CANCEL_PENDING)
        self._end(KiteStatus.CANCELLED, BookState.CANCELLED)

    def expire(self, message: str) -> None:
        self._end(KiteStatus.CANCELLED, BookState.EXPIRED, message)

    def move_to(self, session: date) -> None:
        self.order = replace(self.order, session=session)

    def _resting_status(self) -> KiteStatus:
        return KiteStatus.TRIGGER_PENDING if self.order.waits_for_trigger else KiteStatus.OPEN

    def _pass(self, *statuses: KiteStatus) -> None:
        for status in statuses:
            self._change(status=status)
            self.history.append(self.order.row)

    def _end(self, status: KiteStatus, state: BookState, message: str | None = None) -> None:
        self._change(state=state, message=message)
        self._pass(status)

    def _change(self, **changes: Any) -> None:
        self.order = replace(self.order, row=replace(self.order.row, updated_at=self.at, **changes))


def received(terms: Terms, tag: Tag | None, broker_order_id: BrokerOrderId, session: date, at: datetime) -> Progress:
    """A new order on its way in."""
    row = BrokerOrder(
        broker_order_id=broker_order_id,
        tag=tag,
        symbol=terms.symbol,
        side=terms.side,
        product=terms.product,
        order_type=terms.order_type,
        validity=terms.validity,
        quantity=terms.quantity,
        filled_quantity=0,
        price=terms.price,
        trigger_price=terms.trigger_price,
        status=KiteStatus.PUT_ORDER_REQ_RECEIVED,
        state=BookState.WORKING,
        message=None,
        placed_at=at,
        updated_at=at,
    )
    return Progress(ExchangeOrder(row=row, session=session), at)


def terms_of(row: BrokerOrder) -> Terms:
    return Terms(
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity,
        order_type=row.order_type,
        price=row.price,
        trigger_price=row.trigger_price,
        product=row.product,
        validity=row.validity,
    )
