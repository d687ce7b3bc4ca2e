"""The rules of `process.py`: the world holds them at every step, whatever it draws."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.orders import actions, lifecycle, outcome
from durable_orders.trading.orders.book import BookState, BrokerOrder, OrderReport
from durable_orders.trading.orders.lookup import Absent, Found
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Fill,
    Order,
    OrderIntent,
    OrderType,
    Side,
    Status,
    TradeId,
)
from durable_orders.trading.orders.process import OrderProcess
from durable_orders.trading.orders.record import OnRecord, OrderRecord
from durable_orders.trading.orders.verdict import Existing
from tests.trading.orders.strategies import PROVE, START
from tests.trading.orders.world import POLICY, WHY, World

STEPS = 60
OWN = BrokerOrderId("250105000000001")


@PROVE
@given(st.data())
def test_the_rules_hold_whatever_is_answered_shown_and_asked_for(data: st.DataObject) -> None:
    World(data, honest=False).play(STEPS)


@PROVE
@given(st.data())
def test_an_honest_broker_never_has_it_twice_and_it_comes_to_an_end(data: st.DataObject) -> None:
    world = World(data, honest=True)
    world.play(STEPS)
    assert len(world.rows) <= 1
    world.is_calm = True
    world.process.hear(lifecycle.CancelRequested("cancel requested: enough"))
    assert world.play(300), "a cancel at a broker that answers ends it"
    assert len(world.rows) <= 1
    if world.rows:
        assert world.process.order.filled_quantity == world.rows[0].filled_quantity


def approved() -> OrderProcess:
    """A LIMIT order that is about to be sent."""
    intent = OrderIntent(symbol="NSE:INFY", side=Side.BUY, quantity=4, order_type=OrderType.LIMIT, price=Decimal(100))
    return OrderProcess(OrderRecord(Order.from_intent(intent, START)), POLICY)


def shown(process: OrderProcess, filled: int = 0) -> OrderReport:
    """As the book has it: working, and so much of it filled."""
    order = process.order
    row = BrokerOrder(
        broker_order_id=OWN,
        tag=order.tag,
        symbol=order.symbol,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        validity=order.validity,
        quantity=order.quantity,
        filled_quantity=filled,
        price=order.price,
        trigger_price=None,
        status="OPEN",
        state=BookState.WORKING,
        message=None,
        placed_at=START,
        updated_at=START,
    )
    trade = Fill(trade_id=TradeId("T1"), broker_order_id=OWN, quantity=filled or 1, price=Decimal(100), at=START)
    return OrderReport(row, (trade,) if filled else ())


def recorded(process: OrderProcess, now: datetime = START) -> actions.Action:
    """What is next once everything is recorded."""
    while isinstance(action := process.next(now), actions.Record):
        process.recorded()
    return action


def test_what_is_found_is_followed_without_the_pause_of_the_search() -> None:
    process = approved()
    assert isinstance(process.next(START), actions.Place)
    process.place_answered(outcome.Unknown(evidence=WHY), START)
    assert isinstance(recorded(process), actions.Find)
    process.looked(Absent(rows=0), START)
    assert recorded(process) == actions.Wait(START + timedelta(seconds=POLICY.settle_interval))
    process.hear(lifecycle.CancelRequested("cancel requested: by hand"))
    process.hear(lifecycle.Reported(shown(process)))
    assert process.is_interrupted
    process.interrupted()
    assert isinstance(recorded(process), actions.Cancel)


def test_a_part_filled_order_that_was_gone_and_is_shown_again_goes_on() -> None:
    process = approved()
    process.place_answered(outcome.Accepted(broker_order_id=OWN, report=shown(process, 1)), START)
    assert process.order.status is Status.PARTIAL
    recorded(process)
    process.hear(lifecycle.MissingFromBook("its day is over"))
    process.interrupted()
    assert recorded(process) == actions.WAIT
    process.hear(lifecycle.Reported(shown(process, 1)))
    process.interrupted()
    action = process.next(START)
    assert isinstance(action, actions.Record)
    assert action.entries[-1].message == f"working at the broker as {OWN}, 1 of 4 filled"
    assert not action.is_unsettled
    assert isinstance(recorded(process), actions.Wait)


def test_a_cancel_that_was_taken_is_one_whatever_the_row_is_stamped() -> None:
    """Kite stamps a cancel of after the market, or of its evening's reconciliation, outside of every session."""
    process = approved()
    process.place_answered(outcome.Accepted(broker_order_id=OWN, report=shown(process)), START)
    recorded(process)
    process.hear(lifecycle.CancelRequested("cancel requested: by hand"))
    process.interrupted()
    assert isinstance(recorded(process), actions.Cancel)
    process.cancel_answered(outcome.Accepted(broker_order_id=OWN), START)
    assert isinstance(recorded(process), actions.Find)
    process.looked(Found(report=ran_out(process)), START)
    recorded(process)
    assert process.order.status is Status.CANCELLED


def test_a_cancel_that_was_refused_does_not_rename_an_order_that_ran_out() -> None:
    process = approved()
    process.place_answered(outcome.Accepted(broker_order_id=OWN, report=shown(process)), START)
    recorded(process)
    process.hear(lifecycle.CancelRequested("cancel requested: by hand"))
    process.interrupted()
    assert isinstance(recorded(process), actions.Cancel)
    process.cancel_answered(outcome.Refused(evidence=WHY), START)
    assert isinstance(recorded(process), actions.Find)
    process.looked(Found(report=ran_out(process)), START)
    recorded(process)
    assert process.order.status is Status.EXPIRED


def ran_out(process: OrderProcess) -> OrderReport:
    report = shown(process)
    return replace(report, row=replace(report.row, status="CANCELLED", state=BookState.EXPIRED))


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN, Status.PLACED])
def test_an_order_that_is_taken_up_is_looked_for_and_never_sent(status: Status) -> None:
    """The guardian gives what the ledger has; only the book can tell more."""
    order = approved().order
    order = order.changed(status=status, broker_order_id=OWN if status is Status.PLACED else None)
    process = OrderProcess(OrderRecord(order))
    assert process.next(START) == actions.ADMIT
    process.admitted(Existing(order=order, same_content=True, sequence=3, policy=POLICY), START)
    asked: list[actions.Action] = []
    now = START
    while not process.order.status.terminal and len(asked) < STEPS:
        action = process.next(now)
        asked.append(action)
        match action:
            case actions.Record():
                process.recorded()
            case actions.CheckWatch():
                process.watch_checked(0.0)
            case actions.Find():
                process.looked(Absent(rows=0), now)
            case actions.Wait():
                now = action.until or now
                process.time_passed()
    assert actions.FIND in asked
    assert actions.PLACE not in asked
    expected = Status.PLACED if status is Status.PLACED else Status.REJECTED
    assert process.order.status is expected


def reset(process: OrderProcess, known: OnRecord | None) -> actions.Action:
    """What is next once a run that was reset has read what the ledger has."""
    process.was_reset()
    assert process.is_interrupted
    assert process.next(START, hand_over=True) == actions.RECALL
    process.recalled(known, START)
    return recorded(process)


def test_a_run_that_was_reset_goes_on_from_the_ledger() -> None:
    process = approved()
    placed = process.order.changed(status=Status.PLACED, broker_order_id=OWN)
    assert reset(process, OnRecord(order=placed, sequence=3, attempt=1)) == actions.FIND
    assert process.order.status is Status.PLACED
    assert process.attempts.number == 1


def test_a_run_that_was_reset_and_has_ended_is_done() -> None:
    process = approved()
    ended = process.order.changed(status=Status.CANCELLED, broker_order_id=OWN)
    assert reset(process, OnRecord(order=ended, sequence=3)) == actions.DONE


@pytest.mark.parametrize(("not_sent", "step"), [(0, actions.FIND), (1, actions.PLACE)])
def test_an_attempt_whose_outcome_is_open_is_looked_for_also_after_the_deadline(
    not_sent: int, step: actions.Action
) -> None:
    process = approved()
    known = OnRecord(order=process.order, sequence=0, attempt=1, not_sent=not_sent)
    assert reset(process, known) == step
    late = POLICY.place_by + timedelta(seconds=1)
    assert isinstance(process.next(late), actions.Find if not not_sent else actions.Record)


def test_a_reset_run_that_knows_as_much_goes_on_where_it_was() -> None:
    process = approved()
    process.place_answered(outcome.Accepted(broker_order_id=OWN, report=shown(process)), START)
    recorded(process)
    known = OnRecord(order=process.order, sequence=process.record.sequence, attempt=1)
    assert reset(process, known) == actions.FIND
    process.looked(Found(report=shown(process)), START)
    assert isinstance(recorded(process), actions.Wait)


def test_what_was_heard_and_refused_by_the_ledger_is_heard_again() -> None:
    """The cancel was taken in by a run that did not know of the fills; it holds for the order that has them."""
    process = approved()
    process.place_answered(outcome.Accepted(broker_order_id=OWN), START)
    recorded(process)
    process.hear(lifecycle.CancelRequested("cancel requested: by hand"))
    process.interrupted()
    assert isinstance(process.next(START), actions.Cancel)
    process.cancel_answered(outcome.Unknown(evidence=WHY), START)
    process.looked(Absent(rows=0), START)
    assert isinstance(process.next(START), actions.Record)
    partly = lifecycle.step(approved().order, lifecycle.Reported(shown(process, 1)), START)
    process.was_behind(OnRecord(order=partly, sequence=7, attempt=1), START)
    assert isinstance(recorded(process), actions.Find)
    process.looked(Found(report=shown(process, 1)), START)
    action = process.next(START + timedelta(minutes=1))
    assert isinstance(action, actions.Cancel)
    process.cancel_answered(outcome.Unknown(evidence=WHY), START)
    process.looked(Absent(rows=0), START)
    action = process.next(START)
    assert isinstance(action, actions.Record)
    assert [entry.sequence for entry in action.entries] == [8, 9, 10]
    assert process.order.filled_quantity == 1
    assert process.order.cancel_requested
