"""An order that waits for a person's approval: it is never sent before, and the guardian judges it once more."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from chaos import acts
from durable_orders import halting
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import DuplicateOrder, InvalidOrder, NotApproved
from durable_orders.trading.ledger import reservations
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Amendment, OrderType, SignOff, Status
from durable_orders.trading.orders.process import GOES_ON
from tests.conftest import eventually
from tests.workflows import scripted_broker as says
from tests.workflows.conftest import Ahead, Desks
from tests.workflows.desk import Desk, at_work, finished, messages, now, open_desk
from tests.workflows.test_supervision import supervisor

ASHA = "by user asha"


async def waiting(desk: Desk, **terms: object) -> OrderHandle:
    """An order that waits, as recorded; with nothing sent, and nothing reserved."""
    order = await desk.start(approve=True, **terms)
    await until_it_waits(desk, order)
    return order


async def until_it_waits(desk: Desk, order: OrderHandle) -> None:
    found = await order.placed()
    assert (found.status, found.awaits_approval) == (Status.PENDING, True)
    assert not desk.broker.sent
    assert not await desk.orders.read(lambda ledger: reservations.was_ever_made(ledger, order.order_id))


async def test_it_is_sent_once_a_person_has_approved_it(desk: Desk) -> None:
    order = await waiting(desk)
    assert [each.order_id for each in await desk.orders.awaiting_approval()] == [order.order_id]
    placed = await order.approve(ASHA)
    assert (placed.status, placed.approval and placed.approval.approved_by) == (Status.PLACED, ASHA)
    assert not await desk.orders.awaiting_approval()
    assert await desk.orders.read(lambda ledger: reservations.standing(ledger, order.order_id))
    told = {event.type: event.message for event in await order.events()}
    assert "waits for a person's approval until" in told[EventType.APPROVAL_ASKED]
    assert told[EventType.ORDER_APPROVED] == f"approved {ASHA}"
    assert await order.approve(ASHA) == placed, "said again, it stands"
    with pytest.raises(InvalidOrder, match=r"it was approved by user asha, and is PLACED"):
        await order.approve("by user ravi")
    await order.cancel()
    assert (await finished(desk, order)).approval == placed.approval
    assert len(desk.broker.sent) == 1


async def test_declined_it_is_never_sent(desk: Desk) -> None:
    order = await waiting(desk)
    declined = await order.decline(ASHA, "too large")
    assert (declined.status, declined.reasons) == (Status.REJECTED, (f"DECLINED: {ASHA}: too large",))
    for say in (order.approve, order.decline):
        with pytest.raises(InvalidOrder, match=r"waits for nobody's approval: it is REJECTED"):
            await say("by user ravi")
    await finished(desk, order)
    assert not desk.broker.sent


async def test_without_an_approval_by_its_deadline_it_is_rejected(desk: Desk, ahead: Ahead) -> None:
    order = await waiting(desk, approve_by=now() + timedelta(minutes=5))
    await ahead(order)
    ended = await finished(desk, order)
    assert (ended.status, ended.reasons[0].partition(":")[0]) == (Status.REJECTED, "NOT_APPROVED")
    assert not desk.broker.sent


async def test_it_waits_no_longer_than_it_may_be_sent(desk: Desk) -> None:
    by = now() + timedelta(minutes=2)
    order = await waiting(desk, place_by=by)
    assert (await order.now()).approval == SignOff(needed_by=by, place_by=by)


async def test_cancelled_while_it_waits(desk: Desk) -> None:
    order = await waiting(desk)
    with pytest.raises(InvalidOrder, match="cancel it, and place another"):
        await order.amend(Amendment(quantity=20))
    assert (await order.cancel()).status is Status.CANCELLED
    await finished(desk, order)
    assert not desk.broker.sent


async def test_the_guardian_judges_again(desk: Desk) -> None:
    order = await waiting(desk)
    settings = desk.parts.settings
    halting.halt(desk.orders.database, settings, reason="news", state=AccountState.HALTED, who="by a test")
    rejected = await order.approve(ASHA)
    assert (rejected.status, "halted: news" in rejected.reasons[0]) == (Status.REJECTED, True)
    assert f"approved {ASHA}" in messages(await order.events())
    await finished(desk, order)
    assert not desk.broker.sent


async def test_what_the_guardian_refuses_waits_for_nobody(desk: Desk) -> None:
    order = await desk.start(approve=True, quantity=10, symbol="NSE:NOSUCHTHING")
    assert (await order.result()).status is Status.REJECTED
    assert EventType.APPROVAL_ASKED not in {event.type for event in await order.events()}


async def test_the_orders_of_a_marked_strategy_wait_but_for_those_that_close(desks: Desks) -> None:
    desk = await desks(guardian={"strategies": {"tests": {"approve": True}}, "approve_within": 300})
    order = await desk.start()
    await until_it_waits(desk, order)
    found = await order.now()
    assert found.approval is not None
    assert found.approval.needed_by == found.created_at + timedelta(seconds=300)
    assert (await (await desk.start(strategy="others")).placed()).status is Status.PLACED
    closing = await (await desk.start(client_order_id="flatten-1")).placed()
    assert (closing.status, closing.approval) == (Status.REJECTED, None), "judged at once: it would open a position"


async def test_what_fires_at_the_market_counts_its_deadline_from_the_approval(desks: Desks, ahead: Ahead) -> None:
    desk = await desks(market_deadline=20.0)
    order = await waiting(desk, order_type=OrderType.MARKET)
    await ahead(order, 60)
    desk.broker.on_place.append(says.fills_at_once)
    await order.approve(ASHA)
    assert (await finished(desk, order)).status is Status.FILLED


async def test_the_same_id_without_an_approval_is_another_order(desk: Desk) -> None:
    await waiting(desk, client_order_id="mine")
    for ask in (desk.orders.place, desk.orders.place_and_wait):
        with pytest.raises(DuplicateOrder):
            await ask(desk.intent(client_order_id="mine"))
    assert (await desk.orders.place_and_wait(desk.intent(client_order_id="mine", approve=True))).awaits_approval
    assert not desk.broker.sent


async def test_nobody_gets_a_permission_to_send_it_before(desk: Desk) -> None:
    order = await waiting(desk)
    found = await order.now()
    guardian = desk.parts.orders._guardian
    with pytest.raises(NotApproved, match="waits for a person's approval"):
        guardian.redeem(found)
    with pytest.raises(NotApproved, match="no reservation stands"):
        guardian.redeem(found.model_copy(update={"approval": None}))


async def test_of_two_who_decide_at_once_one_is_heard(desk: Desk) -> None:
    order = await waiting(desk)
    said = await asyncio.gather(
        order.approve(ASHA), order.decline("by user ravi"), order.approve("by user meera"), return_exceptions=True
    )
    ended = await order.now()
    refused = [each for each in said if isinstance(each, InvalidOrder)]
    assert len(refused) == 2, said
    assert len(desk.broker.sent) == (0 if ended.status is Status.REJECTED else 1)


async def test_it_waits_through_the_end_of_its_worker(environment: WorkflowEnvironment, tmp_path: Path) -> None:
    async with open_desk(environment.client, tmp_path) as desk:
        async with at_work(desk):
            order = await waiting(desk)
        approving = asyncio.create_task(order.approve(ASHA))
        async with at_work(desk):
            assert (await approving).status is Status.PLACED
            await order.cancel()
            await finished(desk, order)
    assert len(desk.broker.sent) == 1


async def started_again(desk: Desk, order: OrderHandle) -> None:
    await desk.orders.place(desk.intent(client_order_id="mine", approve=True))


async def taken_up(desk: Desk, order: OrderHandle) -> None:
    looking = supervisor(desk)

    async def goes_on() -> bool:
        await looking.look()
        return GOES_ON in messages(await order.events())

    await eventually(goes_on, "taken up")


@pytest.mark.parametrize("again", [started_again, taken_up], ids=lambda again: again.__name__)
async def test_terminated_it_waits_on(desk: Desk, again: Callable[[Desk, OrderHandle], Awaitable[None]]) -> None:
    order = await waiting(desk, client_order_id="mine")
    before = (await order.now()).approval
    await acts.terminate(desk.client, order.order_id)
    await again(desk, order)
    await until_it_waits(desk, order)
    assert (await order.now()).approval == before
    assert before is not None
    assert before.place_by is not None, "it may not be sent later than it was to be"
    assert (await order.approve(ASHA)).status is Status.PLACED
    await order.cancel()
    await finished(desk, order)
    assert len(desk.broker.sent) == 1


async def test_reset_to_any_moment_it_waits_on_and_is_sent_once(desks: Desks) -> None:
    desk = await desks(settle_window=0.6, retry_delay=0.05)
    order = await waiting(desk)
    first = (await desk.workflow(order).describe()).run_id
    for point in await acts.reset_points(desk.client, order.order_id):
        await acts.reset(desk.client, order.order_id, point, first)
        await until_it_waits(desk, order)
    assert (await order.approve(ASHA)).status is Status.PLACED
    desk.broker.trade(desk.broker.only, 10)
    await desk.look()
    await desk.recorded(order, Status.FILLED)
    first = (await desk.workflow(order).describe()).run_id
    for point in await acts.reset_points(desk.client, order.order_id):
        await acts.reset(desk.client, order.order_id, point, first)
        assert (await order.result()).status is Status.FILLED
    await finished(desk, order)
    assert len(desk.broker.sent) == 1


async def test_reset_after_its_strategys_mark_was_taken_off_it_waits_on(desks: Desks) -> None:
    desk = await desks(guardian={"strategies": {"tests": {"approve": True}}})
    order = await desk.start()
    await until_it_waits(desk, order)
    desk.parts.orders._guardian._approved_by_people = set()
    first = (await desk.workflow(order).describe()).run_id
    for point in await acts.reset_points(desk.client, order.order_id):
        await acts.reset(desk.client, order.order_id, point, first)
        await until_it_waits(desk, order)
    assert (await order.approve(ASHA)).status is Status.PLACED
    assert len(desk.broker.sent) == 1


async def test_what_is_no_decision_is_told(desk: Desk) -> None:
    order = await waiting(desk)
    with pytest.raises(InvalidOrder, match="who:"):
        await order.approve("")
    with pytest.raises(WorkflowUpdateFailedError):
        await desk.workflow(order).execute_update("approve", {"who": ""})
    assert not desk.broker.sent
    assert (await order.now()).awaits_approval
