"""The broker's edge: a broker that keeps its own book, and answers as a test tells it to, call by call."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.approval import Approved
from durable_orders.trading.orders.book import BookState, BrokerHolding, BrokerOrder, BrokerPosition, Funds, OrderReport
from durable_orders.trading.orders.last_look import LastLook
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, Fill, Order, OrderType, TradeId
from durable_orders.trading.orders.outcome import Accepted, Evidence, NotSent, Outcome, Refused, SessionExpired, Unknown

PRICE = Decimal("1500.0")
Answer = Callable[["ScriptedBroker", Order], Outcome]
"""How a placement goes."""
Reply = Callable[["ScriptedBroker", BrokerOrderId], Outcome]
"""How a cancel or a modification goes. Without one, it is done and answered without a report, as Kite does."""


class ScriptedBroker:
    """A `Broker`. What it took is in `rows`, whatever it answered; `sent` counts what reached it."""

    def __init__(self) -> None:
        self.rows: dict[BrokerOrderId, BrokerOrder] = {}
        self.fills: list[Fill] = []
        self.sent: list[Order] = []
        self.cancels: list[BrokerOrderId] = []
        self.changes: list[Amendment] = []
        self.reads = 0
        self.unreadable = False
        self.positions_unreadable = False
        self.position_reads = 0
        self.held_besides: dict[tuple[str, str], int] = {}
        """Signed quantities that no order of the book tells of: sold by hand, converted."""
        self.in_demat: list[BrokerHolding] = []
        self.also_shown: list[BrokerPosition] = []
        """Rows beside those, as flat ones that have a result."""
        self.on_place: deque[Answer] = deque()
        self.on_cancel: deque[Reply] = deque()
        self.on_modify: deque[Reply] = deque()
        self._hidden_for = 0
        self._lock = threading.RLock()

    # What the system asks.

    def place(self, approved: Approved, last_look: LastLook | None = None) -> Outcome:
        if last_look is not None:
            with last_look.leaving() as held:
                if held is not None:
                    return held
        self.sent.append(approved.order)
        answer = self.on_place.popleft() if self.on_place else takes
        return answer(self, approved.order)

    def cancel(self, broker_order_id: BrokerOrderId) -> Outcome:
        self.cancels.append(broker_order_id)
        if self.on_cancel:
            return self.on_cancel.popleft()(self, broker_order_id)
        return ends_it(self, broker_order_id)

    def modify(self, broker_order_id: BrokerOrderId, change: Amendment) -> Outcome:
        self.changes.append(change)
        if self.on_modify:
            return self.on_modify.popleft()(self, broker_order_id)
        kind = change.order_type or self.rows[broker_order_id].order_type
        gone = {
            name: None for name, stays in (("price", kind.has_price), ("trigger_price", kind.has_trigger)) if not stays
        }
        self.update(broker_order_id, **change.model_dump(exclude_none=True) | gone)
        return Accepted(broker_order_id=broker_order_id)

    def order_book(self) -> list[BrokerOrder]:
        with self._lock:
            self.reads += 1
            if self.unreadable:
                raise BookUnreadable("the order book: 503 from the gateway")
            if self._hidden_for:
                self._hidden_for -= 1
                return []
            return list(self.rows.values())

    def trades(self) -> list[Fill]:
        with self._lock:
            return list(self.fills)

    def positions(self) -> list[BrokerPosition]:
        """What the trades add up to, and what came without one (`held_besides`)."""
        with self._lock:
            self.position_reads += 1
            if self.positions_unreadable:
                raise BookUnreadable("the positions: 503 from the gateway")
            held: Counter[tuple[str, str]] = Counter(self.held_besides)
            for fill in self.fills:
                row = self.rows[fill.broker_order_id]
                held[row.symbol, row.product] += row.side.sign * fill.quantity
            return [*self.also_shown, *(BrokerPosition(*key, quantity, PRICE) for key, quantity in held.items())]

    def holdings(self) -> list[BrokerHolding]:
        return list(self.in_demat)

    def margins(self) -> Funds | None:
        return None

    # What happens at the broker.

    def take(self, order: Order) -> BrokerOrderId:
        """The order is at the broker and works. Like Kite, it does not deduplicate."""
        with self._lock:
            order_id = BrokerOrderId(f"{2_000_000_000_000_000_000 + len(self.rows)}")
            now = datetime.now(UTC)
            self.rows[order_id] = BrokerOrder(
                broker_order_id=order_id,
                tag=order.tag,
                symbol=order.symbol,
                side=order.side,
                product=order.product,
                order_type=order.order_type,
                validity=order.validity,
                quantity=order.quantity,
                filled_quantity=0,
                price=order.price,
                trigger_price=order.trigger_price,
                status="OPEN",
                state=BookState.WORKING,
                message=None,
                placed_at=now,
                updated_at=now,
            )
            return order_id

    def trade(self, broker_order_id: BrokerOrderId, quantity: int, price: Decimal = PRICE) -> Fill:
        """A fill, in the book and among the trades; the whole quantity makes the row COMPLETE."""
        with self._lock:
            self.trade_in_book(broker_order_id, quantity)
            return self.show_trade(broker_order_id, quantity, price)

    def trade_in_book(self, broker_order_id: BrokerOrderId, quantity: int) -> None:
        """A fill that the book shows and the trades do not, yet."""
        row = self.rows[broker_order_id]
        filled = row.filled_quantity + quantity
        self.update(broker_order_id, filled_quantity=filled)
        if filled == row.quantity:
            self.end(broker_order_id, BookState.COMPLETE)

    def show_trade(self, broker_order_id: BrokerOrderId, quantity: int, price: Decimal = PRICE) -> Fill:
        fill = Fill(
            trade_id=TradeId(f"T{len(self.fills) + 1}"),
            broker_order_id=broker_order_id,
            quantity=quantity,
            price=price,
            at=datetime.now(UTC),
        )
        with self._lock:
            self.fills.append(fill)
        return fill

    def end(self, broker_order_id: BrokerOrderId, state: BookState, message: str | None = None) -> None:
        self.update(broker_order_id, state=state, status=state.value, message=message)

    def update(self, broker_order_id: BrokerOrderId, **changes: Any) -> None:
        with self._lock:
            row = self.rows[broker_order_id]
            self.rows[broker_order_id] = replace(row, **changes, updated_at=datetime.now(UTC))

    def hide(self, reads: int) -> None:
        """The next readings of the book come out empty."""
        self._hidden_for = reads

    def report(self, broker_order_id: BrokerOrderId) -> OrderReport:
        with self._lock:
            own = tuple(fill for fill in self.fills if fill.broker_order_id == broker_order_id)
            return OrderReport(row=self.rows[broker_order_id], fills=own)

    @property
    def only(self) -> BrokerOrderId:
        """The one order that the broker has. Fails if it has none or more."""
        (order_id,) = self.rows
        return order_id


# How a placement can go.


def takes(broker: ScriptedBroker, order: Order) -> Outcome:
    """Takes it; it works. The receipt is all that comes back."""
    return Accepted(broker_order_id=broker.take(order))


def fills_at_once(broker: ScriptedBroker, order: Order) -> Outcome:
    order_id = broker.take(order)
    broker.trade(order_id, order.quantity)
    return Accepted(broker_order_id=order_id, report=broker.report(order_id))


def fills_at(price: Decimal) -> Answer:
    """Fills at once, at that price."""

    def answer(broker: ScriptedBroker, order: Order) -> Outcome:
        order_id = broker.take(order)
        broker.trade(order_id, order.quantity, price)
        return Accepted(broker_order_id=order_id, report=broker.report(order_id))

    return answer


def takes_and_loses_the_answer(broker: ScriptedBroker, order: Order) -> Outcome:
    broker.take(order)
    return Unknown(evidence=Evidence(message="read timed out", error_type="ReadTimeout"))


def fills_and_loses_the_answer(broker: ScriptedBroker, order: Order) -> Outcome:
    fills_at_once(broker, order)
    return Unknown(evidence=Evidence(message="connection reset", error_type="ConnectionError"))


def slices_and_loses_the_answer(broker: ScriptedBroker, order: Order) -> Outcome:
    """Takes two slices of three and fills them; the book shows the two as one row."""
    order_id = broker.take(order)
    broker.update(order_id, quantity=2 * (order.quantity // 3), slices=(order_id, BrokerOrderId(f"{order_id}1")))
    broker.trade(order_id, broker.rows[order_id].quantity)
    return Unknown(evidence=Evidence(message="read timed out", error_type="ReadTimeout"))


def never_gets_it(broker: ScriptedBroker, order: Order) -> Outcome:
    """The request was lost on its way, and nobody can know."""
    return Unknown(evidence=Evidence(message="bad gateway", http_status=502))


def refuses(broker: ScriptedBroker, order: Order) -> Outcome:
    evidence = Evidence(message="Insufficient funds", error_type="MarginException", http_status=400)
    return Refused(evidence=evidence)


def cannot_be_reached(broker: ScriptedBroker, order: Order) -> Outcome:
    return NotSent(evidence=Evidence(message="connection refused", error_type="ConnectError"))


def wants_a_login(broker: ScriptedBroker, order: Order) -> Outcome:
    evidence = Evidence(message="Incorrect api_key or access_token", error_type="TokenException", http_status=403)
    return SessionExpired(evidence=evidence)


class Held:
    """An answer that does not come before a test lets it: the order is in flight meanwhile."""

    def __init__(self, then: Answer) -> None:
        self.began = threading.Event()
        self._go = threading.Event()
        self._then = then

    def __call__(self, broker: ScriptedBroker, order: Order) -> Outcome:
        self.began.set()
        assert self._go.wait(60), "nobody let the answer go"
        return self._then(broker, order)

    def go(self) -> None:
        self._go.set()


# How a cancel or a modification can go.


def ends_it(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    if broker.rows[order_id].state is not BookState.WORKING:
        return cannot_be_cancelled(broker, order_id)
    broker.end(order_id, BookState.CANCELLED)
    return Accepted(broker_order_id=order_id)


def is_taken_only(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    """The request was taken; the book does not show anything of it yet."""
    return Accepted(broker_order_id=order_id)


def cannot_be_cancelled(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    message = f"Order cannot be cancelled as it is already {broker.rows[order_id].status.lower()}"
    return Refused(evidence=Evidence(message=message, error_type="OrderException", http_status=400))


def is_being_processed(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    message = "Order cannot be cancelled as it is being processed. Try later."
    return Refused(evidence=Evidence(message=message, error_type="OrderException", http_status=400))


def loses_the_reply(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    return Unknown(evidence=Evidence(message="read timed out", error_type="ReadTimeout"))


def is_filled_first(broker: ScriptedBroker, order_id: BrokerOrderId) -> Outcome:
    """The market was faster: what remains is filled before the request is looked at."""
    row = broker.rows[order_id]
    broker.trade(order_id, row.quantity - row.filled_quantity)
    return cannot_be_cancelled(broker, order_id)


MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
