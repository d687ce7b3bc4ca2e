"""An order explained from its evidence: what was recorded of it, and nothing else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from durable_orders.json_text import rupees
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.reading import FeedEvent, events_of
from durable_orders.trading.ledger.reservations import Sending, judged_of, sending_of
from durable_orders.trading.orders.decision import sign_off_words
from durable_orders.trading.orders.judged import Judged
from durable_orders.trading.orders.order import Order, Status, is_adopted

NOT_RECORDED = (
    "With what figures {} passed its checks is not recorded: an earlier version checked it, or the ledger was rebuilt "
    "without the old one."
)


class Evidence(NamedTuple):
    """What was recorded of an order, beside itself."""

    events: Sequence[FeedEvent] = ()
    sending: Sending | None = None
    judged: Sequence[Judged | None] = ()
    """How it, and each change of it, stood against the limits when it passed; `None` where that was not recorded."""
    has_passed: bool = False
    """Whether it passed the checks. Of what was found in the broker's book nobody here knows."""

    def checks(self) -> list[dict[str, Any] | None]:
        """`judged` with names, for whoever asks."""
        return [None if each is None else each.as_dict() for each in self.judged]


def evidence_of(connection: sa.Connection, order: Order) -> Evidence:
    own = order.order_id
    sending = sending_of(connection, own)
    has_passed = sending is not None and not is_adopted(own)
    return Evidence(events_of(connection, own), sending, judged_of(connection, own), has_passed)


def explained_order(order: Order, evidence: Evidence) -> str:
    """What was wanted, where it stands and what proves that, how it stood against the limits, what was sent, and each
    step as it was recorded."""
    parts = [_wanted(order), _stands(order), *_sent(order, evidence.sending), *_trades(order), *_why(order)]
    parts += checked(evidence)
    if evidence.events:
        parts.append("Step by step, as recorded (IST):")
        parts += [f"- {_clock(event.at)} {event.type.value}: {event.message}" for event in evidence.events]
    else:
        parts.append("No worker has taken it yet: nothing of it is recorded but the intent, and nothing was sent.")
    return "\n".join(parts)


def proof_of(connection: sa.Connection, order: Order) -> list[str]:
    """What proves how it stands, and what was sent: for whoever has its steps, trades and checks already."""
    return [_stands(order), *_sent(order, sending_of(connection, order.order_id))]


def checked(evidence: Evidence) -> list[str]:
    """The figures of the checks that an order, and each change of it, has passed."""
    if not evidence.has_passed:
        return []
    told = []
    for number, each in enumerate(evidence.judged or (None,)):
        what = f"change {number}" if number else "it"
        if each is None:
            told.append(NOT_RECORDED.format(what))
            continue
        told.append(f"At {_clock(each.at)} IST {what} passed {each.checks} checks. Against the limits it stood:")
        told += [f"- {figure}" for figure in each.figures]
    return told


def _clock(at: datetime) -> str:
    return f"{at.astimezone(IST):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def _wanted(order: Order) -> str:
    by = (order.tags or {}).get("by")
    who = f" by {by}" if by else ""
    why = f", because: {order.reason}" if order.reason else ""
    dry = " It is a dry run: it is never sent." if order.dry_run else ""
    terms = f"{order.client_order_id} is {order.summary()} of strategy {order.strategy} in account {order.account}"
    return f"{terms} ({order.mode}), asked for at {_clock(order.created_at)} IST{who}{why}.{dry}"


def _stands(order: Order) -> str:
    average = f" at {rupees(order.average_price)} on average" if order.fills else ""
    filled = f"{order.filled_quantity} of {order.quantity} filled{average}"
    proof = {
        Status.PENDING: "Nothing has been sent.",
        Status.UNKNOWN: "It may or may not be at the broker: an answer was lost or its end was not seen, the broker's "
        "book has not told yet, and the account takes no new risk before it does.",
        Status.PLACED: f"The broker has it as {order.broker_order_id}.",
        Status.PARTIAL: f"The broker has it as {order.broker_order_id}, and its trades are in the book.",
        Status.FILLED: f"Proved by the broker's book: the trades of {order.broker_order_id} add up to all of it.",
        Status.CANCELLED: "It is over; what was filled before stands.",
        Status.REJECTED: "It is over; what was filled before stands.",
        Status.EXPIRED: "It is over; what was filled before stands.",
    }[order.status]
    if order.status.terminal and order.broker_order_id is None:
        proof = "It is over, and the broker never had it."
    if order.awaits_approval and order.approval is not None:
        proof = f"Nothing has been sent: it {sign_off_words(order.approval)}."
    elif order.approval is not None and order.approval.approved_by is not None:
        proof += f" It was {sign_off_words(order.approval)}."
    return f"It is {order.status}, {filled}. {proof}"


def _sent(order: Order, sending: Sending | None) -> list[str]:
    if is_adopted(order.order_id):
        return ["It was found in the broker's book: by what it was sent, and with which checks, is not recorded."]
    if sending is None:
        return ["The guardian has let nothing of it leave: no attempt to send it was made."]
    if not sending.attempt:
        return ["It passed the guardian's checks, and no attempt to send it was made yet."]
    nothing = f"; it is proved that nothing came of the first {sending.not_sent}" if sending.not_sent else ""
    at = f" at {_clock(sending.sent_at)} IST" if sending.sent_at is not None else ""
    price = f", the last price then was {rupees(sending.sent_price)}" if sending.sent_price is not None else ""
    arrival = f", {rupees(sending.arrival_price)} when it was checked" if sending.arrival_price is not None else ""
    tag = f"under tag {order.tag}, by which it is looked up in the book"
    return [f"It was sent {tag}: attempt {sending.attempt}{at}{price}{arrival}{nothing}."]


def _trades(order: Order) -> list[str]:
    told = [(fill, _clock(fill.at)) for fill in order.fills]
    return [f"Trade {fill.trade_id}: {fill.quantity} at {rupees(fill.price)}, {at} IST." for fill, at in told]


def _why(order: Order) -> list[str]:
    return [f"Said of it: {'; '.join(order.reasons)}."] if order.reasons else []
