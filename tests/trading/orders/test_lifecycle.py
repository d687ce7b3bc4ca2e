"""The rules of `lifecycle.py`, proved over whatever can happen, in whatever order and however often."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.lifecycle import (
    TRANSITIONS,
    AnswerLost,
    Approved,
    CancelRequested,
    Cause,
    Event,
    MissingFromBook,
    ProvedAbsent,
    Receipt,
    Refused,
    Reported,
    Withdrawn,
    step,
)
from durable_orders.trading.orders.order import (
    TERMINAL,
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Product,
    Side,
    SignOff,
    Status,
    TradeId,
    Validity,
)
from tests.trading.orders.strategies import PROVE, START, events, intents, moments, reports, small, texts

END_OF = {
    BookState.COMPLETE: Status.FILLED,
    BookState.CANCELLED: Status.CANCELLED,
    BookState.EXPIRED: Status.EXPIRED,
    BookState.REJECTED: Status.REJECTED,
}
OURS = BrokerOrderId("250105000000001")
FIXED = ("order_id", "client_order_id", "account", "tag", "symbol", "side", "product", "created_at")


def judged(before: Order, event: Event, at: datetime) -> Order:
    """The order after the event, once every rule has been held against it."""
    after = step(before, event, at)
    assert step(after, event, at + timedelta(hours=1)) is after, "the same event again changes nothing"
    assert after.fills[: len(before.fills)] == before.fills, "what was booked stays booked"
    assert after.filled_quantity == sum(fill.quantity for fill in after.fills) >= before.filled_quantity
    assert len({fill.trade_id for fill in after.fills}) == len(after.fills), "each trade once"
    assert {fill.broker_order_id for fill in after.fills} <= {after.broker_order_id}, "no other order's trades"
    assert after.reasons[: len(before.reasons)] == before.reasons
    assert after.cancel_requested >= before.cancel_requested
    assert after.updated_at >= before.updated_at
    assert (after is before) == (after == before)
    assert all(getattr(after, field) == getattr(before, field) for field in FIXED)
    assert before.broker_order_id in (None, after.broker_order_id)
    if after.status is Status.PENDING:
        assert after.broker_order_id is None, "what the broker has is not pending"
    if after.status is Status.UNKNOWN and before.status is not Status.UNKNOWN:
        assert (after.broker_order_id is not None) is isinstance(event, MissingFromBook), (
            "unknown is what the book had only"
        )
    if after.status is not before.status:
        assert after.status in {TRANSITIONS.get((before.status, cause)) for cause in Cause}
        assert not before.status.terminal
    if isinstance(event, CancelRequested):
        assert (after is before) == (before.status.terminal or before.cancel_requested)
    assert after.status.terminal == (before.status.terminal or ends(before, event, after.filled_quantity))
    return after


def ends(order: Order, event: Event, filled: int) -> bool:
    """Whether the event proves the end of an open order whose trades now add up to `filled` (rule 4)."""
    if isinstance(event, Refused | Withdrawn):
        return order.status is Status.PENDING
    if isinstance(event, MissingFromBook):
        return not event.amended and order.filled_quantity >= order.quantity
    if not isinstance(event, Reported) or order.broker_order_id not in (None, event.report.row.broker_order_id):
        return False
    row = event.report.row
    if row.state is BookState.COMPLETE:
        return filled >= row.quantity and filled > 0
    return row.state is not BookState.WORKING and filled >= row.filled_quantity


@PROVE
@given(intents(), st.lists(st.tuples(events, moments), max_size=10))
def test_the_rules_hold_whatever_happens(intent: OrderIntent, story: list[tuple[Event, datetime]]) -> None:
    order = Order.from_intent(intent, START)
    for event, at in story:
        order = judged(order, event, at)
    assert Order.model_validate_json(order.model_dump_json()) == order


@PROVE
@given(intents(), reports, moments)
def test_a_proved_end_is_the_one_that_the_book_shows(intent: OrderIntent, report: OrderReport, at: datetime) -> None:
    order = step(Order.from_intent(intent, START), Reported(report), at)
    if order.status.terminal:
        assert order.status is END_OF[report.row.state]
    else:
        assert order.status is (Status.PARTIAL if order.fills else Status.PLACED)


@st.composite
def retold(draw: st.DrawFn) -> tuple[list[OrderReport], list[OrderReport]]:
    """Reports of one order, and the same ones in another order, some of them twice."""
    shown = [
        OrderReport(replace(report.row, broker_order_id=OURS), report.fills)
        for report in draw(st.lists(reports, min_size=1, max_size=4))
    ]
    again = draw(st.lists(st.sampled_from(shown), max_size=3))
    return shown, draw(st.permutations(shown + again))


@PROVE
@given(intents(), retold())
def test_the_same_trades_are_booked_in_whatever_order_they_are_told(
    intent: OrderIntent, told: tuple[list[OrderReport], list[OrderReport]]
) -> None:
    booked = []
    for story in told:
        order = Order.from_intent(intent, START)
        for report in story:
            order = judged(order, Reported(report), START)
        booked.append({fill.trade_id for fill in order.fills})
    assert booked[0] == booked[1] == {f.trade_id for r in told[0] for f in r.fills if f.broker_order_id == OURS}


@PROVE
@given(intents(), reports, texts, moments)
def test_what_the_book_has_shown_is_not_unsaid(
    intent: OrderIntent, report: OrderReport, reason: str, at: datetime
) -> None:
    shown = step(Order.from_intent(intent, START), Reported(report), at)
    for denial in (Refused((reason,)), Withdrawn(reason), AnswerLost(reason), ProvedAbsent(reason)):
        assert step(shown, denial, at) is shown


@PROVE
@given(intents(), reports, moments)
def test_an_answer_that_comes_after_the_book_has_shown_the_order_says_nothing_new(
    intent: OrderIntent, report: OrderReport, at: datetime
) -> None:
    """However much of it had traded, and even if it is gone from the book by then."""
    shown = step(Order.from_intent(intent, START), Reported(report), at)
    for known in (shown, step(shown, MissingFromBook("not in today's book"), at)):
        assert step(known, Receipt(report.row.broker_order_id), at) is known


# The table.


def reachable(status: Status) -> set[Status]:
    """Every status that can follow, at any distance."""
    found: set[Status] = set()
    ahead = [status]
    while ahead:
        here = ahead.pop()
        following = {after for (before, _), after in TRANSITIONS.items() if before is here} - found
        found |= following
        ahead += following
    return found


def test_no_transition_leaves_a_terminal_status() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] in TERMINAL]


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_every_open_status_can_reach_every_end(status: Status) -> None:
    assert reachable(status) >= TERMINAL


def test_every_status_and_every_trigger_is_of_use() -> None:
    assert reachable(Status.PENDING) | {Status.PENDING} == set(Status)
    assert {cause for _, cause in TRANSITIONS} == set(Cause)


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_the_book_can_prove_an_end_in_every_open_status(status: Status) -> None:
    proofs = {Cause.COMPLETE, Cause.CANCEL, Cause.EXPIRE, Cause.REJECT}
    assert {TRANSITIONS[status, cause] for cause in proofs} == TERMINAL


def test_denials_apply_only_before_the_book_has_shown_the_order() -> None:
    denials = (Cause.REFUSE, Cause.WITHDRAW, Cause.LOSE, Cause.ABSENT)
    assert {pair for pair in product(Status, denials) if pair in TRANSITIONS} == {
        (Status.PENDING, Cause.REFUSE),
        (Status.PENDING, Cause.WITHDRAW),
        (Status.PENDING, Cause.LOSE),
        (Status.UNKNOWN, Cause.ABSENT),
    }


# An order and a broker's book that live side by side.


class OrderBesideItsBook(RuleBasedStateMachine):
    """The broker works the order; what the order hears of it is late, doubled, torn or lost.

    A row and the trades are two reads, so each look pairs any row there ever was with any number of the trades.
    """

    @initialize(quantity=st.integers(min_value=1, max_value=12))
    def record(self, quantity: int) -> None:
        intent = OrderIntent(
            symbol="NSE:INFY", side=Side.BUY, quantity=quantity, order_type=OrderType.LIMIT, price=Decimal(1500)
        )
        self.now = START
        self.order = Order.from_intent(intent, START)
        self.rows: list[BrokerOrder] = []
        self.trades: list[Fill] = []

    def hear(self, event: Event) -> None:
        self.now += timedelta(seconds=1)
        self.order = judged(self.order, event, self.now)

    def show(self, quantity: int, state: BookState) -> None:
        filled = sum(trade.quantity for trade in self.trades)
        if state is BookState.WORKING and filled == quantity:
            state = BookState.COMPLETE
        self.rows.append(
            BrokerOrder(
                broker_order_id=OURS,
                tag=self.order.tag,
                symbol=self.order.symbol,
                side=Side.BUY,
                product=Product.MIS,
                order_type=OrderType.LIMIT,
                validity=Validity.DAY,
                quantity=quantity,
                filled_quantity=filled,
                price=Decimal(1500),
                trigger_price=None,
                status=state.value,
                state=state,
                message=None,
                placed_at=START,
                updated_at=self.now,
            )
        )

    @property
    def works(self) -> bool:
        return bool(self.rows) and self.rows[-1].state is BookState.WORKING

    @precondition(lambda self: not self.rows and not self.order.status.terminal)
    @rule()
    def broker_takes_it(self) -> None:
        self.show(self.order.quantity, BookState.WORKING)

    @precondition(lambda self: not self.rows)
    @rule(event=st.sampled_from([Refused(("no margin",)), Withdrawn("changed my mind"), ProvedAbsent("not there")]))
    def hear_that_it_is_not_there(self, event: Event) -> None:
        self.hear(event)

    @rule()
    def lose_the_answer(self) -> None:
        self.hear(AnswerLost("timeout"))

    @precondition(lambda self: self.rows)
    @rule()
    def hear_the_receipt(self) -> None:
        self.hear(Receipt(OURS))

    @rule()
    def ask_for_a_cancel(self) -> None:
        self.hear(CancelRequested("enough"))

    @precondition(lambda self: self.rows and sum(t.quantity for t in self.trades) < self.rows[-1].quantity)
    @rule(quantity=small)
    def trade(self, quantity: int) -> None:
        """Also after the end: the exchange reports a trade that crossed the cancel."""
        row = self.rows[-1]
        quantity = min(quantity, row.quantity - row.filled_quantity)
        trade_id = TradeId(f"T{len(self.trades)}")
        self.trades.append(
            Fill(trade_id=trade_id, broker_order_id=OURS, quantity=quantity, price=Decimal(1500), at=self.now)
        )
        self.show(row.quantity, row.state)

    @precondition(lambda self: self.works)
    @rule(total=st.integers(min_value=1, max_value=20))
    def amend(self, total: int) -> None:
        """To below what is filled: the broker amends to what is filled (FIX D12)."""
        self.show(max(total, self.rows[-1].filled_quantity), BookState.WORKING)

    @precondition(lambda self: self.works)
    @rule(state=st.sampled_from([BookState.CANCELLED, BookState.EXPIRED, BookState.REJECTED]))
    def end(self, state: BookState) -> None:
        self.show(self.rows[-1].quantity, state)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.rows))
        seen = data.draw(st.permutations(self.trades))[: data.draw(st.integers(min_value=0, max_value=9))]
        self.hear(Reported(OrderReport(row, tuple(seen))))

    @invariant()
    def no_outcome_is_guessed(self) -> None:
        assert set(self.order.fills) <= set(self.trades)
        if self.rows and self.order.status.terminal:
            assert self.order.status is END_OF[self.rows[-1].state]

    def teardown(self) -> None:
        """Whatever was missed: one look at everything, and the order agrees with the book."""
        if not getattr(self, "rows", None):
            return
        last = self.rows[-1]
        self.hear(Reported(OrderReport(last, tuple(self.trades))))
        assert set(self.order.fills) == set(self.trades)
        if last.state is BookState.WORKING:
            assert self.order.status is (Status.PARTIAL if self.trades else Status.PLACED)
            assert self.order.quantity == last.quantity
        else:
            assert self.order.status is END_OF[last.state]


TestOrderBesideItsBook = OrderBesideItsBook.TestCase
TestOrderBesideItsBook.settings = PROVE


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, False), (3600, False)])
def test_an_approval_counts_only_before_its_deadline(seconds: int, counts: bool) -> None:
    """The worker may have been away when that passed, and hear of both at once."""
    intent = OrderIntent(symbol="NSE:INFY", side=Side.BUY, quantity=10, order_type=OrderType.MARKET)
    needed_by = START + timedelta(minutes=10)
    waiting = Order.from_intent(intent, START).changed(approval=SignOff(needed_by=needed_by))
    after = step(waiting, Approved("by user asha", needed_by + timedelta(seconds=seconds)), START)
    assert after.awaits_approval is not counts
