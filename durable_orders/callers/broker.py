"""A caller's broker object: a wrapper that takes a mapping, one that takes names, or Kite's own client."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_orders.callers.figures import exact, first_of, moment_of
from durable_orders.callers.methods import Form, call_as, form_of, method_of
from durable_orders.trading.brokers.kite.outcomes import Ending, outcome_of
from durable_orders.trading.errors import BookUnreadable
from durable_orders.trading.orders.book import STATES
from durable_orders.trading.orders.lifecycle import ENDS, next_status
from durable_orders.trading.orders.order import Amendment, BrokerOrderId, OrderType, Status
from durable_orders.trading.orders.outcome import Accepted, Evidence, NotSent, Outcome, Refused, Unknown

BOOKS = ("get_orders", "orders", "order_book", "get_order_book")
"""What the method may be called that shows all orders of the day."""
FILLED_NAMES = ("filled_quantity", "filled_qty")
VARIETY = "regular"
AT_MARKET = (OrderType.MARKET, OrderType.SL_M)
MAPPINGS = ("changes", "payload", "params", "updates", "modifications", "order")
"""What the argument may be called that takes all that changes of an order."""
LET_KITE_CHOOSE = -1
"""Kite's market protection, without which it refuses MARKET and SL-M orders."""
WORDS = {word: next_status(Status.PLACED, ENDS[state]) for word, state in STATES.items()} | {
    "FILLED": Status.FILLED,
    "EXECUTED": Status.FILLED,
    "PARTIAL": Status.PARTIAL,
    "PARTIALLY_FILLED": Status.PARTIAL,
    "PARTLY FILLED": Status.PARTIAL,
    "CANCELED": Status.CANCELLED,
    "EXPIRED": Status.EXPIRED,
}
"""Every other word, known or not, is one of an order that works (Kite documentation, order statuses)."""
NO_ANSWER = frozenset({"ERROR", "FAILED", "FAILURE", "TIMEOUT", "UNKNOWN"})
"""What wrappers answer after an error of whatever kind: it does not say that nothing was placed."""


@dataclass(frozen=True, slots=True)
class Line:
    """An order as the caller's broker shows it."""

    order_id: str
    status: Status
    word: str
    """The broker's own."""
    symbol: str | None
    """Without an exchange."""
    side: str | None
    quantity: int | None
    filled_quantity: int
    """Cumulative."""
    average_price: Decimal | None
    """Rupees."""
    message: str | None
    tags: frozenset[str]
    placed_at: datetime | None
    shown: Any
    """As it came."""

    @property
    def is_end(self) -> bool:
        """Whether its word is that of an end, whatever its figures say."""
        return WORDS.get(self.word, Status.PLACED).terminal

    @property
    def contradicts_itself(self) -> bool:
        """Whether its figures do not prove the end that it shows: filled in part alone, or at no price."""
        is_at_no_price = self.average_price is None and (self.filled_quantity > 0 or self.status is Status.FILLED)
        return self.is_end and (is_at_no_price or not self.status.terminal)


@dataclass(frozen=True, slots=True)
class Book:
    """One reading of all orders of the day."""

    lines: tuple[Line, ...]
    nameless: tuple[Line, ...]
    """Rows without an order id: which orders they are, their tags alone can tell. They prove no absence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call ended in, and what the answer itself showed of the order."""

    outcome: Outcome
    line: Line | None = None
    shown: Any = None


class CallersBroker:
    """Nothing is ever sent twice from here: each call is made once."""

    def __init__(self, broker: Any) -> None:
        """Raises `TypeError` for a broker without `place_order`."""
        self.broker = broker
        place = method_of(broker, "place_order")
        if place is None:
            raise TypeError(f"broker: a {type(broker).__name__} has no place_order()")
        self._place = place
        self._forms = _forms_of(place)

    def place(self, payload: Mapping[str, Any]) -> Answer:
        """Send an order, once. `payload` has `symbol`, `side`, `qty`, `order_type`, `product`, `validity`, `price`,
        `trigger_price`, `exchange` and `tag`. Never raises: what the call raised is part of the answer.
        """
        try:
            shown = self._forms(self._place, payload)
        except Exception as error:
            return Answer(_raised(error))
        return _answer(shown)

    def cancel(self, order_id: str) -> Outcome:
        """Ask for a cancel. `Accepted` means that the request was taken."""
        cancel = method_of(self.broker, "cancel_order")
        if cancel is None:
            return Refused(evidence=Evidence(message="the broker object has no cancel_order()"))
        try:
            call_as(cancel, ((), {"variety": VARIETY, "order_id": order_id}), ((order_id,), {}))
        except Exception as error:
            return _raised(error)
        return Accepted(broker_order_id=BrokerOrderId(order_id))

    def modify(self, order_id: str, change: Amendment) -> Outcome:
        """Ask for a change, once. `Accepted` means that the request was taken."""
        modify = method_of(self.broker, "modify_order")
        if modify is None:
            return Refused(evidence=Evidence(message="the broker object has no modify_order()"))
        try:
            form = form_of(modify, *_changes(order_id, change))
        except TypeError as error:
            return Refused(evidence=Evidence(message=str(error)))
        try:
            modify(*form[0], **form[1])
        except Exception as error:
            return _raised(error)
        return Accepted(broker_order_id=BrokerOrderId(order_id))

    def book(self) -> Book:
        """All orders of the day. Raises `BookUnreadable`, also for a book where what a row says of an order cannot be
        read: a row that is not understood must not be taken for an absence.
        """
        read = method_of(self.broker, *BOOKS)
        if read is None:
            raise BookUnreadable("the broker object has neither get_orders() nor orders()")
        try:
            shown = read()
        except Exception as error:
            raise BookUnreadable(f"the broker's orders cannot be read: {error}") from error
        if isinstance(shown, Mapping):
            shown = first_of(shown, "data", "orders")
        if not isinstance(shown, list | tuple):
            raise BookUnreadable(f"the broker's orders must be a list, were a {type(shown).__name__}")
        nameless = [row for row in shown if not _order_id(row)]
        try:
            for row in nameless:
                _must_be_an_order(row)
            return Book(tuple(line_of(row) for row in shown if _order_id(row)), tuple(map(_line_of, nameless)))
        except ValueError as error:
            raise BookUnreadable(f"a row of the broker's orders cannot be read: {error}") from None

    def rows(self, name: str, part: str) -> list[Any]:
        """What the method of that name shows: a list of mappings, or one under the key `part`. Raises
        `BookUnreadable`."""
        read = method_of(self.broker, name)
        if read is None:
            raise BookUnreadable(f"the broker object has no {name}()")
        try:
            shown = read()
        except Exception as error:
            raise BookUnreadable(f"the broker's {name} cannot be read: {error}") from error
        rows = first_of(shown, part) if isinstance(shown, Mapping) else shown
        if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
            raise BookUnreadable(f"the broker's {name} must be a list of mappings, were a {type(rows).__name__}")
        return list(rows)


def line_of(row: Any) -> Line:
    """A row of an order book, a postback, or an order update. Raises `ValueError` for one without an order id, or with
    figures that are none.
    """
    if not _order_id(row):
        raise ValueError("order_id: must be there")
    return _line_of(row)


def _line_of(row: Any) -> Line:
    word = str(first_of(row, "status") or "").strip().upper()
    quantity = _whole(first_of(row, "quantity", "qty"), "quantity")
    filled = _whole(first_of(row, *FILLED_NAMES), "filled_quantity")
    status = WORDS.get(word, Status.PLACED)
    if filled is None:
        filled = quantity or 0 if status is Status.FILLED else 0
    average = first_of(row, "average_price", "avg_price", *(["price"] if status is Status.FILLED else []))
    symbol = first_of(row, "tradingsymbol", "symbol")
    side = first_of(row, "transaction_type", "side")
    message = first_of(row, "status_message", "message")
    return Line(
        order_id=_order_id(row),
        status=_believed(status, filled, quantity),
        word=word,
        symbol=str(symbol).rpartition(":")[2] if symbol else None,
        side=str(getattr(side, "value", side)).upper() if side else None,
        quantity=quantity,
        filled_quantity=filled,
        average_price=exact(average, "average_price") if average and (filled or status is Status.FILLED) else None,
        message=str(message) if message else None,
        tags=_tags(row),
        placed_at=moment_of(first_of(row, "order_timestamp", "created_at", "timestamp")),
        shown=row,
    )


def _must_be_an_order(row: Any) -> None:
    """A wrapper may answer with an error where it has no orders: that is no book, and least of all an empty one. Raises
    `ValueError`."""
    if first_of(row, "tradingsymbol", "symbol") is None:
        raise ValueError("order_id: must be there, or else the symbol of an order")


def _order_id(row: Any) -> str:
    """Empty where the row has none."""
    found = first_of(row, "order_id", "orderid", "id", "kite_order_id")
    return "" if found is None else str(found)


def _tags(row: Any) -> frozenset[str]:
    return frozenset(str(tag) for tag in [first_of(row, "tag"), *(first_of(row, "tags") or [])] if tag)


def _believed(status: Status, filled: int, quantity: int | None) -> Status:
    """A fill is whole when it adds up; a working order of which some has filled is PARTIAL, whatever its word."""
    if status is Status.FILLED and quantity is not None and filled < quantity:
        return Status.PARTIAL if filled else Status.PLACED
    if status is Status.PLACED and filled:
        return Status.PARTIAL
    return Status.PLACED if status is Status.PARTIAL and not filled else status


def _answer(shown: Any) -> Answer:
    """A receipt is an order id, alone or in a mapping or an object. A rejection may come without one."""
    if isinstance(shown, str | int) and not isinstance(shown, bool) and str(shown):
        return Answer(Accepted(broker_order_id=BrokerOrderId(str(shown))), None, shown)
    if isinstance(shown, Mapping) and isinstance(shown.get("data"), Mapping):
        shown = shown["data"]
    word = str(first_of(shown, "status") or "").strip().upper()
    words = str(first_of(shown, "status_message", "message", "error") or word or "no order id in the answer")
    try:
        line = line_of(shown)
    except ValueError as error:
        outcome: Outcome = Unknown(evidence=Evidence(message=f"{words} ({error})"))
        if word == "REJECTED":
            outcome = Refused(evidence=Evidence(message=words))
        return Answer(outcome, None, shown)
    if word in NO_ANSWER:
        return Answer(Unknown(evidence=Evidence(message=words)), None, shown)
    return Answer(Accepted(broker_order_id=BrokerOrderId(line.order_id)), line, shown)


def _raised(error: Exception) -> Outcome:
    """What an exception proves. Kite's carry the HTTP status of the answer; others prove nothing.

    Never that nothing was sent: a connection that was refused, a limit that was hit, may be of something that the
    object did after it had placed the order.
    """
    code = getattr(error, "code", None)
    status = code if isinstance(code, int) else None
    outcome = outcome_of(Ending(error, status, type(error).__name__, str(error) or type(error).__name__))
    return Unknown(evidence=outcome.evidence) if isinstance(outcome, NotSent) else outcome


def _forms_of(place: Callable[..., Any]) -> Callable[[Callable[..., Any], Mapping[str, Any]], Any]:
    """How this `place_order` wants to be called, read off its signature."""
    try:
        parameters = inspect.signature(place).parameters
    except (TypeError, ValueError):
        return _with_the_mapping
    kinds = {parameter.kind for parameter in parameters.values()}
    if "tradingsymbol" in parameters or "transaction_type" in parameters:
        return _as_kite
    named = [one for one in parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    if "side" in parameters or (not named and inspect.Parameter.VAR_KEYWORD in kinds):
        return _by_name
    return _with_the_mapping


def _with_the_mapping(place: Callable[..., Any], payload: Mapping[str, Any]) -> Any:
    return place(dict(payload))


def _by_name(place: Callable[..., Any], payload: Mapping[str, Any]) -> Any:
    quantity = {"quantity": payload["qty"]} if "quantity" in inspect.signature(place).parameters else {}
    return place(**_taken_by(place, {**payload, **quantity}))


def _as_kite(place: Callable[..., Any], payload: Mapping[str, Any]) -> Any:
    terms = {
        "variety": VARIETY,
        "exchange": payload["exchange"],
        "tradingsymbol": str(payload["symbol"]).rpartition(":")[2],
        "transaction_type": payload["side"],
        "quantity": payload["qty"],
        "product": payload["product"],
        "order_type": payload["order_type"],
        "price": payload["price"],
        "validity": payload["validity"],
        "trigger_price": payload["trigger_price"],
        "tag": payload["tag"],
    }
    if payload["order_type"] in AT_MARKET:
        terms["market_protection"] = LET_KITE_CHOOSE
    return place(**_taken_by(place, terms))


def _changes(order_id: str, change: Amendment) -> tuple[Form, ...]:
    """How a change may be asked for: as Kite's client is, by names, or with one mapping of what changes."""
    asked = change.model_dump(exclude_none=True)
    named: dict[str, Any] = {
        name: float(value) if isinstance(value, Decimal) else getattr(value, "value", value)
        for name, value in asked.items()
    }
    older = {"qty" if name == "quantity" else name: value for name, value in named.items()}
    protected = {"market_protection": LET_KITE_CHOOSE} if change.order_type in AT_MARKET else {}
    mapping = named | ({"qty": change.quantity} if change.quantity is not None else {})
    return (
        ((), {"variety": VARIETY, "order_id": order_id, **named, **protected}),
        ((), {"variety": VARIETY, "order_id": order_id, **named}),
        ((), {"order_id": order_id, **named}),
        ((), {"order_id": order_id, **older}),
        *(((), {"order_id": order_id, name: mapping}) for name in MAPPINGS),
    )


def _taken_by(place: Callable[..., Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the function has names for, and all of them for one that takes any."""
    parameters = inspect.signature(place).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    return {name: value for name, value in terms.items() if takes_any or name in parameters}


def _whole(value: Any, field: str) -> int | None:
    return None if value is None or value == "" else int(exact(value, field))
