"""Plans on the real server, over a scripted broker: their orders are ordinary ones, and outlive whatever happens to the
plan's workflow."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType as HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from durable_orders.plans import PACED_SECONDS, Plans
from durable_orders.running.run import SETTLE_SECONDS
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, OrderNotFound
from durable_orders.trading.ledger.accounts import set_halt
from durable_orders.trading.ledger.entering import enter as enter_position
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.ledger.plans import find_plan, record_plan
from durable_orders.trading.ledger.recording import receive
from durable_orders.trading.ledger.tables import plans
from durable_orders.trading.market.instrument_sessions import InstrumentSessions
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState, BrokerHolding
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import (
    BrokerOrderId,
    Order,
    OrderIntent,
    OrderType,
    PlanOrderIntent,
    Product,
    Side,
    Status,
)
from durable_orders.trading.orders.position_entry import PositionEntry
from durable_orders.trading.plans.pacing import HOLD
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.state import PlanState, PlanStatus, PlanView
from durable_orders.workers.supervision import Supervisor
from durable_orders.workflows.names import ORDER_WORKFLOW, order_options, plan_workflow_id
from durable_orders.workflows.plan import REST_WITHIN
from tests.conftest import eventually
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, forgotten, now
from tests.workflows.scripted_broker import fills_at_once, refuses, takes_and_loses_the_answer


def intent(desk: Desk, **terms: Any) -> PlanIntent:
    """A bracket: BUY 10 INFY at 1500, stop 1450, target 1600."""
    content: dict[str, Any] = {"account": desk.account, "mode": desk.parts.settings.execution.mode, "plan_id": "p1"}
    content |= {
        "symbol": INFY,
        "side": Side.BUY,
        "quantity": 10,
        "strategy": "tests",
        "stop": {"trigger_price": "1450"},
    }
    content |= {"entry": {"order_type": "LIMIT", "price": "1500"}, "targets": ({"price": "1600"},)}
    return PlanIntent(**content | terms)


def workflow(desk: Desk, plan_id: str = "p1") -> WorkflowHandle[Any, PlanView]:
    own = plan_workflow_id(desk.account, plan_id)
    return desk.client.get_workflow_handle(own, result_type=PlanView)


async def stands(desk: Desk, what: str, **wanted: Any) -> PlanView:
    """The plan as the ledger has it, once these fields of it are so."""

    async def reached() -> PlanView | None:
        view = await desk.orders.plan("p1")
        return view if all(getattr(view, name) == value for name, value in wanted.items()) else None

    found = await eventually(reached, what)
    assert found is not None
    return found


async def holding(desk: Desk, **terms: Any) -> PlanView:
    """A plan whose entry has filled at once, with its stop at work."""
    desk.broker.on_place.append(fills_at_once)
    await desk.orders.start_plan(intent(desk, **terms))
    return await stands(desk, "a stop at work", held=10, protected=True)


async def at_its_end(desk: Desk, environment: WorkflowEnvironment) -> PlanView:
    """A plan that has closed all it held, after it has looked once more whether others were faster."""
    await stands(desk, "a plan that has closed what it held", status=PlanStatus.CLOSED)
    await environment.fast_forward(workflow(desk), 61)
    return await desk.orders.plan_result("p1")


def broker_id(view: PlanView, role: str) -> BrokerOrderId:
    return next(BrokerOrderId(order.broker_order_id or "") for order in view.orders if order.role == role)


def sent(desk: Desk) -> list[tuple[str, OrderType]]:
    return [(order.client_order_id, order.order_type) for order in desk.broker.sent]


async def test_a_plan_whose_entry_waits_for_a_person_is_told_as_it_stands(desk: Desk) -> None:
    """Nothing more comes of it before somebody decides: whoever asked is not kept, nor are those who ask again."""
    plans, wanted = Plans(desk.orders), intent(desk, approve=True)
    for is_new in (True, False):
        assert await plans.begin(wanted) is is_new
        view = await plans.begun(wanted, 3600, is_new=is_new)
        [entry] = view.orders
        assert (entry.client_order_id, entry.status) == ("p1.entry", Status.PENDING)
    [waits] = await desk.orders.awaiting_approval()
    assert waits.client_order_id == "p1.entry"
    assert not desk.broker.sent
    await desk.orders.cancel_plan("p1", "by hand")


async def test_an_oco_that_waits_never_closes_what_others_have_closed_meanwhile(desk: Desk) -> None:
    """Whoever approves is asked about what is left of it."""
    desk.broker.on_place.extend([fills_at_once, fills_at_once])
    bought = await (await desk.orders.place(desk.intent(strategy="tests", quantity=10))).result()

    async def is_past() -> bool:
        return now().replace(microsecond=0) > bought.fills[0].at

    await eventually(is_past, "the second of the fill, which is all that an exchange tells")
    await desk.orders.start_plan(intent(desk, entry=None, approve=True))
    await (await desk.orders.place(desk.intent(side=Side.SELL, strategy="tests", quantity=4))).result()

    async def asked_anew() -> bool:
        return [order.client_order_id for order in await desk.orders.awaiting_approval()] == ["p1.exit-1-2"]

    assert await eventually(asked_anew, "what is left waits for a person")
    assert len(desk.broker.sent) == 2, "nothing of the plan"
    await desk.orders.approve("p1.exit-1-2", "by user asha")
    await stands(desk, "a stop for what is left", held=6, protected=True)
    assert [(order.client_order_id, order.quantity) for order in desk.broker.sent[2:]] == [("p1.exit-1-2", 6)]


async def test_a_bracket_from_its_entry_to_its_target(desk: Desk, environment: WorkflowEnvironment) -> None:
    view = await holding(desk)
    assert sent(desk) == [("p1.entry", OrderType.LIMIT), ("p1.exit-1-1", OrderType.SL_M)]
    await workflow(desk).signal("priced", Decimal(1600))
    view = await stands(desk, "the target in the stop's place", protected=False)
    (changed,) = desk.broker.changes
    assert (changed.order_type, changed.price, changed.quantity) == (OrderType.LIMIT, Decimal(1600), 10)
    target = broker_id(await at_work_as(desk, "target"), "target")
    assert target == broker_id(view, view.orders[1].role)
    desk.broker.trade(target, 10, Decimal(1600))
    await desk.look()
    ended = await at_its_end(desk, environment)
    assert (ended.status, ended.held) == (PlanStatus.CLOSED, 0)
    assert len(desk.broker.sent) == 2
    assert {position.symbol: position.quantity for position in await desk.orders.positions()} == {INFY: 0}


async def at_work_as(desk: Desk, role: str) -> PlanView:
    async def reached() -> PlanView | None:
        view = await desk.orders.plan("p1")
        return view if view.orders[-1].role == role else None

    found = await eventually(reached, f"an exit that is a {role}")
    assert found is not None
    return found


async def test_the_stop_follows_an_entry_that_fills_in_parts(desk: Desk) -> None:
    view = await desk.orders.start_plan(intent(desk))
    entry = broker_id(view, "entry")
    desk.broker.trade(entry, 4)
    await desk.look()
    view = await stands(desk, "a stop for the first part", held=4, protected=True)
    assert view.orders[1].quantity == 4
    desk.broker.trade(entry, 6)
    await desk.look()
    view = await stands(desk, "a stop for all of it", held=10, protected=True)
    assert view.orders[1].quantity == 10
    assert len(desk.broker.sent) == 2


async def test_the_ledgers_price_reaches_the_plan(desk: Desk) -> None:
    await holding(desk)
    tick = Tick(INFY, Decimal(1601), now())
    with desk.parts.database.write() as connection:
        save_ticks(connection, desk.account, [tick], now())

    async def told() -> bool:
        return bool(await desk.parts.watch._plan_prices.look())

    assert await eventually(told, "a plan that is told of the price")
    await at_work_as(desk, "target")


async def test_the_same_plan_again_is_the_same_and_another_content_is_an_error(desk: Desk) -> None:
    await holding(desk)
    again = await desk.orders.start_plan(intent(desk))
    assert again.plan_id == "p1"
    with pytest.raises(DuplicateOrder, match="p1 is the id of another plan"):
        await desk.orders.start_plan(intent(desk, quantity=11))
    assert len(desk.broker.sent) == 2
    with pytest.raises(OrderNotFound):
        await desk.orders.plan("another")


async def test_a_plan_whose_exits_would_not_be_taken_is_refused_and_nothing_is_sent(desk: Desk) -> None:
    view = await desk.orders.start_plan(intent(desk, stop={"trigger_price": "1450.03"}))
    assert view.status is PlanStatus.REJECTED
    assert any(reason.startswith("stop: TICK_SIZE") for reason in view.reasons)
    assert desk.broker.sent == []


async def test_the_guardian_judges_the_loss_at_the_stop(desks: Desks) -> None:
    desk = await desks(guardian={"max_daily_loss": 400})
    view = await desk.orders.start_plan(intent(desk))
    assert view.status is PlanStatus.REJECTED
    assert any("the plan may lose 500 rupees" in reason for reason in view.reasons)
    assert desk.broker.sent == []


async def test_an_oco_closes_no_more_than_is_held(desk: Desk) -> None:
    view = await desk.orders.start_plan(intent(desk, entry=None))
    assert view.reasons == ("quantity: 10 are to be closed, and 0 of NSE:INFY can be",)
    bought = await desk.start(fills_at_once)
    await bought.result()
    view = await desk.orders.start_plan(intent(desk, entry=None, plan_id="p2"))
    assert (view.status, view.reasons) == (PlanStatus.OPEN, ())
    assert sent(desk)[1:] == [("p2.exit-1-1", OrderType.SL_M)]


async def test_a_lost_stop_leaves_the_plan_unprotected_and_is_not_sent_again(desks: Desks) -> None:
    desk = await desks(settle_window=0.5)
    desk.broker.on_place.extend([fills_at_once, takes_and_loses_the_answer])
    desk.broker.unreadable = True
    await desk.orders.start_plan(intent(desk))
    view = await stands(desk, "a position without a stop that is proved", held=10, protected=False)

    async def alerted() -> bool:
        events = await desk.orders.events()
        return any(each.type is EventType.ALERT and "UNPROTECTED" in each.message for each in events)

    assert await eventually(alerted, "an alert of what is unprotected")
    desk.broker.unreadable = False
    view = await stands(desk, "the stop, found in the book", protected=True)
    assert [order.status for order in view.orders] == [Status.FILLED, Status.PLACED]
    assert len(desk.broker.sent) == 2


async def test_a_refused_stop_is_placed_again_under_another_name(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, refuses])
    await desk.orders.start_plan(intent(desk))
    await stands(desk, "a stop at work", held=10, protected=True)
    assert [own for own, _ in sent(desk)] == ["p1.entry", "p1.exit-1-1", "p1.exit-1-2"]


async def test_cancelled_it_says_what_it_leaves(desk: Desk) -> None:
    await holding(desk)
    view = await desk.orders.cancel_plan("p1")
    assert (view.status, view.held, view.protected) == (PlanStatus.LEFT, 10, False)
    assert view.orders[1].status is Status.CANCELLED


async def test_cancelled_with_flatten_the_stop_itself_goes_to_the_market(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    view = await holding(desk)
    stop = broker_id(view, "stop")
    cancelling = await desk.orders.cancel_plan("p1", flatten=True, timeout=0.5)
    assert not cancelling.status.terminal
    await at_work_as(desk, "exit")
    desk.broker.trade(stop, 10)
    await desk.look()
    assert (await at_its_end(desk, environment)).status is PlanStatus.CLOSED
    assert len(desk.broker.sent) == 2


async def test_a_changed_plan_changes_its_stop(desk: Desk) -> None:
    await holding(desk)
    with pytest.raises(InvalidOrder, match="stop: must lie below the target's 1600"):
        await desk.orders.amend_plan("p1", PlanChange(stop=Decimal(1650)))
    await desk.orders.amend_plan("p1", PlanChange(stop=Decimal(1470)))

    async def moved() -> bool:
        return (await desk.orders.plan("p1")).orders[1].trigger_price == Decimal(1470)

    assert await eventually(moved, "the stop at its new price")


async def test_a_terminated_plan_is_taken_up_again_with_its_orders(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    view = await holding(desk)
    await workflow(desk).terminate("by a test")
    stop = broker_id(view, "stop")
    desk.broker.trade(stop, 4)
    await desk.look()
    supervisor = Supervisor(desk.client, desk.account, desk.parts.database, desk.parts.executor)

    async def taken_up() -> bool:
        await supervisor.look()
        return (await workflow(desk).describe()).close_time is None

    assert await eventually(taken_up, "a new run")
    await workflow(desk).signal("priced", Decimal(1600))
    view = await at_work_as(desk, "target")
    assert (view.held, view.orders[1].filled_quantity) == (6, 4)
    desk.broker.trade(stop, 6)
    await desk.look()
    assert (await at_its_end(desk, environment)).status is PlanStatus.CLOSED
    assert len(desk.broker.sent) == 2


async def reset(desk: Desk, event_id: int) -> None:
    await desk.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=desk.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow(desk).id),
            reason="by a test",
            workflow_task_finish_event_id=event_id,
            request_id="reset-1",
        )
    )


async def taking_its_target(desk: Desk) -> PlanView:
    async def is_asked_for() -> PlanView | None:
        """A price that comes while the new run still finds its orders counts for nothing: as from a feed, more do."""
        await workflow(desk).signal("priced", Decimal(1600))
        view = await desk.orders.plan("p1")
        return view if view.orders[-1].role == "target" else None

    view = await eventually(is_asked_for, "an exit that is a target")
    assert view is not None
    return view


async def test_a_plan_that_is_reset_to_its_beginning_places_nothing_twice(desk: Desk) -> None:
    await holding(desk)
    events = [event async for event in workflow(desk).fetch_history_events()]
    first = next(each for each in events if each.event_type == HistoryEvent.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await reset(desk, first.event_id)
    view = await taking_its_target(desk)
    assert [order.client_order_id for order in view.orders] == ["p1.entry", "p1.exit-1-1"]
    assert len(desk.broker.sent) == 2


async def test_a_plan_that_is_reset_to_before_its_stop_uses_no_name_twice(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, refuses])
    await desk.orders.start_plan(intent(desk))
    await stands(desk, "a stop at work", held=10, protected=True)
    started = HistoryEvent.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    children = [each async for each in workflow(desk).fetch_history_events() if each.event_type == started]
    stop = children[1].start_child_workflow_execution_initiated_event_attributes
    assert stop.workflow_id.endswith("p1.exit-1-1")
    await reset(desk, stop.workflow_task_completed_event_id)
    view = await taking_its_target(desk)
    assert [order.client_order_id for order in view.orders] == ["p1.entry", "p1.exit-1-1", "p1.exit-1-2"]
    assert len(desk.broker.sent) == 3


async def test_a_stop_that_somebody_else_cancels_is_told_and_its_position_unprotected(desk: Desk) -> None:
    view = await holding(desk)
    desk.broker.end(broker_id(view, "stop"), BookState.CANCELLED)
    await desk.look()
    await stands(desk, "a position without a stop", protected=False)

    async def has_an_age() -> bool:
        return (await desk.orders.plan("p1")).unprotected_since is not None

    assert await eventually(has_an_age, "since when it is unprotected")
    assert len(desk.broker.sent) == 2


async def test_nobody_else_names_an_order_as_a_plan_does(desk: Desk) -> None:
    for own in ("p1.entry", "p1.exit-1-1"):
        with pytest.raises(ValidationError, match="for the orders of plans"):
            desk.intent(client_order_id=own)
        with pytest.raises(InvalidOrder, match="for the orders of plans"):
            await desk.orders.buy(INFY, 10, client_order_id=own)
        made = desk.intent(client_order_id="a").model_dump_json().replace('"a"', f'"{own}"')
        with pytest.raises(InvalidOrder, match="for the orders of plans"):
            await desk.orders.place(OrderIntent.model_validate_json(made))


async def test_a_plan_is_refused_whose_names_somebody_else_has_used(desk: Desk) -> None:
    """In an older program nothing forbade them."""
    older = Order.from_intent(
        PlanOrderIntent(
            plan_id="p1", **desk.intent(client_order_id="a").model_dump() | {"client_order_id": "p1.exit-1-2"}
        ),
        now(),
    )
    with desk.parts.database.write() as connection:
        receive(connection, older, "run-1", "older")
    view = await desk.orders.start_plan(intent(desk))
    assert view.reasons == ("plan_id: the order p1.exit-1-2 is there already, and not a plan's",)
    assert desk.broker.sent == []


async def test_an_order_of_a_plan_is_shown_before_any_worker_has_it(desks: Desks) -> None:
    desk = await desks(staffed=False)
    content = desk.intent(client_order_id="a").model_dump() | {"client_order_id": "p1.entry"}
    made = PlanOrderIntent(plan_id="p1", **content)
    await desk.client.start_workflow(ORDER_WORKFLOW, made, **order_options(made, made.fingerprint()))
    order = await desk.orders.handle("p1.entry").now()
    assert (order.client_order_id, order.status) == ("p1.entry", Status.PENDING)


async def test_an_oco_of_a_halted_account_is_refused(desk: Desk) -> None:
    set_halt(desk.parts.database, desk.account, "by a test", now())
    view = await desk.orders.start_plan(intent(desk, entry=None))
    assert view.reasons[0] == "the account is halted: by a test"


async def test_two_ocos_do_not_close_the_same_shares(desk: Desk) -> None:
    bought = await desk.start(fills_at_once)
    await bought.result()
    first = await desk.orders.start_plan(intent(desk, entry=None))
    assert first.status is PlanStatus.OPEN
    second = await desk.orders.start_plan(intent(desk, entry=None, plan_id="p2", quantity=5))
    assert second.status is PlanStatus.REJECTED
    assert second.reasons == (
        "quantity: 5 are to be closed, and 0 of NSE:INFY can be, 10 of 10 are closed by other open exits",
    )


async def test_an_oco_is_refused_while_what_is_held_cannot_be_read(desk: Desk) -> None:
    desk.broker.positions_unreadable = True
    view = await desk.orders.start_plan(intent(desk, entry=None))
    assert view.status is PlanStatus.REJECTED
    assert view.reasons[0].startswith("quantity: what is held cannot be read now")


async def test_what_is_closed_by_hand_while_the_stop_works_is_not_sold_again(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    await holding(desk)
    by_hand = desk.broker.take(Order.from_intent(desk.intent(side=Side.SELL, client_order_id="by-hand"), now()))
    desk.broker.trade(by_hand, 10)
    await desk.look()
    await environment.fast_forward(workflow(desk), 31)
    ended = await desk.orders.plan_result("p1")
    assert (ended.status, ended.held) == (PlanStatus.CLOSED, 0)
    assert ended.orders[1].status is Status.CANCELLED
    assert len(desk.broker.sent) == 2


async def test_a_stop_that_traded_what_was_closed_by_hand_is_closed_back(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    view = await holding(desk)
    by_hand = desk.broker.take(Order.from_intent(desk.intent(side=Side.SELL, client_order_id="by-hand"), now()))
    desk.broker.trade(by_hand, 10)
    desk.broker.trade(broker_id(view, "stop"), 10)
    await desk.look()
    await stands(desk, "a plan that has closed what it held", status=PlanStatus.CLOSED)
    await environment.fast_forward(workflow(desk), 4)
    await stands(desk, "what went out too much", held=-10)

    async def is_bought_back() -> BrokerOrderId | None:
        back = [order for order in (await desk.orders.plan("p1")).orders if order.client_order_id == "flatten-p1-1"]
        return BrokerOrderId(back[0].broker_order_id) if back and back[0].broker_order_id else None

    back = await eventually(is_bought_back, "an order that closes what went out too much")
    assert back is not None
    desk.broker.trade(back, 10)
    await desk.look()
    ended = await at_its_end(desk, environment)
    assert (ended.status, ended.held) == (PlanStatus.CLOSED, 0)
    assert {position.symbol: position.quantity for position in await desk.orders.positions()} == {INFY: 0}


async def test_a_halted_account_and_unreadable_positions_are_waited_for(
    desk: Desk, environment: WorkflowEnvironment
) -> None:
    # An SL order: its deadline is far away, for its clock is as far ahead as the plan's.
    view = await holding(desk, stop={"trigger_price": "1450", "limit_price": "1440"})
    desk.broker.positions_unreadable = True
    desk.broker.end(broker_id(view, "stop"), BookState.CANCELLED)
    await desk.look()
    await stands(desk, "a position without a stop", protected=False)
    await environment.fast_forward(workflow(desk), 31)

    async def waits(words: str) -> bool:
        return any(words in reason for reason in (await desk.orders.plan("p1")).reasons)

    assert await eventually(lambda: waits("cannot be read"), "a plan that waits for the positions")
    desk.broker.positions_unreadable = False
    set_halt(desk.parts.database, desk.account, "by a test", now())
    await environment.fast_forward(workflow(desk), 11)
    assert await eventually(lambda: waits("the account is halted"), "a plan that waits for the account")
    assert (await desk.orders.plan("p1")).held == 10
    set_halt(desk.parts.database, desk.account, None, now())
    await environment.fast_forward(workflow(desk), 11)
    await stands(desk, "its stop again", held=10, protected=True)
    assert [own for own, _ in sent(desk)] == ["p1.entry", "p1.exit-1-1", "p1.exit-1-2"]


@pytest.mark.parametrize(
    ("carried", "sellable", "waits"),
    [
        (100, 10, ""),
        (100, 4, f"only 4 of {INFY} CNC can be sold now"),
        (90, 10, f"the broker has 90 of {INFY} CNC, and the ledger 100"),
    ],
)
async def test_pledged_shares_keep_no_stop_away_from_those_that_can_be_sold(
    desks: Desks, carried: int, sellable: int, waits: str
) -> None:
    desk = await desks(staffed=False)
    entry = PositionEntry(symbol=INFY, product="CNC", quantity=100, price=1500, evidence="note", who="me")
    with desk.parts.database.write() as connection:
        enter_position(connection, desk.account, entry, now())
    state = PlanState.of(intent(desk, entry=None, product="CNC"), now())
    desk.broker.in_demat = [BrokerHolding(INFY, Product.CNC, carried, sellable, Decimal(1500))]
    assert desk.parts.plans.survey_plan(state).waits == waits


async def test_a_plan_that_the_ledger_has_lost_is_recorded_again(desk: Desk, environment: WorkflowEnvironment) -> None:
    await holding(desk)
    with desk.parts.database.write() as connection:
        connection.execute(sa.delete(plans))

    async def is_there() -> bool:
        await environment.fast_forward(workflow(desk), 31)
        return [view.plan_id for view in await desk.orders.plans(open_only=True)] == ["p1"]

    assert await eventually(is_there, "the plan, in the ledger")


async def test_the_end_of_a_plan_reaches_a_ledger_that_is_older(desk: Desk) -> None:
    await holding(desk)
    with desk.parts.database.read() as connection:
        older = find_plan(connection, desk.account, "p1")
    assert older is not None
    await desk.orders.cancel_plan("p1")
    with desk.parts.database.write() as connection:
        record_plan(connection, older[0], None, None, now())
    supervisor = Supervisor(desk.client, desk.account, desk.parts.database, desk.parts.executor)

    async def has_ended() -> bool:
        await supervisor.look()
        return not await desk.orders.plans(open_only=True)

    assert await eventually(has_ended, "the plan's end, in the ledger")
    assert (await desk.orders.plan("p1")).status is PlanStatus.LEFT


async def test_a_change_to_what_stands_already_is_answered(desk: Desk) -> None:
    await holding(desk)
    view = await desk.orders.amend_plan("p1", PlanChange(stop=Decimal(1450)))
    assert view.stop == Decimal(1450)
    assert desk.broker.changes == []


async def test_a_change_is_held_against_the_price_of_now(desk: Desk) -> None:
    await holding(desk)
    with desk.parts.database.write() as connection:
        save_ticks(connection, desk.account, [Tick(INFY, Decimal(1460), now())], now())
    with pytest.raises(InvalidOrder, match="stop: must lie below the last price 1460, was 1470"):
        await desk.orders.amend_plan("p1", PlanChange(stop=Decimal(1470)))


async def test_a_plan_that_the_server_has_forgotten_is_known_by_the_ledger(desk: Desk) -> None:
    """Another one under its id is refused, and the same one is found; neither is started."""
    await desk.orders.start_plan(intent(desk))
    ended = await desk.orders.cancel_plan("p1")
    await desk.orders.plan_result("p1")
    await forgotten(desk, plan_workflow_id(desk.account, "p1"))
    with pytest.raises(DuplicateOrder, match="id: p1 is the id of another plan"):
        await desk.orders.start_plan(intent(desk, quantity=20))
    assert not await Plans(desk.orders).begin(intent(desk))
    assert await desk.orders.start_plan(intent(desk)) == ended
    with pytest.raises(RPCError):
        await workflow(desk).describe()


async def test_a_changed_time_to_exit_is_held_against_the_markets_hours(desk: Desk) -> None:
    """As that of a new plan is: with one that has passed it would leave at once."""
    await holding(desk)
    with pytest.raises(InvalidOrder, match="exit_at: must lie ahead"):
        await desk.orders.amend_plan("p1", PlanChange(exit_at=now() - timedelta(minutes=1)))
    session = InstrumentSessions(desk.parts.settings.market).of(INFY).session_at_or_after(now() + timedelta(days=1))
    with pytest.raises(InvalidOrder, match="exit_at: the market must be open then"):
        await desk.orders.amend_plan("p1", PlanChange(exit_at=session.opens - timedelta(hours=1)))
    view = await desk.orders.amend_plan("p1", PlanChange(exit_at=session.opens + timedelta(hours=1)))
    assert (view.status, view.held) == (PlanStatus.OPEN, 10)
    with pytest.raises(ValidationError, match="must be a time of the years 2000 to 2099"):
        PlanChange.model_validate({"exit_at": "9999-12-31T23:59:59-05:00"})


@pytest.mark.parametrize("own", ["external-1", "twin-1", "flatten-1"])
def test_a_plan_does_not_take_a_reserved_name(desk: Desk, own: str) -> None:
    with pytest.raises(ValidationError, match="plan_id"):
        intent(desk, plan_id=own)


def test_a_market_waits_for_a_plan_longer_than_a_lost_workflow_task_takes() -> None:
    lost_task = timedelta(seconds=10)  # Temporal's default timeout of a workflow task
    assert lost_task < REST_WITHIN < timedelta(seconds=PACED_SECONDS) < HOLD
    assert timedelta(seconds=SETTLE_SECONDS) >= REST_WITHIN
