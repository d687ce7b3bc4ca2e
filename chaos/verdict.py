"""The proof: what the broker has, what the ledger says and how the workflows ended, row by row, to share and paisa."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from chaos.account import TIMEOUT
from chaos.operating import Halt
from chaos.venue import Row, Trade
from durable_orders.activities.external_orders import LATE
from durable_orders.sandbox.fault_kinds import FaultKind
from durable_orders.trading.ledger.positions import Position
from durable_orders.trading.ledger.reading import FeedEvent
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderIntent, OrderType, Side, Status, Validity, order_id, tag_of
from durable_orders.trading.orders.tags import of_order
from durable_orders.trading.reconciliation.external_orders import ExternalKind

ENDS = {
    BookState.COMPLETE: Status.FILLED,
    BookState.CANCELLED: Status.CANCELLED,
    BookState.EXPIRED: Status.EXPIRED,
    BookState.REJECTED: Status.REJECTED,
}
GRACE = timedelta(seconds=TIMEOUT)
"""What leaves before its deadline may be taken as late as its answer may come."""
ON_ITS_WAY = timedelta(seconds=1)
MAY_REST = (OrderType.LIMIT, OrderType.SL)


BUNCHED = 0.1
"""Seconds: after such a stall, requests that left in two seconds may be counted in one. That no more than the limit
were taken is proved all the same."""


@dataclass(frozen=True)
class Evidence:
    """Everything that is looked at, read when nothing moved any more."""

    account: str
    intents: Sequence[OrderIntent]
    ended: Mapping[str, Order]
    """How the workflows ended, by order id."""
    ledger: Mapping[str, Order]
    events: Mapping[str, Sequence[FeedEvent]]
    unsettled: Sequence[str]
    positions: Sequence[Position]
    rows: Sequence[Row]
    trades: Sequence[Trade]
    their_positions: Sequence[Mapping[str, Any]]
    tally: Mapping[str, Any]
    halts: Sequence[Halt]
    ledger_went_back: bool
    """Whether an older ledger was put in its place."""
    secrets_in: Sequence[str]
    """Files of the home that hold a secret and should not."""
    longest_stall: float
    """Seconds for which the machine stood still."""

    @cached_property
    def by_tag(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(of_order(row.tag or ""), []).append(row)
        return found

    @cached_property
    def trades_of(self) -> dict[str, list[Trade]]:
        found: dict[str, list[Trade]] = {}
        for trade in self.trades:
            found.setdefault(trade.broker_order_id, []).append(trade)
        return found

    @cached_property
    def foreign(self) -> frozenset[str]:
        return frozenset(self.tally["foreign"])

    def adopted(self, kind: ExternalKind, row: Row) -> Order | None:
        return self.ledger.get(order_id(self.account, f"{kind}-{row.broker_order_id}"))

    def alerted(self, own_id: str) -> bool:
        return any(event.type is EventType.ALERT for event in self.events.get(own_id, ()))


def violations(evidence: Evidence) -> list[str]:
    """Everything that is not as it must be, in words. Empty is the proof."""
    return [words for check in CHECKS for words in check(evidence)]


def ends_are_proved(evidence: Evidence) -> Iterator[str]:
    """Every workflow has ended, as the ledger says and as the broker's row has it."""
    for intent in evidence.intents:
        ended, recorded = evidence.ended.get(intent.order_id), evidence.ledger.get(intent.order_id)
        if ended is None or recorded is None:
            yield f"{intent.order_id}: lost (workflow {ended and ended.status}, ledger {recorded and recorded.status})"
            continue
        if not ended.status.terminal or recorded.status is not ended.status:
            yield f"{intent.order_id}: workflow {ended.status}, ledger {recorded.status}"
        yield from _own_row(evidence, ended, recorded)


def _own_row(evidence: Evidence, ended: Order, recorded: Order) -> Iterator[str]:
    rows = evidence.by_tag.get(of_order(ended.tag), [])
    own = next((row for row in rows if row.broker_order_id == recorded.broker_order_id), None)
    if own is None:
        if rows or recorded.broker_order_id is not None:
            yield f"{ended.order_id}: {ended.status}, but the broker has {_ids(rows)}"
        return
    if ended.broker_order_id is None or _came_late(evidence, ended):
        yield from _late_arrival(evidence, ended, recorded)
    elif ended.status is not _end_of(own, ended) and not _late_part(evidence, ended):
        yield f"{ended.order_id}: {ended.status}, but its row is {own.status}"
    elif (ended.quantity, ended.price) != (own.quantity, own.price):
        yield f"{ended.order_id}: {ended.quantity} at {ended.price}, but its row {own.quantity} at {own.price}"
    yield from _same_fills(evidence, recorded, own)
    if ended.broker_order_id is not None and ended.fills != recorded.fills and not _late_part(evidence, ended):
        yield f"{ended.order_id}: the workflow and the ledger have different fills"


def _late_part(evidence: Evidence, ended: Order) -> bool:
    """Whether a part of a split order was shown after its end: told, and booked by the watch."""
    is_split = ended.instructions is not None and ended.instructions.splits
    return is_split and ended.status in (Status.REJECTED, Status.CANCELLED) and evidence.alerted(ended.order_id)


def _came_late(evidence: Evidence, ended: Order) -> bool:
    """Whether it was given up and booked when it came after all, and a run that was behind has read so since."""
    words = LATE.partition("{")[0]
    told = any(words in event.message for event in evidence.events.get(ended.order_id, ()))
    return told and ended.status in (Status.REJECTED, Status.CANCELLED)


def _late_arrival(evidence: Evidence, ended: Order, recorded: Order) -> Iterator[str]:
    """Given up before the book showed it: told, and never left working (`nothing_works_unfollowed`)."""
    if ended.status not in (Status.REJECTED, Status.CANCELLED):
        yield f"{ended.order_id}: {ended.status} without a row of its own"
    if not evidence.alerted(recorded.order_id):
        yield f"{ended.order_id}: arrived late and was not reported"


def _same_fills(evidence: Evidence, recorded: Order, row: Row) -> Iterator[str]:
    trades = evidence.trades_of.get(row.broker_order_id, [])
    theirs = Counter((trade.quantity, trade.price) for trade in trades)
    ours = Counter((fill.quantity, fill.price) for fill in recorded.fills)
    if ours != theirs or recorded.filled_quantity != row.filled_quantity:
        yield f"{recorded.order_id}: filled {recorded.filled_quantity}, but the broker {row.filled_quantity}"
    elif trades:
        value = sum((trade.price * trade.quantity for trade in trades), Decimal(0))
        if recorded.average_price != (value / row.filled_quantity).quantize(Decimal("0.0001")):
            yield f"{recorded.order_id}: average {recorded.average_price}"


def twins_are_reported(evidence: Evidence) -> Iterator[str]:
    """One order at the broker for each intent, but for twins that the ledger tells of and that have ended."""
    for intent in evidence.intents:
        rows = evidence.by_tag.get(of_order(tag_of(intent.order_id)), [])
        recorded = evidence.ledger.get(intent.order_id)
        if len(rows) > 1 and intent.order_type not in MAY_REST:
            yield f"{intent.order_id}: an order at the market was sent {len(rows)} times: {_ids(rows)}"
        for row in rows:
            if recorded is not None and row.broker_order_id != recorded.broker_order_id:
                yield from _twin(evidence, row)


def _twin(evidence: Evidence, row: Row) -> Iterator[str]:
    twin = evidence.adopted(ExternalKind.DUPLICATE, row)
    if twin is None and evidence.ledger_went_back:  # whose twin it is was forgotten
        twin = evidence.adopted(ExternalKind.EXTERNAL, row)
    if twin is None or not evidence.alerted(twin.order_id):
        yield f"{row.broker_order_id}: a twin that nobody reported"
    elif not twin.status.terminal:
        yield f"{twin.order_id}: is {twin.status}"
    else:
        yield from _same_fills(evidence, twin, row)


def strangers_are_left_alone(evidence: Evidence) -> Iterator[str]:
    """Orders of somebody else are in the ledger as they stand, and nobody cancelled them."""
    for row in (row for row in evidence.rows if row.broker_order_id in evidence.foreign):
        known = evidence.adopted(ExternalKind.EXTERNAL, row)
        if known is None or not evidence.alerted(known.order_id):
            yield f"{row.broker_order_id}: somebody else's order that was not adopted"
            continue
        if row.state is BookState.CANCELLED:
            yield f"{known.order_id}: somebody else's order was cancelled"
        if known.status.terminal is (row.state is BookState.WORKING):
            yield f"{known.order_id}: {known.status}, but its row is {row.status}"
        yield from _same_fills(evidence, known, row)


def nothing_works_unfollowed(evidence: Evidence) -> Iterator[str]:
    """All of our orders were cancelled in the end, so whatever still works was forgotten."""
    for row in evidence.rows:
        if row.state is BookState.WORKING and row.broker_order_id not in evidence.foreign:
            yield f"{row.broker_order_id}: still {row.status} at the broker"


def nothing_was_sent_late(evidence: Evidence) -> Iterator[str]:
    for intent in evidence.intents:
        for row in evidence.by_tag.get(of_order(tag_of(intent.order_id)), []):
            if intent.place_by is not None and row.placed_at > intent.place_by + GRACE:
                late = (row.placed_at - intent.place_by).total_seconds()
                yield f"{intent.order_id}: taken {late:.1f} s after its deadline"


def nothing_was_sent_after_a_halt(evidence: Evidence) -> Iterator[str]:
    """What has left before may still have been on its way."""
    for row in evidence.rows:
        for halt in evidence.halts:
            if halt.since + ON_ITS_WAY < row.placed_at < halt.until and row.broker_order_id not in evidence.foreign:
                late = (row.placed_at - halt.since).total_seconds()
                yield f"{row.broker_order_id}: taken {late:.1f} s after the account was halted"


def nothing_went_to_another_account(evidence: Evidence) -> Iterator[str]:
    yield from (f"{number} orders went to the account of {user}" for user, number in evidence.tally["others"].items())


def positions_agree(evidence: Evidence) -> Iterator[str]:
    """To the share, as the broker shows them; and what was paid for them, to the paisa."""
    theirs = {(f"{p['exchange']}:{p['tradingsymbol']}", p["product"]): p["quantity"] for p in evidence.their_positions}
    ours = {(p.symbol, p.product.value): p.quantity for p in evidence.positions}
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key, 0) != ours.get(key, 0):
            yield f"{key}: the broker holds {theirs.get(key, 0)}, the ledger {ours.get(key, 0)}"
    paid: Counter[tuple[str, str]] = Counter()
    for trade in evidence.trades:
        paid[trade.symbol, trade.product] += Side(trade.side).sign * trade.quantity * trade.price  # type: ignore[assignment]
    booked = {(p.symbol, p.product.value): p.open_value - p.realized_pnl for p in evidence.positions}
    for key in sorted(paid.keys() | booked.keys()):
        if paid.get(key, 0) != booked.get(key, 0):
            yield f"{key}: {paid.get(key, 0)} rupees were paid, the ledger has {booked.get(key, 0)}"


def nothing_is_unknown(evidence: Evidence) -> Iterator[str]:
    """The book can be read, so nothing may be left that is not known."""
    yield from (f"{own}: still unsettled" for own in evidence.unsettled)
    for order in evidence.ledger.values():
        if order.status in (Status.UNKNOWN, Status.PENDING):
            yield f"{order.order_id}: still {order.status}"


def events_are_whole(evidence: Evidence) -> Iterator[str]:
    """Where the ledger was taken back to an older one, those since its backup are gone, and no number comes twice."""
    for own_id, events in evidence.events.items():
        numbers = [event.sequence for event in events]
        if sorted(set(numbers)) != numbers:
            yield f"{own_id}: its events are not in order: {numbers}"
        elif not evidence.ledger_went_back and numbers != list(range(len(numbers))):
            yield f"{own_id}: its events have gaps: {numbers}"


def limits_were_kept(evidence: Evidence) -> Iterator[str]:
    peaks = evidence.tally["order_requests"]
    if peaks["most_in_a_second"] > 10 or peaks["most_in_a_minute"] > 400:
        yield f"too many order requests: {peaks}"
    if evidence.longest_stall > BUNCHED:
        return
    refused = sum(answers.get("429", 0) for answers in evidence.tally["requests"].values())
    if refused > evidence.tally["faults"].get(FaultKind.TOO_MANY_REQUESTS, 0):
        yield f"{refused} requests were answered 429, more than the faults were"


def secrets_are_kept(evidence: Evidence) -> Iterator[str]:
    yield from (f"{file}: holds a secret" for file in evidence.secrets_in)


CHECKS = (
    ends_are_proved,
    twins_are_reported,
    strangers_are_left_alone,
    nothing_works_unfollowed,
    nothing_was_sent_late,
    nothing_was_sent_after_a_halt,
    nothing_went_to_another_account,
    positions_agree,
    nothing_is_unknown,
    events_are_whole,
    limits_were_kept,
    secrets_are_kept,
)


def _end_of(row: Row, order: Order) -> Status | None:
    """How a row's end reads. Kite's CANCELLED of an IOC order is one that ran out."""
    end = ENDS.get(row.state)
    return Status.EXPIRED if end is Status.CANCELLED and order.validity is Validity.IOC else end


def _ids(rows: Iterable[Row]) -> str:
    return ", ".join(f"{row.broker_order_id} {row.status}" for row in rows) or "nothing"
