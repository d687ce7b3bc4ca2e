"""Plans of a live account whose stop a GTT keeps, over the sandbox: never more goes out than came in, and a dead worker
leaves a stop at the broker."""

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chaos.venue import INFY
from durable_orders import GttStatus
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading import errors
from durable_orders.trading.orders.book import BookState
from durable_orders.trading.orders.order import OrderType, Status
from durable_orders.trading.plans.plan import PlanChange, PlanIntent
from durable_orders.trading.plans.state import PlanStatus, PlanView
from durable_orders.workers.home import ServerAddress
from durable_orders.workflows.names import plan_workflow_id
from tests.conftest import eventually
from tests.crashes.processes import killed_itself, running
from tests.live.conftest import Desks
from tests.live.crashing_worker import Point
from tests.live.desk import LAST, Desk, at_work, open_desk
from tests.live.test_gtt import QUICK, App, by_hand, holds, intent, order_of, sent, stands
from tests.live.test_gtt_resets import reset

GTT = "p1.gtt-1-1"
STOP, LIMIT, TARGET = Decimal(1450), Decimal(1440), Decimal(1600)


def bracket(desk: Desk, **terms: Any) -> PlanIntent:
    """BUY 10 INFY at 1500 for delivery, stop 1450 at a limit of 1440, target 1600."""
    content: dict[str, Any] = {"account": desk.settings.account, "mode": "live", "plan_id": "p1", "symbol": INFY}
    content |= {"side": "BUY", "quantity": 10, "product": "CNC", "protect": "broker", "strategy": "swing"}
    content |= {"entry": {"order_type": "LIMIT", "price": LAST}, "targets": ({"price": TARGET},)}
    content |= {"stop": {"trigger_price": STOP, "limit_price": LIMIT}}
    return PlanIntent(**content | terms)


async def becomes(desk: Desk, what: str, **wanted: Any) -> PlanView:
    """The plan as the ledger has it, once these fields of it are so."""

    async def reached() -> PlanView | None:
        view = await desk.orders.plan("p1")
        return view if all(getattr(view, name) == value for name, value in wanted.items()) else None

    found = await eventually(reached, what)
    assert found is not None
    return found


async def protected(desk: Desk, **terms: Any) -> PlanView:
    """A plan whose entry has filled, and whose GTT the broker's list shows."""
    await desk.orders.start_plan(bracket(desk, **terms))
    return await becomes(desk, "a GTT at the broker", held=10, protected=True)


async def is_over(desk: Desk) -> PlanView:
    return await becomes(desk, "all is closed", status=PlanStatus.CLOSED, held=0)


def sold(desk: Desk) -> int:
    return sum(trade.quantity for trade in desk.venue.trades() if trade.side == "SELL")


def working(desk: Desk) -> list[str]:
    return [row.side for row in desk.venue.rows() if row.state is BookState.WORKING]


@pytest.mark.parametrize(("price", "limit"), [(Decimal(1449), LIMIT), (Decimal(1601), TARGET)])
async def test_its_order_is_the_plans_exit(desks: Desks, price: Decimal, limit: Decimal) -> None:
    desk = await desks(live=QUICK)
    view = await protected(desk)
    (_, stop) = view.orders
    assert (stop.role, stop.client_order_id, stop.status) == ("stop", GTT, Status.PLACED)
    assert (stop.order_type, stop.trigger_price, stop.price, stop.quantity) == (OrderType.SL, STOP, LIMIT, 10)
    gtt = await desk.orders.gtt(GTT)
    assert [(leg.trigger_price, leg.price, leg.quantity) for leg in gtt.legs] == [
        (STOP, LIMIT, 10),
        (TARGET, TARGET, 10),
    ]
    assert working(desk) == [], "no stop order beside it"
    await desk.venue.tick(price)
    view = await is_over(desk)
    (_, out) = view.orders
    assert (out.role, out.status, out.filled_quantity, out.price) == ("exit", Status.FILLED, 10, limit)
    order = await order_of(desk, await stands(desk, GTT, GttStatus.TRIGGERED))
    assert (order.strategy, order.broker_order_id, sold(desk)) == ("swing", out.broker_order_id, 10)
    assert not any("others have closed" in words for words in await desk.alerts()), "it is counted once"


async def test_the_gtt_follows_what_is_entered(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await desk.orders.start_plan(bracket(desk, entry={"order_type": "LIMIT", "price": "1490"}))
    view = await becomes(desk, "the entry works", status=PlanStatus.WORKING)
    entry = view.orders[0].broker_order_id or ""
    await desk.venue.fill(entry, 4, Decimal(1490))
    view = await becomes(desk, "a GTT for a part", held=4, protected=True)
    assert view.orders[1].quantity == 4
    await desk.venue.fill(entry, 6, Decimal(1490))
    view = await becomes(desk, "a GTT for all", held=10, protected=True)
    assert [(each.client_order_id, each.quantity) for each in view.orders[1:]] == [(GTT, 10)], "the same one, changed"
    assert [leg.quantity for leg in (await desk.orders.gtt(GTT)).legs] == [10, 10]
    changed = await desk.orders.amend_plan("p1", PlanChange(stop="1460"))
    assert changed.stop == 1460

    async def follows() -> bool:
        leg = (await desk.orders.gtt(GTT)).legs[0]
        return (leg.trigger_price, leg.price) == (Decimal(1460), Decimal(1450))

    assert await eventually(follows, "it goes where the stop goes")
    with pytest.raises(errors.InvalidOrder, match="target: with protect broker"):
        await desk.orders.amend_plan("p1", PlanChange(target="1650"))
    assert await sent(desk) == 1


async def test_it_is_gone_before_the_plan_goes_out_itself(desks: Desks) -> None:
    """Its delete is not known to be done for a while, and so long nothing else is sent."""
    desk = await desks(live=QUICK)
    await protected(desk)
    await desk.venue.fault(Fault.TOO_MANY_REQUESTS, routes={Route.GTT_DELETE})
    view = await desk.orders.cancel_plan("p1", "by a test", flatten=True)
    view = await is_over(desk)
    assert [(each.client_order_id, each.status) for each in view.orders[1:]] == [
        (GTT, Status.CANCELLED),
        ("p1.exit-1-2", Status.FILLED),
    ]
    assert ((await desk.orders.gtt(GTT)).status, sold(desk)) == (GttStatus.DELETED, 10)


async def test_cancelled_without_flatten_it_leaves_the_position_and_no_gtt(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await protected(desk)
    await desk.orders.cancel_plan("p1", "by a test")
    view = await becomes(desk, "it is over", status=PlanStatus.LEFT)
    assert (view.held, view.protected) == (10, False)
    assert ((await desk.orders.gtt(GTT)).status, sold(desk)) == (GttStatus.DELETED, 0)


async def test_a_gap_through_its_limit_goes_to_the_market(desks: Desks) -> None:
    """The GTT's order rests above the market: it is cancelled, and only then another one is sent."""
    desk = await desks(live=QUICK)
    await protected(desk)
    await desk.venue.tick(Decimal(1430))

    async def out() -> bool:
        await desk.venue.tick(Decimal(1430))
        return (await desk.orders.plan("p1")).status is PlanStatus.CLOSED

    assert await eventually(out)
    view = await desk.orders.plan("p1")
    assert [(each.role, each.status) for each in view.orders[1:]] == [
        ("exit", Status.CANCELLED),
        ("exit", Status.FILLED),
    ]
    assert (view.orders[2].order_type, sold(desk), working(desk)) == (OrderType.MARKET, 10, [])


@pytest.mark.parametrize("kind", [Fault.ACCEPT_THEN_DROP, Fault.ACCEPT_THEN_504])
async def test_a_lost_answer_makes_no_second_one(desks: Desks, kind: Fault) -> None:
    desk = await desks(live=QUICK)
    await desk.venue.fault(kind, routes={Route.GTT_PLACE})
    await protected(desk)
    assert await sent(desk) == 1
    await desk.venue.tick(Decimal(1449))
    await is_over(desk)
    assert sold(desk) == 10


async def test_what_its_order_traded_before_the_list_tells_whose_it_is_is_counted_once(desks: Desks) -> None:
    """Till then it is taken for a stranger's, and the plan lets go of it."""
    desk = await desks(live=QUICK)
    await protected(desk)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_LIST, Route.GTT}, probability=1.0)
    await desk.venue.tick(Decimal(1439))
    (placed,) = [row for row in desk.venue.rows() if row.side == "SELL"]
    await desk.venue.fill(placed.broker_order_id, 4, LIMIT)
    await desk.alerted("plan p1: others have closed 4 that it held: it lets go of them")
    await desk.venue.clear()
    await is_over(desk)
    assert sold(desk) == 10
    await desk.alerted("plan p1: 4 that others were said to have closed were closed by its own GTT")


async def test_where_the_broker_takes_none_a_stop_order_protects(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_PLACE})
    view = await protected(desk)
    assert [(each.role, each.client_order_id, each.status) for each in view.orders[1:]] == [
        ("stop", GTT, Status.REJECTED),
        ("stop", "p1.exit-1-2", Status.PLACED),
    ]
    await desk.alerted(f"plan p1: the exit {GTT} is REJECTED")


async def test_one_that_turns_up_after_all_is_deleted(desks: Desks) -> None:
    """By then the stop is an order: of two, one goes."""
    desk = await desks(live=QUICK)
    await desk.venue.fault(Fault.GTT_HIDDEN, seconds=8)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_PLACE})
    view = await protected(desk)
    assert view.orders[-1].client_order_id == "p1.exit-1-2"
    await stands(desk, GTT, GttStatus.DELETED)
    await desk.venue.tick(Decimal(1449))
    await is_over(desk)
    assert sold(desk) == 10


async def test_one_that_turns_up_after_the_plan_is_over_is_deleted(desks: Desks) -> None:
    """Nothing is held for it to sell."""
    desk = await desks(live=QUICK)
    await desk.venue.fault(Fault.GTT_HIDDEN, seconds=45)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_PLACE})
    view = await protected(desk)
    assert view.orders[-1].client_order_id == "p1.exit-1-2"
    await desk.orders.cancel_plan("p1", "by a test", flatten=True)
    await is_over(desk)
    own = plan_workflow_id(desk.settings.account, "p1")
    await desk.orders.client.get_workflow_handle(own).result()
    await stands(desk, GTT, GttStatus.DELETED)
    await desk.venue.tick(Decimal(1449))
    assert sold(desk) == 10


async def test_what_a_stranger_makes_of_its_target_is_taken_back(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await protected(desk)
    gtt = await desk.orders.gtt(GTT)
    asked = by_hand(1450, 1600)
    asked["orders"] = [
        dict(order, **own) for order, own in zip(asked["orders"], ({"price": 1440}, {"quantity": 20}), strict=True)
    ]
    await (await App.of(desk)).ask_to_modify(gtt.trigger_id or "", asked)

    async def is_so(target: tuple[Decimal, int]) -> bool:
        leg = (await desk.orders.gtt(GTT)).legs[1]
        return (leg.price, leg.quantity) == target

    assert await eventually(lambda: is_so((Decimal(1599), 20)), "it is seen")
    assert await eventually(lambda: is_so((TARGET, 10)), "it is what the plan has again")


async def test_a_stranger_deletes_it(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await protected(desk)
    gtt = await desk.orders.gtt(GTT)
    await (await App.of(desk)).delete(gtt.trigger_id or "")
    view = await becomes(desk, "unprotected", protected=False)
    assert view.held == 10
    await desk.alerted("UNPROTECTED")
    view = await becomes(desk, "another one", protected=True)
    assert view.orders[-1].client_order_id == "p1.gtt-1-2"


async def test_it_triggers_while_no_worker_runs(desks: Desks) -> None:
    desk = await desks(staffed=False, live=QUICK)
    async with at_work(desk):
        await protected(desk)
    await desk.venue.tick(Decimal(1449))
    assert sold(desk) == 10, "the broker has sold it, though nobody is there"
    async with at_work(desk):
        view = await is_over(desk)
    assert (view.orders[1].status, view.orders[1].filled_quantity, sold(desk)) == (Status.FILLED, 10, 10)
    assert not any("others have closed" in words for words in await desk.alerts())


async def test_a_plan_that_is_reset_or_terminated_joins_its_gtt(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await protected(desk)
    own = plan_workflow_id(desk.settings.account, "p1")
    await reset(desk, own)
    await desk.orders.amend_plan("p1", PlanChange(stop="1455"))
    await desk.orders.client.get_workflow_handle(own).terminate("by a test")

    async def is_followed() -> bool:
        try:
            await desk.orders.amend_plan("p1", PlanChange(stop="1456"))
        except (errors.InvalidOrder, errors.ServerUnreachable, errors.UnknownError):
            return False
        return True

    assert await eventually(is_followed, "it is taken up again")
    view = await becomes(desk, "still one GTT", held=10, protected=True)
    assert ([each.client_order_id for each in view.orders[1:]], await sent(desk)) == ([GTT], 1)
    await desk.venue.tick(Decimal(1449))
    await is_over(desk)
    assert sold(desk) == 10


@pytest.mark.parametrize("point", [Point.BEFORE_PLACE, Point.AFTER_PLACE, Point.BEFORE_LOOK, Point.AFTER_LOOK])
async def test_a_killed_worker_leaves_one(temporal_server: ServerAddress, tmp_path: Path, point: Point) -> None:
    """Of an OCO: the first that is placed is its GTT. Where that was not placed, an order takes its place."""
    async with open_desk(temporal_server, tmp_path, live={"settle_window": 2}) as desk:
        async with at_work(desk):
            await holds(desk, 10)
        words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), point)
        with running(desk.home, *words) as process:
            starting = asyncio.create_task(desk.orders.start_plan(bracket(desk, entry=None), timeout=300))
            await killed_itself(process, desk.home)
        async with at_work(desk):
            await starting
            await becomes(desk, "a stop at the broker", held=10, protected=True)
            there = [row["status"] for row in await (await App.of(desk)).listed()]
            assert there.count("active") + len(working(desk)) == 1
            await desk.venue.tick(Decimal(1449))
            await is_over(desk)
            assert (sold(desk), working(desk)) == (10, [])


async def test_the_gtts_of_plans_are_nobody_elses(desks: Desks) -> None:
    desk = await desks(staffed=False)
    with pytest.raises(errors.InvalidOrder, match="gtt_id: names that end in"):
        await desk.orders.place_gtt(intent(gtt_id=GTT))


async def test_a_strategy_that_a_person_approves_has_none(desks: Desks) -> None:
    desk = await desks(guardian={"strategies": {"swing": {"approve": True}}})
    view = await desk.orders.start_plan(bracket(desk))
    assert (view.status, "a person approves the orders of swing" in view.reasons[0]) == (PlanStatus.REJECTED, True)
