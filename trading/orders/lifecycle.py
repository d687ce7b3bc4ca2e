"""An order's life: one table, and the pure step `(order, event) -> order`.

Rules
-----
1. Everything that changes an order's status goes through `step`. No I/O and no clock in here: times come with
   the events.
2. The filled quantity never goes down, and it is always the sum of the fills. Fills are known by trade id, so the
   same trade reported twice is one fill (FIX: unique ExecID).
3. A terminal status is never left. A trade that turns up after the end is still booked: the outcome of an order
   is (filled quantity, average price), never the status alone (FIX matrix D4; Kite forum 8676).
4. An end is proved by the book. A row that says the order is over is believed only when the trades add up to what
   the row says was filled; until then the order goes on working and is looked at again. Once that has lasted so long
   that it is UNKNOWN (VANISH), the same row does not bring it back.
5. A pair that is not in the table changes nothing. So every event applied twice changes nothing either.
6. An autoslice order is several rows of the book, shown as one. It is over when all of them are
   (`trading/orders/slices.py`).
7. The terms are the broker's: a working row restates quantity, price, trigger and type (Kite: `quantity` of a
   modification is the new total; FIX D10 to D12).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from durable_orders.trading.orders import slices
from durable_orders.trading.orders.book import BookState, OrderReport
from durable_orders.trading.orders.order import BrokerOrderId, Order, OrderType, Status, Terms, TradeId
from durable_orders.trading.orders.settlement import Settlement


class Cause(StrEnum):
    """What can happen to an order."""

    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    ACCEPT = "accept"
    LOSE = "lose"
    ABSENT = "absent"
    WORK = "work"
    FILL = "fill"
    COMPLETE = "complete"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REJECT = "reject"
    VANISH = "vanish"


S, T = Status, Cause

TRANSITIONS: dict[tuple[Status, Cause], Status] = {
    (S.PENDING, T.REFUSE): S.REJECTED,  # by the guardian, the deadline or the broker; nothing is out there
    (S.PENDING, T.WITHDRAW): S.CANCELLED,  # cancelled before it was sent
    (S.PENDING, T.ACCEPT): S.PLACED,
    (S.PENDING, T.LOSE): S.UNKNOWN,
    (S.PENDING, T.WORK): S.PLACED,  # the book shows it before the answer is back
    (S.PENDING, T.FILL): S.PARTIAL,
    (S.PENDING, T.COMPLETE): S.FILLED,
    (S.PENDING, T.CANCEL): S.CANCELLED,
    (S.PENDING, T.EXPIRE): S.EXPIRED,  # an IOC that found nobody, within the answer
    (S.PENDING, T.REJECT): S.REJECTED,
    #
    (S.UNKNOWN, T.ACCEPT): S.PLACED,  # the answer was late, not lost
    (S.UNKNOWN, T.ABSENT): S.PENDING,  # proved never placed: what happens next is decided afresh
    (S.UNKNOWN, T.WORK): S.PLACED,
    (S.UNKNOWN, T.FILL): S.PARTIAL,
    (S.UNKNOWN, T.COMPLETE): S.FILLED,
    (S.UNKNOWN, T.CANCEL): S.CANCELLED,
    (S.UNKNOWN, T.EXPIRE): S.EXPIRED,
    (S.UNKNOWN, T.REJECT): S.REJECTED,
    #
    (S.PLACED, T.FILL): S.PARTIAL,
    (S.PLACED, T.COMPLETE): S.FILLED,
    (S.PLACED, T.CANCEL): S.CANCELLED,  # asked for or not: FIX unsolicited cancel
    (S.PLACED, T.EXPIRE): S.EXPIRED,
    (S.PLACED, T.REJECT): S.REJECTED,  # a receipt is not an acceptance: RMS and the exchange come later
    #
    (S.PLACED, T.VANISH): S.UNKNOWN,  # Kite's book is of one day: its end was not seen, and a human has to say it
    #
    (S.PARTIAL, T.COMPLETE): S.FILLED,
    (S.PARTIAL, T.CANCEL): S.CANCELLED,  # keeps its fills
    (S.PARTIAL, T.EXPIRE): S.EXPIRED,  # keeps its fills
    (S.PARTIAL, T.REJECT): S.REJECTED,  # keeps its fills; Kite: do not assume that a REJECTED row has none
    (S.PARTIAL, T.VANISH): S.UNKNOWN,  # keeps its fills; whether there were more is not known
}
"""`(status, trigger) -> status`. PLACED and PARTIAL know no REFUSE, LOSE or ABSENT: the book outweighs an answer. Nor
is an order ABSENT that has a broker order id."""

ENDS: dict[BookState, Cause] = {
    BookState.COMPLETE: T.COMPLETE,
    BookState.CANCELLED: T.CANCEL,
    BookState.EXPIRED: T.EXPIRE,
    BookState.REJECTED: T.REJECT,
}

PROVED_ENDS = frozenset(ENDS.values())
COMPLETE, FILL, WORK = T.COMPLETE, T.FILL, T.WORK
UNKNOWN = Status.UNKNOWN
SHOWN = ("quantity", "price", "trigger_price", "order_type")
"""The terms that a row may restate."""

BY_HAND: dict[Status, Cause] = {
    Status.FILLED: T.COMPLETE,
    Status.CANCELLED: T.CANCEL,
    Status.EXPIRED: T.EXPIRE,
    Status.REJECTED: T.REJECT,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """Somebody with the right to say no said no, and nothing is at the broker."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Cancelled before anything was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Approved:
    """A person lets it be sent."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Declined:
    """A person does not let it be sent."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The broker's answer to a placement: its id for the order."""

    broker_order_id: BrokerOrderId
    slices: tuple[BrokerOrderId, ...] = ()
    """Of an autoslice order: all that was made of it."""
    refusals: tuple[str, ...] = ()
    """Of an autoslice order: what was not taken of it, and why."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The placement may or may not have reached the broker."""

    reason: str


@dataclass(frozen=True, slots=True)
class ProvedAbsent:
    """The book was read through the whole settle window and does not have the order."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reported:
    """The book's row and trades."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class MissingFromBook:
    """The book of its day is over, and today's does not have it. Its trades prove its end if they add up to all of it;
    nothing else does."""

    reason: str
    amended: bool = False
    """Whether a change was asked for that the book never showed: then it is not known what all of it is."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A human has said what became of an order that nothing can prove any more, and on what evidence."""

    settlement: Settlement


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants it gone. Changes no status: only the book, or never having been sent, ends an order."""

    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A sentence for the record, such as an amendment that the broker refused."""

    reason: str


Event = (
    Refused
    | Withdrawn
    | Approved
    | Declined
    | Receipt
    | AnswerLost
    | ProvedAbsent
    | Reported
    | MissingFromBook
    | Settled
    | CancelRequested
    | Noted
)


def step(order: Order, event: Event, at: datetime) -> Order:
    """The order after the event, which became known at `at`. The same object if nothing changed."""
    changed = changes(order, event)
    if not changed:
        return order
    return order.changed(**changed, updated_at=max(at, order.updated_at))


def changes(order: Order, event: Event) -> dict[str, Any]:
    """The fields that the event changes, with their new values; what stays as it is is left out."""
    return news(order, _STEPS[type(event)](order, event))


def news(order: Order, wanted: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that the order does not have."""
    return {field: value for field, value in wanted.items() if getattr(order, field) != value}


def next_status(status: Status, cause: Cause) -> Status:
    """The table, looked up. A pair that is not in it changes nothing."""
    return TRANSITIONS.get((status, cause), status)


def _moved(order: Order, cause: Cause, *reasons: str) -> dict[str, Any]:
    """Status and reasons after a trigger; a trigger that does not apply leaves no reason behind."""
    status = next_status(order.status, cause)
    if status is order.status:
        return {}
    return {"status": status, "reasons": _with_reasons(order, *reasons)}


def _with_reasons(order: Order, *reasons: str) -> tuple[str, ...]:
    told = [_storable(reason) for reason in reasons]
    return order.reasons + tuple(reason for reason in told if reason and reason not in order.reasons)


def _storable(text: str) -> str:
    """The broker's words without what UTF-8 and PostgreSQL cannot hold: lone surrogates and NUL."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _refused(order: Order, event: Refused) -> dict[str, Any]:
    return _moved(order, T.REFUSE, *event.reasons)


def _withdrawn(order: Order, event: Withdrawn) -> dict[str, Any]:
    return _moved(order, T.WITHDRAW, event.reason)


def _approved(order: Order, event: Approved) -> dict[str, Any]:
    if not order.awaits_approval or order.approval is None:
        return {}
    if order.approval.needed_by is not None and event.at >= order.approval.needed_by:
        return {}  # nobody worked at its deadline: it counts all the same
    return {"approval": order.approval.model_copy(update={"approved_by": event.who, "approved_at": event.at})}


def _declined(order: Order, event: Declined) -> dict[str, Any]:
    if not order.awaits_approval:
        return {}
    why = f": {event.reason}" if event.reason else ""
    return _moved(order, T.REFUSE, f"DECLINED: {event.who}{why}")


def _receipt(order: Order, event: Receipt) -> dict[str, Any]:
    known: dict[str, Any] = {"broker_order_id": order.broker_order_id or event.broker_order_id}
    if event.slices:
        known |= {"slices": order.slices or event.slices, "reasons": _with_reasons(order, *event.refusals)}
    if order.broker_order_id is not None:
        return known  # the book has shown the order already: where it stands is the book's to say
    return known | {"status": next_status(order.status, T.ACCEPT)}


def _answer_lost(order: Order, event: AnswerLost) -> dict[str, Any]:
    return _moved(order, T.LOSE, event.reason)


def _proved_absent(order: Order, event: ProvedAbsent) -> dict[str, Any]:
    return {} if order.broker_order_id is not None else _moved(order, T.ABSENT, event.reason)


def _vanished(order: Order, event: MissingFromBook) -> dict[str, Any]:
    if not event.amended and order.filled_quantity >= order.quantity:
        return _moved(order, T.COMPLETE, f"{event.reason}; its trades add up to all of it")
    return _moved(order, T.VANISH, event.reason)


def _settled(order: Order, event: Settled) -> dict[str, Any]:
    settlement = event.settlement
    if settlement.problem_with(order) is not None:
        return {}
    fill = settlement.fill_of(order)
    return {
        "broker_order_id": order.broker_order_id or settlement.broker_order_id,
        "fills": order.fills if fill is None else (*order.fills, fill),
        **_moved(order, BY_HAND[settlement.status], settlement.words),
    }


def _cancel_requested(order: Order, event: CancelRequested) -> dict[str, Any]:
    if order.cancel_requested or order.status.terminal:
        return {}
    return {"cancel_requested": True, "reasons": _with_reasons(order, event.reason)}


def _noted(order: Order, event: Noted) -> dict[str, Any]:
    return {"reasons": _with_reasons(order, event.reason)}


Known = TypeVar("Known", bound="Trade")


class Row(Protocol):
    """What is read of a row of the book: a `BrokerOrder`, or the exchange's own order where both are in one process."""

    @property
    def broker_order_id(self) -> BrokerOrderId: ...
    @property
    def state(self) -> BookState: ...
    @property
    def message(self) -> str | None: ...
    @property
    def quantity(self) -> int: ...
    @property
    def filled_quantity(self) -> int: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def trigger_price(self) -> Decimal | None: ...
    @property
    def order_type(self) -> OrderType: ...


class Trade(Protocol):
    """What is read of a trade: a `Fill`, or the exchange's own where both are in one process."""

    @property
    def trade_id(self) -> TradeId: ...
    @property
    def broker_order_id(self) -> BrokerOrderId: ...
    @property
    def quantity(self) -> int: ...


def _reported(order: Order, event: Reported) -> dict[str, Any]:
    row = event.report.row
    if not order.is_autosliced:
        return reported(order, row, event.report.fills)
    if slices.is_short(order, row) or order.broker_order_id not in (None, row.broker_order_id):
        return {}
    known = {"slices": order.slices or slices.ids_of(row)}
    return known | reported(order, slices.as_asked(order, row), event.report.fills)


def reported(order: Order, row: Row, seen: tuple[Trade, ...]) -> dict[str, Any]:
    """What a row and its trades change of the order: what stays as it is is left out."""
    own, known_id = row.broker_order_id, order.broker_order_id
    if known_id is not None and known_id != own:
        return {}  # a twin's row: the account watch deals with it, this order keeps its own
    known: tuple[Trade, ...] = order.fills
    fills = merged(known, seen, own) if seen else known
    filled = sum([fill.quantity for fill in fills])
    before = order.status
    proof = proved_by(row, filled)
    is_doubtful = before is UNKNOWN and known_id is not None and row.state in ENDS
    status = before if is_doubtful and proof not in PROVED_ENDS else TRANSITIONS.get((before, proof), before)
    told: dict[str, Any] = {} if before.terminal else _terms(order, row)
    if known_id is None:
        told["broker_order_id"] = own
    if len(fills) > len(known):
        told["fills"] = fills
    if status is not before:
        told["status"] = status
        if status.terminal and row.message:
            told["reasons"] = _with_reasons(order, row.message)
    return told


def merged(known: tuple[Known, ...], seen: tuple[Known, ...], broker_order_id: BrokerOrderId) -> tuple[Known, ...]:
    """Both, each trade once, in the order in which they became known. Trades of other orders are left out."""
    if not known and len(seen) == 1:
        return seen if seen[0].broker_order_id == broker_order_id else ()
    have = {fill.trade_id for fill in known}
    fresh = {f.trade_id: f for f in seen if f.trade_id not in have and f.broker_order_id == broker_order_id}
    return known + tuple(fresh.values())


def proved_by(row: Row, filled: int) -> Cause:
    """What a row proves, given how much the trades add up to (rule 4)."""
    end = ENDS.get(row.state)
    if end is not None:
        needed = max(row.quantity, 1) if end is COMPLETE else row.filled_quantity
        if filled >= needed:
            return end
    return FILL if filled else WORK


def _terms(order: Order, row: Row) -> dict[str, Any]:
    """The row's terms, where they can stand. A row that shows less filled than is known is old: keep ours."""
    if (
        row.quantity == order.quantity
        and row.price == order.price
        and row.trigger_price == order.trigger_price
        and row.order_type is order.order_type
    ) or row.filled_quantity < order.filled_quantity:
        return {}
    shown = {field: new for field in SHOWN if (new := getattr(row, field)) != getattr(order, field)}
    kept = {field: getattr(order, field) for field in Terms.model_fields}
    try:
        Terms(**kept | shown)
    except ValidationError:
        return {}
    return shown


_STEPS: dict[type, Callable[[Order, Any], dict[str, Any]]] = {
    Refused: _refused,
    Withdrawn: _withdrawn,
    Approved: _approved,
    Declined: _declined,
    Receipt: _receipt,
    AnswerLost: _answer_lost,
    ProvedAbsent: _proved_absent,
    Reported: _reported,
    MissingFromBook: _vanished,
    Settled: _settled,
    CancelRequested: _cancel_requested,
    Noted: _noted,
}
