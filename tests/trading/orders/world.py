"""A broker, its book, people and a driver around one order's process: whatever they do is drawn by Hypothesis.

An honest broker answers by what it did, and its book shows an order that it has after a lag at most. Another one
answers, and shows, anything. Every rule of `process.py` is held at every step.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from hypothesis import strategies as st

from durable_orders.trading.orders import actions, lifecycle, outcome
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.events import Entry
from durable_orders.trading.orders.lookup import Absent, BookLookup, Found, Unreadable
from durable_orders.trading.orders.order import (
    Amendment,
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
from durable_orders.trading.orders.process import Misread, OrderProcess
from durable_orders.trading.orders.record import OnRecord, OrderRecord
from durable_orders.trading.orders.settlement import Settlement
from durable_orders.trading.orders.verdict import Approval, Existing, Policy, Refusal, Refusals, Verdict
from tests.trading.orders.strategies import START

T = TypeVar("T")

QUANTITY = 4
LAG = timedelta(seconds=5)
"""For so long an honest book may not show an order that it has; shorter than the settle window."""
POLICY = Policy(
    place_by=START + timedelta(minutes=2),
    max_retries=3,
    retry_delay=1,
    settle_window=10,
    settle_interval=2,
    resend_after_settle=True,
    safety_interval=30,
)
WHY = outcome.Evidence(message="as drawn")
NOT_TAKEN: list[outcome.Outcome] = [outcome.Unknown(evidence=WHY), outcome.Refused(evidence=WHY)]
UNSENT = (outcome.Refused, outcome.NotSent, outcome.SessionExpired)
ENDS = (BookState.COMPLETE, BookState.CANCELLED, BookState.EXPIRED, BookState.REJECTED)


class Watched(OrderRecord):
    """Keeps what has happened to the order."""

    def __init__(self, order: Order, sequence: int = 0) -> None:
        super().__init__(order, sequence)
        self.happened: list[lifecycle.Event] = []
        self.at_the_end: list[lifecycle.Event] = []
        """What had happened when the order ended."""

    def apply(self, event: lifecycle.Event, now: datetime) -> None:
        before = self.order
        super().apply(event, now)
        if self.order is not before:
            self.happened.append(event)
            if self.order.status.terminal and not before.status.terminal:
                self.at_the_end = [*self.happened]


class World:
    def __init__(self, data: st.DataObject, *, honest: bool) -> None:
        self.data = data
        self.honest = honest
        self.now = START
        order_type = self.draw([OrderType.LIMIT, OrderType.MARKET])
        price = Decimal(100) if order_type is OrderType.LIMIT else None
        terms = {"symbol": "NSE:INFY", "side": Side.BUY, "quantity": QUANTITY, "order_type": order_type, "price": price}
        approve = self.draw([False, False, True])
        self.order = Order.from_intent(OrderIntent(**terms, client_order_id="one", approve=approve), START)
        self.policy = POLICY.model_copy(update={"place_by": START + self.draw([timedelta(seconds=9), LAG * 24])})
        self.process = OrderProcess(Watched(self.order))
        self.rows: list[BrokerOrder] = []
        self.trades: list[Fill] = []
        self.shown_from = START
        self.answers: list[outcome.Outcome] = []
        """To the placements."""
        self.happened_before = 0
        """The last of them."""
        self.recorded: list[Entry] = []
        self.is_unsettled = False
        self.last_look: BookLookup | None = None
        self.asked = self.replied = 0
        self.is_calm = False

    def draw(self, choices: list[T]) -> T:
        return self.data.draw(st.sampled_from(choices))

    def chance(self, one_in: int) -> bool:
        return not self.is_calm and self.draw([*range(one_in)]) == one_in - 1

    def play(self, steps: int) -> bool:
        """Whether the order is done after so many steps."""
        for _ in range(steps):
            action = self.process.next(self.now, hand_over=self.chance(4))
            if isinstance(action, actions.HandOver):
                self.hand_over()
                continue
            assert self.process.next(self.now) == action, "asked twice, it says the same"
            self.judge(action)
            if isinstance(action, actions.Done):
                return True
            self.perform(action)
        return False

    # The rules.

    def judge(self, action: actions.Action) -> None:
        process, order = self.process, self.process.order
        if isinstance(action, actions.Cancel):
            assert order.cancel_requested, "a cancel waits for no record, and for nobody who did not ask for it"
        if isinstance(action, actions.Place | actions.Wait | actions.CheckAmendment | actions.Done):
            assert not process.record.entries, "what happened is recorded before the next step"
            assert self.is_unsettled == process.is_unsettled, "the ledger knows whether new risk may be taken"
        if isinstance(action, actions.Place):
            self.judge_placement()
        if isinstance(action, actions.Wait) and order.status is Status.PENDING:
            assert action.until is not None
            assert action.until <= self.policy.place_by, "it waits to be sent until its deadline at the latest"
        if isinstance(action, actions.Wait) and order.status is Status.UNKNOWN:
            cannot_tell = isinstance(self.last_look, Unreadable) or action.until is None
            assert process.is_unsettled == cannot_tell, "no new risk while nothing can tell"
        if order.status is not Status.UNKNOWN:
            assert not process.is_unsettled
        if isinstance(action, actions.Done):
            self.judge_end()

    def judge_placement(self) -> None:
        order = self.process.order
        assert not order.awaits_approval, "never before a person has approved it"
        assert not self.process.approved.is_before_sign_off, "never before the guardian has judged it once more"
        assert order.status is Status.PENDING
        assert self.now < self.policy.place_by, "never late"
        assert not order.cancel_requested, "never against a cancel"
        assert not self.process.was_taken_up, "never after another may have sent it"
        if self.answers:
            since = self.happened[self.happened_before :]
            is_proved_absent = any(isinstance(event, lifecycle.ProvedAbsent) for event in since)
            assert is_proved_absent or isinstance(self.answers[-1], UNSENT), "never twice without a proof"
            begun = [number for number, answer in enumerate(self.answers, 1) if not is_unbegun(answer)]
            assert self.process.attempts.proved >= max(begun, default=0), "the ledger is told what is proved"
            fires = order.order_type in (OrderType.MARKET, OrderType.SL_M)
            assert not (fires and is_proved_absent), "what fires at the market is never sent again"

    def judge_end(self) -> None:
        order = self.process.order
        assert order.status.terminal
        assert self.replied == self.asked, "every amendment is answered"
        assert not self.recorded or self.recorded[-1].status is order.status
        record = watched(self.process)
        if not record.at_the_end:
            return  # it had ended before this process
        *before, end = record.at_the_end
        if isinstance(end, lifecycle.Refused | lifecycle.Withdrawn | lifecycle.Declined):
            lost = [number for number, event in enumerate(before) if isinstance(event, lifecycle.AnswerLost)]
            proofs = (
                [event for event in before[lost[-1] :] if isinstance(event, lifecycle.ProvedAbsent)] if lost else []
            )
            assert len(proofs) == (1 if lost else 0), "what may have been sent is refused only after a proof"
        elif isinstance(end, lifecycle.Reported):
            row = end.report.row
            assert row.state in ENDS, "the book shows an end"
            needed = row.quantity if row.state is BookState.COMPLETE else row.filled_quantity
            assert order.filled_quantity >= needed, "and its trades add up to it"
        elif isinstance(end, lifecycle.MissingFromBook):
            assert order.filled_quantity >= order.quantity
        else:
            assert isinstance(end, lifecycle.Settled), "or a human has said it"

    @property
    def happened(self) -> list[lifecycle.Event]:
        return watched(self.process).happened

    # The driver.

    def hand_over(self) -> None:
        before = self.process
        assert not before.record.entries
        record = Watched(before.order, before.record.sequence)
        record.happened = self.happened
        self.process = OrderProcess(record, before.policy, replace(before.attempts), was_taken_up=before.was_taken_up)

    def perform(self, action: actions.Action) -> None:
        process = self.process
        match action:
            case actions.Record(entries, is_unsettled):
                self.record(entries, is_unsettled=is_unsettled)
            case actions.Reply():
                self.replied += 1
                process.replied()
            case actions.Wait(until):
                self.wait(until)
            case actions.CheckAmendment():
                refusal = Refusal(code="NO", message="as drawn")
                process.amendment_checked((refusal,) if self.chance(3) else ())
            case actions.CheckWatch():
                process.watch_checked(self.draw([None, 1.0, 31.0]))
            case actions.Recall():
                self.recall()
            case _:
                self.ask(action)

    def ask(self, action: actions.Action) -> None:
        process = self.process
        if isinstance(action, actions.Place):
            self.place()
            return
        self.meanwhile()
        match action:
            case actions.Admit():
                process.admitted(self.verdict(), self.now, takes_up=self.chance(8))
            case actions.Find():
                self.last_look = self.look()
                process.looked(self.last_look, self.now)
            case actions.Cancel():
                process.cancel_answered(self.cancel(), self.now)
            case actions.Modify(change):
                process.modify_answered(self.modify(change), self.now)

    def record(self, entries: tuple[Entry, ...], *, is_unsettled: bool) -> None:
        assert entries
        self.recorded += entries
        numbers = [entry.sequence for entry in self.recorded]
        assert numbers == [*range(numbers[0], numbers[0] + len(numbers))], "every entry once, in its order"
        self.is_unsettled = is_unsettled
        self.process.recorded()

    def recall(self) -> None:
        """The ledger has what was recorded, or nothing."""
        process = self.process
        record, attempts = process.record, process.attempts
        written = record.sequence - len(record.entries)
        known = OnRecord(order=process.order, sequence=written, attempt=attempts.number, not_sent=attempts.proved)
        process.recalled(known if self.recorded else None, self.now)

    def wait(self, until: datetime | None) -> None:
        if self.chance(2) or until is None:
            self.hear()
        if self.process.is_interrupted:
            self.process.interrupted()
            return
        if until is None:  # nobody can tell any more but a human
            self.process.hear(lifecycle.Settled(self.settlement()))
            self.process.interrupted()
            return
        self.now = max(self.now, until)
        self.process.time_passed()

    def meanwhile(self) -> None:
        self.now += timedelta(seconds=0 if self.is_calm else self.draw([0, 1, 3, 12]))
        if self.chance(3):
            self.hear()

    def hear(self) -> None:
        """Something is told, at a moment at which the process has not asked."""
        process = self.process
        kinds = ["report", "report", "cancel", "wake", "amend", "misread", "gone", "settle"]
        kind = self.draw([*kinds, *(["decide"] * 4 if self.order.approval is not None else [])])
        if kind == "report":
            report = self.report() if self.honest else self.any_report()
            if report is not None:
                process.hear(lifecycle.Reported(report))
        elif kind == "cancel":
            process.hear(lifecycle.CancelRequested("cancel requested: drawn"))
        elif kind == "wake":
            self.draw([process.wake, process.was_reset])()
        elif kind == "amend" and not process.order.status.terminal:
            self.asked += 1
            process.hear_amendment(Amendment(quantity=self.draw([QUANTITY, QUANTITY + 1])))
        elif kind == "decide":
            self.decide()
        elif kind == "misread":
            process.hear(Misread("the signal did not fit"))
        elif not self.honest:
            self.hear_the_end(kind)

    def hear_the_end(self, kind: str) -> None:
        process = self.process
        if kind == "gone":
            process.hear(lifecycle.MissingFromBook("its day is over", amended=self.draw([True, False])))
        elif kind == "settle" and process.is_unsettled:
            settlement = self.settlement()
            if settlement.problem_with(process.order) is None:
                process.hear(lifecycle.Settled(settlement))

    def decide(self) -> None:
        who = "by one who looked"
        lets_it = self.draw([True, True, False])
        self.process.hear(lifecycle.Approved(who, self.now) if lets_it else lifecycle.Declined(who, "as drawn"))

    def settlement(self) -> Settlement:
        order = self.process.order
        whole = order.filled_quantity >= order.quantity
        return Settlement(status=Status.FILLED if whole else Status.EXPIRED, evidence="the contract note")

    # The guardian and the broker.

    def verdict(self) -> Verdict:
        kind = "approved" if self.is_calm else self.draw(["approved"] * 6 + ["refused", "existing"])
        if kind == "existing" and self.recorded:  # the second time, after an approval: it is this run's own
            kind = "approved"
        if kind == "refused":
            return Refusals(refusals=(Refusal(code="NO", message="as drawn"),))
        if kind == "approved":
            return self.approval()
        order = self.order
        if self.chance(2):
            self.take(order)
            if self.chance(2):
                order = lifecycle.step(order, lifecycle.Receipt(self.rows[0].broker_order_id), START)
        return Existing(order=order, same_content=True, sequence=self.draw([0, 5]), policy=self.policy)

    def approval(self) -> Approval:
        """An order that a person has yet to approve is not to be sent by it, and waits until a deadline of its own."""
        if not self.process.order.awaits_approval:
            return Approval(policy=self.policy)
        needed_by = START + timedelta(seconds=8)
        before = self.policy.model_copy(update={"place_by": needed_by, "is_before_sign_off": True})
        return Approval(policy=before, approval=SignOff(needed_by=needed_by))

    def place(self) -> None:
        self.happened_before = len(self.happened)
        attempts = self.process.attempts
        assert attempts.number == len(self.answers), "attempts are numbered from one"
        self.answers.append(self.placed())
        self.meanwhile()
        self.process.place_answered(self.answers[-1], self.now)

    def placed(self) -> outcome.Outcome:
        choices: list[outcome.Outcome] = [
            outcome.Accepted(broker_order_id=self.new_id()),
            outcome.Unknown(evidence=WHY),
            outcome.Unknown(evidence=WHY),
            outcome.NotSent(evidence=WHY),
            outcome.NotSent(evidence=WHY, tried=False),
            outcome.SessionExpired(evidence=WHY),
            outcome.Refused(evidence=WHY),
        ]
        answer = choices[0] if self.is_calm else self.draw(choices)
        if isinstance(answer, UNSENT) and self.draw([True, False]):
            answer = answer.model_copy(update={"attempt": len(self.answers) + 1})
        is_lost = isinstance(answer, outcome.Unknown)
        if isinstance(answer, outcome.Accepted) or (is_lost and self.draw([True, False])):
            row = self.take(self.process.order)
            if isinstance(answer, outcome.Accepted) and self.chance(2):
                return answer.model_copy(update={"report": OrderReport(row, ())})
        return answer

    def new_id(self) -> BrokerOrderId:
        return BrokerOrderId(f"25010500000000{len(self.rows) + 1}")

    def take(self, order: Order) -> BrokerOrder:
        row = BrokerOrder(
            broker_order_id=self.new_id(),
            tag=order.tag,
            symbol=order.symbol,
            side=order.side,
            product=Product.MIS,
            order_type=order.order_type,
            validity=Validity.DAY,
            quantity=order.quantity,
            filled_quantity=0,
            price=order.price,
            trigger_price=None,
            status="OPEN",
            state=BookState.WORKING,
            message=None,
            placed_at=self.now,
            updated_at=self.now,
        )
        self.rows.append(row)
        self.shown_from = self.now + (timedelta(0) if self.is_calm else self.draw([timedelta(0), LAG]))
        return row

    def trade(self) -> None:
        """The exchange works on the order."""
        row = self.rows[-1]
        if row.state is not BookState.WORKING:
            return
        kind = self.draw(["rest", "fill", "complete", "reject"])
        if kind in ("fill", "complete"):
            more = 1 if kind == "fill" else row.quantity - row.filled_quantity
            number, own = TradeId(f"T{len(self.trades)}"), row.broker_order_id
            fill = Fill(trade_id=number, broker_order_id=own, quantity=more, price=Decimal(100), at=self.now)
            self.trades.append(fill)
            row = replace(row, filled_quantity=row.filled_quantity + more)
        if row.filled_quantity >= row.quantity:
            row = replace(row, state=BookState.COMPLETE)
        elif kind == "reject":
            row = replace(row, state=BookState.REJECTED)
        self.rows[-1] = row

    def report(self) -> OrderReport | None:
        """What an honest book shows of it now."""
        if not self.rows or self.now < self.shown_from:
            return None
        if not self.is_calm:
            self.trade()
        row = self.rows[-1]
        return OrderReport(row, tuple(fill for fill in self.trades if fill.broker_order_id == row.broker_order_id))

    def any_report(self) -> OrderReport | None:
        """Anything that has the order's tag."""
        if not self.rows:
            self.take(self.process.order)
        self.trade()
        row = replace(self.rows[0], state=self.draw([*BookState]), filled_quantity=self.draw([0, 1, QUANTITY]))
        return OrderReport(row, tuple(self.trades[: self.draw([0, 1, 9])]))

    def look(self) -> BookLookup:
        if self.chance(4):
            return Unreadable(evidence=WHY)
        if not self.honest and self.chance(2):
            return Absent(rows=0)
        report = self.report() if self.honest else self.any_report()
        return Absent(rows=0) if report is None else Found(report=report)

    def cancel(self) -> outcome.Outcome:
        if self.chance(2):
            return self.draw(NOT_TAKEN)
        row = self.rows[-1] if self.rows else self.take(self.process.order)
        if row.state is BookState.WORKING:
            self.rows[-1] = replace(row, state=BookState.CANCELLED)
        return outcome.Accepted(broker_order_id=row.broker_order_id)

    def modify(self, change: Amendment) -> outcome.Outcome:
        if self.chance(2) or not self.rows:
            return self.draw(NOT_TAKEN)
        row = self.rows[-1]
        if row.state is BookState.WORKING and change.quantity is not None:
            self.rows[-1] = replace(row, quantity=change.quantity)
        return outcome.Accepted(broker_order_id=row.broker_order_id)


def watched(process: OrderProcess) -> Watched:
    assert isinstance(process.record, Watched)
    return process.record


def is_unbegun(answer: outcome.Outcome) -> bool:
    """Whether the attempt ended before the ledger was told that it begins."""
    return isinstance(answer, UNSENT) and answer.attempt == 0
