"""Orders over a caller's own broker object, in this process. Nothing is sent twice, and no outcome is guessed."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from durable_orders.callers.broker import CallersBroker, Line
from durable_orders.callers.figures import exact, first_of
from durable_orders.callers.lost import Lost, looked_up, unread
from durable_orders.engines.changing import checked, must_be_made, must_work
from durable_orders.engines.checking import refusal_of
from durable_orders.engines.followed import Followed
from durable_orders.trading.config.settings import Live
from durable_orders.trading.errors import BookUnreadable, InvalidOrder, UnknownError
from durable_orders.trading.orders import lifecycle
from durable_orders.trading.orders.amending import fate, not_done
from durable_orders.trading.orders.book import BookReport, BookState, BrokerOrder
from durable_orders.trading.orders.order import (
    PRICE_PLACES,
    Amendment,
    BrokerOrderId,
    Fill,
    Order,
    OrderId,
    OrderType,
    Status,
    Terms,
    TradeId,
)
from durable_orders.trading.orders.outcome import Accepted, Outcome, Unknown

STATES = {
    Status.FILLED: BookState.COMPLETE,
    Status.CANCELLED: BookState.CANCELLED,
    Status.REJECTED: BookState.REJECTED,
}
"""What ends an order in a book; whatever else it says, the order works."""
logger = logging.getLogger(__name__)

CANCEL_SECONDS = 10.0
"""How long a cancel waits for the book to show the order's end. The order is followed on without the one who waits."""


class CallersDesk:
    """Blocking, thread-safe. `sleep` waits in seconds, `clock` is the wall's, in seconds that only go up."""

    def __init__(
        self,
        broker: Any,
        guardian: Any,
        market_data: Any,
        settings: Live,
        followed: Followed,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `TypeError` for a broker without `place_order`."""
        self._broker = CallersBroker(broker)
        self._guardian = guardian
        self._market_data = market_data
        self._settings = settings
        self._followed = followed
        self._sleep = sleep
        self._clock = clock
        self._lost: dict[OrderId, Lost] = {}
        self._unproved: dict[OrderId, float] = {}
        """Since when the book has shown an end that its figures do not prove, such as fills without a price."""
        self._changing: set[OrderId] = set()
        """Orders of which a change was asked for: their terms are the book's from then on."""
        self._looking = threading.Lock()

    def restore(self, order: Order) -> None:
        """Follow an order that an earlier process had. One that was about to be sent may have been."""
        self._followed.restore(order)
        self._changing.add(order.order_id)  # a change may have been asked for that the book did not show yet
        if order.status is Status.PENDING:
            order = self._followed.apply(order.order_id, lifecycle.AnswerLost("the process ended while it was sent"))
        if order.status is Status.UNKNOWN:
            self._lost[order.order_id] = _lost(order, "the process ended before its answer was known")

    def place(self, order: Order) -> Order:
        """Check it, send it once, and settle what the answer leaves open. Raises `DuplicateOrder`."""
        if not self._followed.enter(order):
            return self._current(order.order_id)
        refusal = self._refusal(order)
        if refusal is not None:
            return self._followed.apply(order.order_id, lifecycle.Refused((refusal,)))
        if self._current(order.order_id).cancel_requested:
            return self._followed.apply(order.order_id, lifecycle.Withdrawn("cancelled before it was sent"))
        try:
            outcome = self._send(order)
        except BaseException:  # it may have been sent: the book is asked, whatever failed here
            self._lost[order.order_id] = _lost(order, "its answer could not be kept")
            raise
        return self._answered(order, outcome)

    def _answered(self, order: Order, outcome: Outcome) -> Order:
        if isinstance(outcome, Accepted):
            order = self._current(order.order_id)
            if order.cancel_requested and not order.status.terminal:
                return self._cancel_at_broker(order, outcome.broker_order_id)
            return order
        words = f"Broker error: {outcome.evidence}"
        if not isinstance(outcome, Unknown):
            return self._followed.apply(order.order_id, lifecycle.Refused((words,)))
        self._lost[order.order_id] = _lost(order, words)
        self._followed.apply(order.order_id, lifecycle.AnswerLost(words))
        return self._settled(order.order_id)

    def cancel(self, order: Order) -> Order:
        """Ask for a cancel, and look until the book shows the order's end."""
        own_id = order.order_id
        if order.status in (Status.PENDING, Status.UNKNOWN):
            order = self._looked_at(own_id)
        if order.status.terminal:
            return order
        self._followed.apply(own_id, lifecycle.CancelRequested("cancel requested by the strategy"))
        if order.broker_order_id is None:
            note = "it is cancelled as soon as the broker has it"
            return self._followed.apply(own_id, lifecycle.Noted(note))
        return self._cancel_at_broker(order, order.broker_order_id)

    def amend(self, order: Order, change: Amendment) -> Order:
        """Ask for a change, once, and look until the book shows it. Raises `InvalidOrder` for what was not done, and
        `UnknownError` for what may still be."""
        own_id, name = order.order_id, order.client_order_id
        if order.status in (Status.PENDING, Status.UNKNOWN):
            order = self._looked_at(own_id)
        must_work(order)
        if order.broker_order_id is None or order.cancel_requested:
            words = "a cancel was asked for" if order.cancel_requested else "it is not at the broker yet"
            raise InvalidOrder(f"{name}: {not_done(change, words)}")
        terms = checked(order, change, self._guardian, self._market_data)
        if terms.quantity > order.quantity and (unsettled := self._unsettled(own_id)) is not None:
            raise InvalidOrder(f"{name}: {not_done(change, unsettled)}")
        outcome = self._broker.modify(order.broker_order_id, change)
        if not isinstance(outcome, Accepted):
            self._followed.apply(own_id, lifecycle.Noted(fate(change, outcome)))
        if isinstance(outcome, Accepted | Unknown):
            self._changing.add(own_id)
        return self._changed(order, change, outcome)

    def _changed(self, before: Order, change: Amendment, outcome: Outcome) -> Order:
        """The order once the book shows the change, for which it is waited a while."""
        until = self._clock() + (CANCEL_SECONDS if isinstance(outcome, Accepted | Unknown) else 0)
        pause = min(self._settings.reconciliation_interval, 0.2)
        while True:
            order = self._looked_at(before.order_id)
            if change.is_in(order) or order.status.terminal:
                return must_be_made(order, change)
            if isinstance(outcome, Accepted) and order.summary() != before.summary():
                return order  # as the broker has made it: it may set a limit for what fires at the market
            if self._clock() >= until:
                break
            self._sleep(pause)
        if isinstance(outcome, Accepted):
            words = f"amendment ({change.summary()}) may still be made: the book does not show it yet"
            raise UnknownError(f"{order.client_order_id}: {words}")
        if isinstance(outcome, Unknown):
            raise UnknownError(f"{order.client_order_id}: {fate(change, outcome)}")
        return must_be_made(order, change)

    def look(self) -> list[Order]:
        """Read the book, and take in what it says. Raises `BookUnreadable`; nothing has changed then."""
        with self._looking:
            try:
                book = self._broker.book()
            except BookUnreadable:
                self._lost = {own_id: unread(lost) for own_id, lost in self._lost.items()}
                raise
            late = [found for own_id in list(self._lost) if (found := self._look_up(own_id, book)) is not None]
            self._take_in(book)
        for order in late:
            if order.cancel_requested and order.broker_order_id is not None:
                self._cancel_at_broker(order, order.broker_order_id)
        return self._followed.all()

    def _refusal(self, order: Order) -> str | None:
        """The first reason against it."""
        return self._unsettled(order.order_id) or refusal_of(self._guardian, self._market_data, order)

    def _unsettled(self, own_id: OrderId) -> str | None:
        """Why nothing new is sent beside that order."""
        unsettled = [other for other in (*self._lost, *self._unproved) if other != own_id]
        if unsettled and self._still_unsettled():
            return f"UNSETTLED: what became of {unsettled[0]} is not known yet, and nothing new is sent before it is"
        return None

    def _still_unsettled(self) -> bool:
        try:
            self.look()
        except BookUnreadable:
            return True
        return bool(self._lost or self._unproved)

    def _send(self, order: Order) -> Outcome:
        """Once: what a caller's broker object raises never proves that nothing was sent."""
        answer = self._broker.place(_payload(order))
        if isinstance(answer.outcome, Accepted):
            own_id = answer.outcome.broker_order_id
            self._followed.apply(order.order_id, lifecycle.Receipt(own_id))
            if answer.line is not None:
                self._report(order.order_id, answer.line)
        return answer.outcome

    def _settled(self, own_id: OrderId) -> Order:
        """The order once the book has told, or as it stands after the settle window: then every look goes on."""
        until = self._clock() + 2 * self._settings.settle_window
        pause = min(self._settings.reconciliation_interval, self._settings.settle_window / 4)
        while True:
            order = self._looked_at(own_id)
            if order.status is not Status.UNKNOWN or self._clock() >= until:
                return order
            self._sleep(pause)

    def _looked_at(self, own_id: OrderId) -> Order:
        try:
            self.look()
        except BookUnreadable as error:
            self._followed.apply(own_id, lifecycle.Noted(str(error)))
        return self._current(own_id)

    def _look_up(self, own_id: OrderId, book: Sequence[Line]) -> Order | None:
        """The lost order if the book has it now. One that was proved absent ends: it is not sent again."""
        known = {str(order.broker_order_id) for order in self._followed.all() if order.broker_order_id}
        window = timedelta(seconds=self._settings.settle_window)
        found = looked_up(self._lost[own_id], book, known, datetime.now(UTC), window)
        self._lost[own_id] = found.lost
        if found.twins:
            logger.warning("%s: also at the broker as %s, which nobody follows", own_id, ", ".join(found.twins))
        if found.row is not None:
            del self._lost[own_id]
            return self._report(own_id, found.row)
        if found.absent:
            words = f"never placed: absent in {found.lost.reads} whole readings of the order book"
            del self._lost[own_id]
            return self._followed.apply(own_id, lifecycle.ProvedAbsent(words), lifecycle.Refused((found.lost.words,)))
        return None

    def _take_in(self, book: Sequence[Line]) -> None:
        lines = {line.order_id: line for line in book}
        for order in self._followed.all():
            line = lines.get(str(order.broker_order_id))
            if line is not None:
                self._report(order.order_id, line)

    def _report(self, own_id: OrderId, line: Line) -> Order:
        order = self._current(own_id)
        terms = _terms_shown(line, order) if own_id in self._changing else order
        report = BookReport(row=_row(order, line, terms), fills=_new_fill(order, line))
        order = self._followed.apply(own_id, lifecycle.Reported(report))
        if order.status.terminal or not line.is_end:
            self._unproved.pop(own_id, None)
            return order
        since = self._unproved.setdefault(own_id, self._clock())
        if order.status is Status.UNKNOWN or self._clock() - since < self._settings.settle_window:
            return order
        told = f"{line.word} in the broker's book, {line.filled_quantity} of {order.quantity} filled"
        words = f"{line.order_id} is {told} at {line.average_price or 'no price'}, which does not add up"
        logger.error("%s: look at it", words)
        return self._followed.apply(own_id, lifecycle.Vanished(words))

    def _cancel_at_broker(self, order: Order, broker_id: BrokerOrderId) -> Order:
        outcome = self._broker.cancel(broker_id)
        if not isinstance(outcome, Accepted):
            self._followed.apply(order.order_id, lifecycle.Noted(f"Cancel failed: {outcome.evidence}"))
        until = self._clock() + (CANCEL_SECONDS if isinstance(outcome, Accepted | Unknown) else 0)
        pause = min(self._settings.reconciliation_interval, 0.2)
        while True:
            order = self._looked_at(order.order_id)
            if order.status.terminal or self._clock() >= until:
                return order
            self._sleep(pause)

    def _current(self, own_id: OrderId) -> Order:
        order = self._followed.find(own_id)
        assert order is not None, own_id  # noqa: S101
        return order


def _payload(order: Order) -> dict[str, Any]:
    exchange, _, symbol = order.symbol.partition(":")
    return {
        "symbol": symbol,
        "side": order.side.value,
        "qty": order.quantity,
        "order_type": order.order_type.value,
        "product": order.product.value,
        "validity": order.validity.value,
        "price": float(order.price) if order.price is not None else None,
        "trigger_price": float(order.trigger_price) if order.trigger_price is not None else None,
        "exchange": exchange,
        "tag": order.tag,
    }


def _lost(order: Order, words: str) -> Lost:
    return Lost(
        tag=order.tag,
        symbol=order.symbol,
        side=order.side.value,
        quantity=order.quantity,
        sent_at=order.created_at,
        strategy=order.strategy,
        order_type=order.order_type.value,
        price=float(order.price) if order.price is not None else None,
        words=words,
    )


def _terms_shown(line: Line, order: Order) -> Terms:
    """The terms of an order of which a change was asked for, as the book has them. What the line does not say, or says
    in a way that fits nothing, is as it was: only what is shown is a change that was made."""
    shown = {
        "quantity": line.quantity,
        "price": _price_shown(line, "price"),
        "trigger_price": _price_shown(line, "trigger_price"),
        "order_type": _type_shown(line),
    }
    try:
        return Amendment.model_validate(shown).applied_to(order)
    except ValueError:
        return order


def _price_shown(line: Line, name: str) -> Decimal | None:
    """`None` for none, which books also write as 0."""
    try:
        return exact(first_of(line.shown, name) or 0, name) or None
    except ValueError:
        return None


def _type_shown(line: Line) -> OrderType | None:
    """In capitals or not, or of an enumeration of the caller's."""
    kind = first_of(line.shown, "order_type")
    try:
        return OrderType(str(getattr(kind, "value", kind)).strip().upper())
    except ValueError:
        return None


def _row(order: Order, line: Line, terms: Terms) -> BrokerOrder:
    """The line in the broker's terms. What it does not say is as the terms have it."""
    return BrokerOrder(
        broker_order_id=BrokerOrderId(line.order_id),
        tag=order.tag,
        symbol=order.symbol,
        side=order.side,
        product=order.product,
        order_type=terms.order_type,
        validity=order.validity,
        quantity=line.quantity or terms.quantity,
        filled_quantity=line.filled_quantity,
        price=terms.price,
        trigger_price=terms.trigger_price,
        status=line.word,
        state=STATES.get(line.status, BookState.WORKING),
        message=line.message,
        placed_at=line.placed_at or order.created_at,
        updated_at=datetime.now(UTC),
    )


def _new_fill(order: Order, line: Line) -> tuple[Fill, ...]:
    """What the cumulative figures of the line add to the known fills, as one trade. Without a price, not yet one."""
    quantity = line.filled_quantity - order.filled_quantity
    if quantity <= 0 or line.average_price is None:
        return ()
    price = (line.average_price * line.filled_quantity - order.filled_value) / quantity
    price = price if price > 0 else Decimal(line.average_price)
    return (
        Fill(
            trade_id=TradeId(f"{line.order_id}-{line.filled_quantity}"),
            broker_order_id=BrokerOrderId(line.order_id),
            quantity=quantity,
            price=price.quantize(PRICE_PLACES),
            at=datetime.now(UTC),
        ),
    )
