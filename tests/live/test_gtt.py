"""GTTs of a live account, over the sandbox: each is placed once, followed, and never guessed about."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import NetworkException
from pydantic import ValidationError

from chaos.venue import ASK_AGAIN, INFY
from durable_orders import GttIntent, GttLeg, GttStatus, GttView
from durable_orders.halting import halt
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading import errors
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.events import EventType
from durable_orders.trading.orders.order import Order, OrderType, Product, Status
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually
from tests.crashes.processes import kill, killed_itself, running
from tests.durable_orders.program import Answer, Program
from tests.live.conftest import Desks
from tests.live.crashing_worker import Point
from tests.live.desk import Desk, at_work, open_desk

QUICK = {"settle_window": 1}
FIRST = "112127"
"""The sandbox's first id."""


def intent(*triggers: int, **terms: Any) -> GttIntent:
    """To sell 10 INFY, one rupee below each trigger, however long a worker takes to begin."""
    legs = [GttLeg(trigger_price=Decimal(at), price=Decimal(at - 1), quantity=10) for at in triggers or (1400,)]
    content = {"symbol": INFY, "side": "SELL", "legs": legs, "place_by": datetime.now(UTC) + timedelta(hours=6)}
    return GttIntent(**content | terms)


def by_hand(*triggers: int) -> dict[str, Any]:
    """The same as `intent`, as another client of the same user asks for it."""
    order = {"transaction_type": "SELL", "quantity": 10, "order_type": "LIMIT", "product": "CNC"}
    return {
        "trigger_type": "single" if len(triggers) == 1 else "two-leg",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "trigger_values": list(triggers),
        "last_price": 1500,
        "orders": [order | {"price": at - 1} for at in triggers],
    }


async def holds(desk: Desk, quantity: int = 100) -> None:
    """INFY for delivery, bought by us. A worker that stands still for seconds is taken for dead before it has sent:
    then the order is proved not placed, and another one is asked for."""

    async def is_bought() -> bool:
        order = await desk.place(OrderType.MARKET, quantity=quantity, product=Product.CNC)
        bought = await order.result()
        assert bought.status is Status.FILLED or "not placed" in str(bought.reasons), bought.reasons
        return bought.status is Status.FILLED

    assert await eventually(is_bought, "a position")


class App:
    """Another client of the same user: whoever uses the app."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._kite = KiteConnect(desk.venue.settings.api_key, token, root=desk.venue.sandbox.root)

    @classmethod
    async def of(cls, desk: Desk) -> "App":
        return cls(desk, (await desk.venue.ask("POST", "login"))["access_token"])

    async def listed(self) -> list[dict[str, Any]]:
        while True:
            try:
                rows: list[dict[str, Any]] = await asyncio.to_thread(self._kite.get_gtts)
            except NetworkException:  # its readings count towards the same ten a second
                await asyncio.sleep(ASK_AGAIN)
            else:
                return rows

    async def place(self, *triggers: int) -> str:
        told = await asyncio.to_thread(lambda: self._kite.place_gtt(**by_hand(*triggers)))
        return str(told["trigger_id"])

    async def modify(self, trigger_id: str, *triggers: int) -> None:
        await self.ask_to_modify(trigger_id, by_hand(*triggers))

    async def ask_to_modify(self, trigger_id: str, asked: dict[str, Any]) -> None:
        await asyncio.to_thread(lambda: self._kite.modify_gtt(trigger_id, **asked))

    async def cancel(self, order_id: str) -> None:
        await asyncio.to_thread(self._kite.cancel_order, "regular", order_id)

    async def delete(self, trigger_id: str) -> None:
        await asyncio.to_thread(self._kite.delete_gtt, trigger_id)


async def stands(desk: Desk, gtt_id: str, *statuses: GttStatus) -> GttView:
    async def reached() -> GttView | None:
        try:
            found = await desk.orders.gtt(gtt_id)
        except errors.OrderNotFound:
            return None
        return found if found.status in statuses else None

    found = await eventually(reached, f"{gtt_id} {statuses}")
    assert found is not None
    return found


async def order_of(desk: Desk, view: GttView) -> Order:
    """The ledger's order that came of it: the list names it a moment after the trigger."""

    async def named() -> list[str]:
        legs = (await desk.orders.gtt(view.gtt_id)).legs
        return [leg.order_id for leg in legs if leg.order_id is not None]

    (own,) = await eventually(named, f"the order of {view.gtt_id}")

    async def adopted() -> Order | None:
        return next((each for each in await desk.orders.list() if each.broker_order_id == own), None)

    found = await eventually(adopted, own)
    assert found is not None
    return found


async def sent(desk: Desk, route: Route = Route.GTT_PLACE) -> int:
    """Requests that have reached the broker."""
    return sum((await desk.venue.tally())["requests"].get(route, {}).values())


async def test_a_gtt_is_placed_and_its_order_is_its_strategys(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    asked = intent(1400, 1600, gtt_id="exit", strategy="swing")
    view = await desk.orders.place_gtt(asked, timeout=60)
    assert (view.status, view.trigger_id, view.type) == (GttStatus.ACTIVE, FIRST, "two-leg")
    assert await desk.orders.place_gtt(asked, timeout=60) == view, "the same again is the same GTT"
    assert await sent(desk) == 1
    with pytest.raises(errors.DuplicateOrder):
        await desk.orders.place_gtt(intent(1300, gtt_id="exit"), timeout=60)
    twin = await desk.orders.place_gtt(intent(1400, 1600, gtt_id="twin"), timeout=60)
    assert (twin.status, twin.reasons) == (
        GttStatus.REJECTED,
        ("gtt: the broker has one of just this content, ACTIVE as 112127",),
    )
    assert await sent(desk) == 1
    await desk.venue.tick(Decimal(1601))
    view = await stands(desk, "exit", GttStatus.TRIGGERED)
    order = await order_of(desk, view)
    assert (order.strategy, order.side, order.quantity, order.price) == ("swing", "SELL", 10, Decimal(1599))
    await desk.told(desk.account_events, f"TRIGGERED at 1601: order {order.broker_order_id} was placed")
    assert [event.type for event in await desk.events(order.order_id) if event.type is EventType.ALERT] == []

    async def filled() -> bool:
        return (await desk.orders.gtt("exit")).legs[1].order_status is Status.FILLED

    assert await eventually(filled)


@pytest.mark.parametrize("kind", [Fault.ACCEPT_THEN_DROP, Fault.ACCEPT_THEN_504, Fault.EMPTY_BODY, Fault.REDIRECTED])
async def test_lost_answer_of_one_that_is_there(desks: Desks, kind: Fault) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.venue.fault(kind, routes={Route.GTT_PLACE})
    view = await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    assert (view.status, view.trigger_id, view.reasons) == (GttStatus.ACTIVE, FIRST, ())
    assert await sent(desk) == 1


async def test_lost_answer_of_one_that_is_not_there(desks: Desks) -> None:
    """It is not sent again, and no new one of its symbol is while that is not known."""
    desk = await desks(live={"settle_window": 3})
    await holds(desk)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_PLACE})
    placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60))
    view = await stands(desk, "exit", GttStatus.UNKNOWN)
    assert "its answer was lost" in view.reasons[0]
    other = await desk.orders.place_gtt(intent(1300, gtt_id="other"), timeout=60)
    assert (other.status, "what came of exit" in other.reasons[0]) == (GttStatus.REJECTED, True)
    view = await placing
    assert view.status is GttStatus.REJECTED
    assert "did not show it" in view.reasons[0]
    assert await sent(desk) == 1
    assert await (await App.of(desk)).listed() == []


async def test_one_that_turns_up_after_all_is_told(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.venue.fault(Fault.GTT_HIDDEN, seconds=5)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_PLACE})
    view = await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    assert view.status is GttStatus.REJECTED
    view = await stands(desk, "exit", GttStatus.ACTIVE)
    assert (view.trigger_id, view.reasons) == (FIRST, ()), "it is not told any more that it was not placed"
    await desk.alerted("ACTIVE at the broker as 112127 after all; it had been REJECTED: its answer was lost")


async def test_two_that_could_be_it_are_left_to_a_human(desks: Desks) -> None:
    """Its answer is lost, and somebody places just the same while the list cannot be read."""
    desk = await desks(live=QUICK, kite={"timeout": 1})
    await holds(desk)
    app = await App.of(desk)
    await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=60, routes={Route.GTT_PLACE})
    placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=1))

    async def taken() -> bool:
        return bool(await app.listed())

    assert await eventually(taken)
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1, routes={Route.GTT_LIST})
    await desk.alerted("the broker's list cannot be read")
    twin = await app.place(1400)
    await desk.venue.clear()

    async def ambiguous() -> bool:
        return any("it may be any or none of" in reason for reason in (await desk.orders.gtt("exit")).reasons)

    assert await eventually(ambiguous)
    await placing
    assert (await desk.orders.gtt("exit")).status is GttStatus.UNKNOWN
    assert [view.gtt_id for view in await desk.orders.gtts()] == ["exit"], "neither is taken for somebody else's"
    with pytest.raises(errors.InvalidOrder, match="evidence"):
        await desk.orders.settle_gtt("exit", FIRST, " ")
    with pytest.raises(errors.InvalidOrder, match="trigger_id: digits"):
        await desk.orders.settle_gtt("exit", "abc", "a guess")
    wrong = await desk.orders.settle_gtt("exit", "999", "misread", timeout=60)
    assert (wrong.status, wrong.reasons) == (
        GttStatus.UNKNOWN,
        ("it was settled by hand as 999, and the broker's list does not show it",),
    )
    right = await desk.orders.settle_gtt("exit", FIRST, "placed at 10:00, the other one at 10:01", timeout=60)
    assert (right.status, right.trigger_id, right.reasons) == (GttStatus.ACTIVE, FIRST, ())
    assert (await stands(desk, f"external-{twin}", GttStatus.ACTIVE)).is_external


async def test_an_id_as_those_of_others_have_is_not_taken(desks: Desks) -> None:
    desk = await desks(staffed=False)
    with pytest.raises(errors.InvalidOrder, match="gtt_id: must not begin with external-"):
        await desk.orders.place_gtt(intent(gtt_id="external-112"), timeout=60)


async def test_it_is_changed_and_deleted_and_a_lost_answer_is_read(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    legs = [GttLeg(trigger_price=Decimal(1300), price=Decimal(1295), quantity=20)]
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_MODIFY})
    view = await desk.orders.change_gtt("exit", legs, timeout=60)
    assert (view.legs[0].trigger_price, view.legs[0].quantity, view.changing) == (Decimal(1300), 20, "")
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_MODIFY})
    with pytest.raises(errors.InvalidOrder, match="it was not made"):
        await desk.orders.change_gtt("exit", intent(1200).legs, timeout=60)
    assert (await desk.orders.gtt("exit")).legs[0].trigger_price == 1300
    with pytest.raises(errors.InvalidOrder, match="stays one"):
        await desk.orders.change_gtt("exit", intent(1200, 1600).legs)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_DELETE})
    assert (await desk.orders.delete_gtt("exit", timeout=60)).status is GttStatus.DELETED
    with pytest.raises(errors.InvalidOrder, match="it is DELETED, and not ACTIVE"):
        await desk.orders.delete_gtt("exit")
    await desk.venue.tick(Decimal(1290))
    assert [row.status for row in desk.venue.rows() if row.side == "SELL"] == []


async def test_a_delete_takes_the_place_of_a_change(desks: Desks) -> None:
    """What came of the change cannot be read, and the delete goes out all the same."""
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1, routes={Route.GTT})
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_MODIFY})
    changing = asyncio.create_task(desk.orders.change_gtt("exit", intent(1300).legs, timeout=300))

    async def on_its_way() -> bool:
        return await sent(desk, Route.GTT_MODIFY) == 1

    assert await eventually(on_its_way)
    deleting = asyncio.create_task(desk.orders.delete_gtt("exit", timeout=300))
    joining = asyncio.create_task(desk.orders.delete_gtt("exit", timeout=300))
    app = await App.of(desk)

    async def gone() -> bool:
        return [row["status"] for row in await app.listed()] == ["deleted"]

    assert await eventually(gone)
    with pytest.raises(errors.InvalidOrder, match=r"being deleted|on its way"):
        await desk.orders.change_gtt("exit", intent(1350).legs)
    await desk.venue.clear()
    assert [(await each).status for each in (deleting, joining)] == [GttStatus.DELETED] * 2
    with pytest.raises(errors.UnknownError, match="it was sent, and another one was asked for"):
        await changing
    assert (await desk.orders.gtt("exit")).changing == ""


async def test_one_whose_answer_was_lost_is_deleted_once_it_is_found(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.venue.fault(Fault.ACCEPT_THEN_DROP, routes={Route.GTT_PLACE})
    placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=300))

    async def taken() -> bool:
        return await sent(desk) == 1

    assert await eventually(taken)
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1, routes={Route.GTT_LIST})
    deleting = asyncio.create_task(desk.orders.delete_gtt("exit", timeout=300))

    async def wished() -> bool:
        view = await desk.orders.gtt("exit")
        return view.changing == "delete" or view.status is GttStatus.DELETED

    assert await eventually(wished)
    await desk.venue.clear()
    assert (await deleting).status is GttStatus.DELETED
    assert (await placing).status in (GttStatus.ACTIVE, GttStatus.DELETED)


async def test_a_delete_that_the_broker_has_no_time_for_is_sent_again(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
    await desk.venue.fault(Fault.TOO_MANY_REQUESTS, routes={Route.GTT_DELETE})
    assert (await desk.orders.delete_gtt("exit", timeout=60)).status is GttStatus.DELETED
    await desk.told(desk.account_events, "GTT exit: not deleted so far")


async def test_one_of_the_app_is_adopted_and_followed(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    app = await App.of(desk)
    number = await app.place(1400, 1600)
    own = f"external-{number}"
    view = await stands(desk, own, GttStatus.ACTIVE)
    assert (view.is_external, view.strategy, view.type) == (True, "external", "two-leg")
    await app.modify(number, 1300, 1700)
    await desk.told(desk.account_events, f"GTT {own}: changed at the broker: 10 at 1299 from 1300 on")
    assert (await desk.orders.delete_gtt(own)).status is GttStatus.DELETED
    other = await app.place(1450)
    await stands(desk, f"external-{other}", GttStatus.ACTIVE)
    await app.delete(other)
    await stands(desk, f"external-{other}", GttStatus.DELETED)


async def test_a_refused_order_and_an_end_by_the_broker_are_told(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    legs = [GttLeg(trigger_price=Decimal(1400), price=Decimal(100), quantity=10)]
    await desk.orders.place_gtt(intent(gtt_id="low", legs=legs), timeout=60)
    await desk.orders.place_gtt(intent(1350, gtt_id="split"), timeout=60)
    await desk.venue.ask("POST", f"gtt/{int(FIRST) + 1}/end", {"status": "disabled"})
    await desk.alerted("GTT split: DISABLED at the broker")
    await desk.venue.tick(Decimal(1399))
    view = await stands(desk, "low", GttStatus.TRIGGERED)
    await desk.alerted("its order was refused, so that nothing was placed: Your order price is outside the circuit")
    assert (view.legs[0].order_id, "circuit limits" in view.legs[0].rejection_reason) == (None, True)


LIMITED = {"max_order_quantity": 50, "price_band_percent": 5, "strategies": {"careful": {"approve": True}}}


async def test_the_account_checks_a_gtt_as_it_does_an_order(desks: Desks) -> None:
    desk = await desks(guardian=LIMITED, live={"market_deadline": 3600})
    await holds(desk, 40)
    app = await App.of(desk)
    await app.place(1450)
    await stands(desk, f"external-{FIRST}", GttStatus.ACTIVE)

    def legs(trigger: str, price: str, quantity: int) -> list[GttLeg]:
        return [GttLeg(trigger_price=Decimal(trigger), price=Decimal(price), quantity=quantity)]

    for asked, words in (
        (intent(legs=legs("1400", "1399", 60)), "MAX_ORDER_QUANTITY"),
        (intent(legs=legs("1400", "1300", 10)), "PRICE_BAND"),
        (intent(legs=legs("1400.03", "1399", 10)), "trigger_price: TICK_SIZE"),
        (intent(legs=legs("1400", "1399", 41)), "NOT_DELIVERABLE"),
        (intent(legs=legs("1400", "1399", 31)), "NOT_DELIVERABLE: at most 30 of NSE:INFY may be sold"),
        (intent(legs=legs("1400", "1399", 31)), "other GTTs, which count as offered, sell 10"),
        (intent(symbol="NSE:NOSUCH"), "SYMBOL"),
        (intent(strategy="careful"), "strategy: a person approves the orders of careful"),
    ):
        view = await desk.orders.place_gtt(asked, timeout=60)
        assert (view.status, words in "; ".join(view.reasons)) == (GttStatus.REJECTED, True), view.reasons
    database, settings = desk.orders.database, desk.settings
    await desk.orders.place_gtt(intent(legs=legs("1400", "1399", 30), gtt_id="rest"))
    await stands(desk, "rest", GttStatus.ACTIVE)  # together they sell what is held
    with pytest.raises(errors.InvalidOrder, match="other GTTs, which count as offered, sell 10"):
        await desk.orders.change_gtt("rest", legs("1400", "1399", 31))
    less = await desk.orders.change_gtt("rest", legs("1390", "1389", 30), timeout=60)
    assert less.legs[0].trigger_price == 1390, "its own shares are not counted against it"
    await asyncio.to_thread(halt, database, settings, "stop", state=AccountState.HALTED, who="by a test")
    view = await desk.orders.place_gtt(intent(), timeout=60)
    assert (view.status, "HALTED" in "; ".join(view.reasons)) == (GttStatus.REJECTED, True)
    assert (await desk.orders.delete_gtt(f"external-{FIRST}")).status is GttStatus.DELETED, "an end always goes out"
    assert await sent(desk) == 2, "that of the app, and one of ours"


async def test_in_a_dry_run_nothing_goes_out_also_no_delete(desks: Desks) -> None:
    desk = await desks(execution={"dry_run": True})
    app = await App.of(desk)
    own = f"external-{await app.place(1400)}"
    await stands(desk, own, GttStatus.ACTIVE)
    with pytest.raises(errors.InvalidOrder, match="dry run"):
        await desk.orders.delete_gtt(own)
    with pytest.raises(errors.InvalidOrder, match="dry run"):
        await desk.orders.change_gtt(own, intent(1300).legs)
    assert "dry run" in (await desk.orders.place_gtt(intent(1350), timeout=60)).reasons[0]
    assert [row["status"] for row in await app.listed()] == ["active"]
    assert await sent(desk, Route.GTT_DELETE) == 0


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"product": "MIS"}, "product: a GTT on NSE is CNC or MTF"),
        ({"symbol": "MCX:GOLD25APRFUT"}, "symbol: a GTT is for NSE, BSE, NFO, BFO"),
        ({"tag": "mine"}, "tag: Kite's client drops it"),
        ({"validity": "IOC"}, "validity: Kite's client drops it"),
        ({"order_type": "MARKET"}, "order_type: a GTT places LIMIT orders"),
        ({"side": "BUY", "legs": [*intent(1400, 1600).legs]}, "side: a two-leg GTT of shares sells"),
        ({"legs": [*intent(1600).legs, *intent(1400).legs]}, "the lower one comes first"),
        ({"legs": [*intent(1400).legs], "last_price": "1400"}, "it is reached already"),
        ({"legs": [{"trigger_price": 1400, "price": 1399, "quantity": 10, "disclosed_quantity": 1}]}, "drops it"),
    ],
)
def test_what_cannot_be_a_gtt_is_told_with_its_field(terms: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        intent(**terms)


@pytest.mark.parametrize(
    "point", [Point.BEFORE_PLACE, Point.IN_FLIGHT, Point.AFTER_PLACE, Point.BEFORE_LOOK, Point.AFTER_LOOK]
)
async def test_a_killed_worker_leaves_one(temporal_server: ServerAddress, tmp_path: Path, point: Point) -> None:
    """Whatever the moment, it is placed once, or with that proved not at all; and what it triggers is known."""
    async with open_desk(temporal_server, tmp_path, live={"settle_window": 2}) as desk:
        async with at_work(desk):
            await holds(desk)
        if point is Point.IN_FLIGHT:
            await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=10, routes={Route.GTT_PLACE})
        words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), point)
        with running(desk.home, *words) as process:
            placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=300))
            if point is Point.IN_FLIGHT:
                app = await App.of(desk)

                async def taken() -> bool:
                    return bool(await app.listed())

                assert await eventually(taken)
                kill(process)
            await killed_itself(process, desk.home)
        async with at_work(desk):
            view = await placing
            there = await (await App.of(desk)).listed()
            if point is Point.BEFORE_PLACE:
                assert (view.status, there) == (GttStatus.REJECTED, [])
                return
            assert (view.status, [str(row["id"]) for row in there]) == (GttStatus.ACTIVE, [view.trigger_id])
            await desk.venue.tick(Decimal(1390))
            order = await order_of(desk, await stands(desk, "exit", GttStatus.TRIGGERED))
            assert order.reason == "GTT exit was triggered"


async def test_the_program_says_it_as_json(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    program = Program(desk.home.path)

    async def say(*words: str) -> Answer:
        return await asyncio.to_thread(program, "gtt", *words)

    words = ("SELL", "NSE:INFY", "10", "--trigger", "1400", "--price", "1399", "--trigger", "1600", "--price", "1598")
    placed = await say("place", *words, "--id", "exit", "--json")
    assert (placed.code, placed.json["status"], placed.json["trigger_id"]) == (0, "ACTIVE", FIRST)
    assert [leg["trigger_price"] for leg in placed.json["legs"]] == ["1400.00", "1600.00"]
    assert (await say("change", "exit", "--quantity", "20", "--json")).json["legs"][1]["quantity"] == 20
    assert [each["gtt_id"] for each in (await say("list", "--json")).json] == ["exit"]
    turned = await say("change", "exit", "--trigger", "1400", "--price", "1399")
    assert turned.error == "trigger: a two-leg GTT stays one: delete it, and place another"
    halted = await asyncio.to_thread(program, "halt", "--reason", "stop")
    assert "1 GTTs wait at the broker" in halted.err
    refused = await say("place", *words, "--id", "other")
    assert (refused.code, "other was refused: " in refused.error) == (1, True)
    assert (await say("delete", "exit", "--json")).json["status"] == "DELETED"
    assert (await say("list", "--json")).json == []
    assert "it is DELETED" in (await say("delete", "exit")).error
    assert (await say("place", *words[:5])).error == (
        "trigger: give --trigger and --price once, or twice for a two-leg GTT"
    )
    assert "DELETED as 112127: SELL NSE:INFY CNC" in (await say("show", "exit")).out


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_its_order_that_ends_without_its_fill_is_an_alert(desks: Desks, is_cancelled: bool) -> None:
    """Rejected behind the answer, or cancelled in the app: the GTT is spent, and protects nothing any more."""
    desk = await desks()
    await holds(desk)
    legs = [GttLeg(trigger_price=Decimal(1400), price=Decimal(1450 if is_cancelled else 1399), quantity=10)]
    await desk.orders.place_gtt(intent(gtt_id="exit", legs=legs), timeout=60)
    if not is_cancelled:
        await desk.venue.fault(Fault.REJECTED_LATER)
    await desk.venue.tick(Decimal(1399))
    order = await order_of(desk, await stands(desk, "exit", GttStatus.TRIGGERED))
    if is_cancelled:
        await (await App.of(desk)).cancel(order.broker_order_id or "")
    words = "the order of the GTT exit has ended with 0 of 10 filled, and that GTT is spent"
    await desk.told(order.order_id, words, EventType.ALERT)
