"""Baskets on the real server, over a scripted broker: hedge first, whole or closed again, whatever becomes of the
workflow."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType as HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from durable_orders.plans import Plans
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder
from durable_orders.trading.ledger.accounts import set_halt
from durable_orders.trading.ledger.last_ticks import save_ticks
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import BrokerOrderId
from durable_orders.trading.plans.basket import BasketIntent
from durable_orders.trading.plans.plan import PlanChange
from durable_orders.trading.plans.state import PlanStatus, PlanView
from durable_orders.workers.supervision import Supervisor
from durable_orders.workflows.names import plan_workflow_id
from tests.conftest import eventually
from tests.workflows.conftest import Desks
from tests.workflows.desk import INFY, Desk, at_work, now
from tests.workflows.scripted_broker import Held, fills_at_once, refuses

SBIN = "NSE:SBIN"


def basket(desk: Desk, **content: Any) -> BasketIntent:
    """SELL 10 INFY and BUY 10 SBIN, at the market."""
    legs = ({"symbol": INFY, "side": "SELL"}, {"symbol": SBIN, "side": "BUY"})
    told: dict[str, Any] = {
        "account": desk.account,
        "mode": desk.parts.settings.execution.mode,
        "plan_id": "b1",
        "strategy": "tests",
        "legs": [{"quantity": 10, "product": "MIS", **each} for each in legs],
    }
    return BasketIntent.model_validate(told | content)


async def stands(desk: Desk, what: str, **wanted: Any) -> PlanView:
    async def reached() -> PlanView | None:
        view = await desk.orders.plan("b1")
        return view if all(getattr(view, name) == value for name, value in wanted.items()) else None

    found = await eventually(reached, what)
    assert found is not None
    return found


def sent(desk: Desk) -> list[tuple[str, str, int]]:
    return [(order.client_order_id, order.side.value, order.quantity) for order in desk.broker.sent]


async def closing_at_work(desk: Desk) -> BrokerOrderId:
    async def there() -> BrokerOrderId | None:
        rows = [row for row in (await desk.orders.plan("b1")).orders if row.role == "close" and row.broker_order_id]
        return BrokerOrderId(rows[-1].broker_order_id or "") if rows else None

    found = await eventually(there, "an order that closes a leg")
    assert found is not None
    return found


async def test_a_basket_is_filled_with_its_hedge_first(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, fills_at_once])
    await desk.orders.start_plan(basket(desk))
    view = await desk.orders.plan_result("b1")
    assert sent(desk) == [("b1.leg-2-1", "BUY", 10), ("b1.leg-1-1", "SELL", 10)]
    assert view.status is PlanStatus.FILLED
    assert {(each.symbol, each.quantity) for each in view.holdings} == {(INFY, -10), (SBIN, 10)}
    assert (await desk.orders.plan("b1")).status is PlanStatus.FILLED
    assert (await desk.orders.start_plan(basket(desk))).status is PlanStatus.FILLED
    with pytest.raises(DuplicateOrder):
        await desk.orders.start_plan(basket(desk, within=5))
    assert len(desk.broker.sent) == 2


async def test_where_a_leg_cannot_be_had_the_others_are_closed(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, refuses, fills_at_once])
    await desk.orders.start_plan(basket(desk))
    view = await desk.orders.plan_result("b1")
    assert sent(desk)[2:] == [("flatten-b1-1", "SELL", 10)]
    assert (view.status, view.holdings) == (PlanStatus.COMPENSATED, ())
    assert "Insufficient funds" in view.reasons[0]
    assert {position.symbol: position.quantity for position in await desk.orders.positions()} == {SBIN: 0}


async def test_a_basket_that_is_refused_sends_nothing_and_says_which_leg(desk: Desk) -> None:
    legs = (
        {"symbol": INFY, "side": "SELL", "quantity": 10, "product": "MIS", "order_type": "LIMIT", "price": "1500.03"},
        {"symbol": SBIN, "side": "BUY", "quantity": 10, "product": "MIS"},
    )
    view = await desk.orders.start_plan(basket(desk, legs=legs))
    assert view.status is PlanStatus.REJECTED
    assert [reason.split(":")[0:2] for reason in view.reasons] == [["leg 1", " TICK_SIZE"]]
    assert desk.broker.sent == []
    assert await desk.orders.list() == []


async def test_the_guardian_judges_the_legs_together(desks: Desks) -> None:
    desk = await desks(guardian={"max_open_orders": 1})
    view = await desk.orders.start_plan(basket(desk))
    assert view.status is PlanStatus.REJECTED
    assert view.reasons[0].startswith("leg 1: MAX_OPEN_ORDERS")
    assert desk.broker.sent == []


async def test_a_basket_whose_time_to_begin_is_over_sends_nothing(desk: Desk) -> None:
    view = await desk.orders.start_plan(basket(desk, enter_by=now()))
    assert (view.status, view.orders) == (PlanStatus.REJECTED, ())
    assert view.reasons[0].startswith("TOO_LATE: it was to begin before ")
    assert desk.broker.sent == []
    again = await desk.orders.start_plan(basket(desk, enter_by=now() + timedelta(minutes=1)))
    assert again.status is PlanStatus.REJECTED, "it is the same one"


async def test_a_basket_that_waited_too_long_for_a_worker_sends_nothing(desks: Desks) -> None:
    desk = await desks(staffed=False)
    until = now() + timedelta(seconds=0.5)
    assert await Plans(desk.orders).begin(basket(desk, enter_by=until))

    async def is_over() -> bool:
        return now() >= until

    assert await eventually(is_over, "its time to begin is over")
    async with at_work(desk):
        view = await desk.orders.plan_result("b1")
    assert (view.status, view.orders) == (PlanStatus.REJECTED, ())
    assert view.reasons[0].startswith("TOO_LATE: it was to begin before ")
    assert desk.broker.sent == []


async def test_a_net_price_that_the_market_does_not_give_is_refused(desk: Desk) -> None:
    with desk.parts.database.write() as connection:
        ticks = [Tick(INFY, Decimal(1500), now()), Tick(SBIN, Decimal(800), now())]
        save_ticks(connection, desk.account, ticks, now())
    view = await desk.orders.start_plan(basket(desk, net_credit="701"))
    assert view.reasons == ("net_credit: at the market's prices the basket brings in 700.00, beyond 701",)
    assert desk.broker.sent == []


async def test_a_basket_that_is_to_be_hedged_sells_options_only(desk: Desk) -> None:
    view = await desk.orders.start_plan(basket(desk, hedged=True))
    assert "leg 1: NSE:INFY is sold and no option" in view.reasons[0]


async def test_a_basket_takes_no_changes(desk: Desk) -> None:
    await desk.orders.start_plan(basket(desk))
    with pytest.raises(InvalidOrder, match="amendment: only a bracket and an OCO can be changed"):
        await desk.orders.amend_plan("b1", PlanChange(stop=Decimal(1)))


async def test_cancelled_with_flatten_it_closes_what_it_has(desk: Desk) -> None:
    desk.broker.on_place.append(fills_at_once)
    await desk.orders.start_plan(basket(desk))
    await stands(desk, "a leg that is held, and one that works", status=PlanStatus.OPEN)
    await desk.orders.cancel_plan("b1", flatten=True, timeout=0.5)
    await desk.look()
    closing = await closing_at_work(desk)
    desk.broker.trade(closing, 10)
    await desk.look()
    ended = await desk.orders.plan_result("b1")
    assert (ended.status, ended.holdings) == (PlanStatus.CLOSED, ())


async def test_what_is_closed_by_hand_is_let_go_of(desk: Desk) -> None:
    desk.broker.on_place.extend([fills_at_once, refuses])
    set_aside = Held(refuses)
    desk.broker.on_place[1] = set_aside
    await desk.orders.start_plan(basket(desk))

    async def is_asked() -> bool:
        return set_aside.began.is_set()

    assert await eventually(is_asked, "the second leg on its way")
    desk.broker.on_place.append(fills_at_once)
    by_hand = await desk.orders.place(desk.intent(symbol=SBIN, side="SELL", strategy="manual"))
    await by_hand.result()
    set_aside.go()
    ended = await desk.orders.plan_result("b1")
    assert (ended.status, ended.holdings) == (PlanStatus.COMPENSATED, ())
    assert len(desk.broker.sent) == 3


async def test_a_halted_account_keeps_what_it_holds_and_says_so(desk: Desk) -> None:
    desk.broker.on_place.append(fills_at_once)
    await desk.orders.start_plan(basket(desk))
    view = await stands(desk, "a leg that is held, and one that works", status=PlanStatus.OPEN)
    set_halt(desk.parts.database, desk.account, "by a test", now())
    works = next(row.broker_order_id for row in view.orders if row.role == "leg 1")
    desk.broker.end(BrokerOrderId(works or ""), BookState.CANCELLED)
    await desk.look()

    async def waits() -> bool:
        return "the account is halted: by a test" in (await desk.orders.plan("b1")).reasons

    assert await eventually(waits, "a basket that waits for the account")
    set_halt(desk.parts.database, desk.account, None, now())
    desk.broker.on_place.append(fills_at_once)
    assert (await desk.orders.plan_result("b1")).status is PlanStatus.COMPENSATED


async def test_a_terminated_basket_is_taken_up_again_with_its_legs(desk: Desk) -> None:
    desk.broker.on_place.append(fills_at_once)
    await desk.orders.start_plan(basket(desk))
    view = await stands(desk, "a leg that is held, and one that works", status=PlanStatus.OPEN)
    handle = desk.client.get_workflow_handle(plan_workflow_id(desk.account, "b1"))
    await handle.terminate("by a test")
    works = BrokerOrderId(next(row.broker_order_id for row in view.orders if row.role == "leg 1") or "")
    desk.broker.trade(works, 10)
    await desk.look()
    supervisor = Supervisor(desk.client, desk.account, desk.parts.database, desk.parts.executor)

    async def is_over() -> bool:
        await supervisor.look()
        return (await desk.orders.plan("b1")).status is PlanStatus.FILLED

    assert await eventually(is_over, "the basket, taken up and filled")
    assert len(desk.broker.sent) == 2


async def test_a_basket_that_is_reset_to_its_beginning_places_nothing_twice(desk: Desk) -> None:
    desk.broker.on_place.append(fills_at_once)
    await desk.orders.start_plan(basket(desk))
    view = await stands(desk, "a leg that is held, and one that works", status=PlanStatus.OPEN)
    handle = desk.client.get_workflow_handle(plan_workflow_id(desk.account, "b1"))
    events = [event async for event in handle.fetch_history_events()]
    first = next(each for each in events if each.event_type == HistoryEvent.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await desk.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=desk.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="by a test",
            workflow_task_finish_event_id=first.event_id,
            request_id="reset-1",
        )
    )
    works = BrokerOrderId(next(row.broker_order_id for row in view.orders if row.role == "leg 1") or "")
    desk.broker.trade(works, 10)
    await desk.look()
    assert (await desk.orders.plan_result("b1")).status is PlanStatus.FILLED
    assert len(desk.broker.sent) == 2
