"""GTTs of a live account whose ledger was put back to before they were placed, over the sandbox: none is lost, told as
it stood long ago, or in the way of the rest."""

import asyncio
from datetime import UTC, datetime

import sqlalchemy as sa

from durable_orders import GttIntent, GttStatus
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.gtt.state import GttState
from durable_orders.trading.ledger.gtts import list_gtts, record_gtt
from durable_orders.trading.ledger.tables import gtts
from tests.conftest import eventually
from tests.live.conftest import Desks
from tests.live.desk import Desk
from tests.live.test_gtt import FIRST, QUICK, App, holds, intent, sent, stands


async def put_back(desk: Desk, recorded: GttIntent | None = None) -> None:
    """The ledger of before any GTT was placed; with `recorded`, of just after that one was, before it was sent."""

    def write() -> None:
        with desk.orders.database.write() as connection:
            connection.execute(sa.delete(gtts).where(gtts.c.account == desk.settings.account))
            if recorded is not None:
                own = recorded.model_copy(update={"account": desk.settings.account})
                record_gtt(connection, GttState.of(own, datetime.now(UTC)), datetime.now(UTC))

    await asyncio.to_thread(write)


async def names(desk: Desk) -> list[str]:
    states = await desk.orders.read(lambda ledger: list_gtts(ledger, desk.settings.account))
    return sorted(state.intent.gtt_id for state in states)


async def test_the_same_again_is_told_as_the_list_has_it_by_now(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    app = await App.of(desk)
    deleted, waiting = intent(1400, gtt_id="deleted"), intent(1350, gtt_id="waiting")
    for asked in (deleted, waiting):
        assert (await desk.orders.place_gtt(asked, timeout=60)).status is GttStatus.ACTIVE
    await app.delete(FIRST)
    await stands(desk, "deleted", GttStatus.DELETED)
    await put_back(desk)
    assert (await desk.orders.place_gtt(deleted, timeout=60)).status is GttStatus.DELETED
    assert (await desk.orders.place_gtt(waiting, timeout=60)).status is GttStatus.ACTIVE
    assert await sent(desk) == 2
    assert await names(desk) == ["deleted", "waiting"], "neither is somebody else's"


async def test_without_the_list_it_is_unknown(desks: Desks) -> None:
    desk = await desks(live=QUICK)
    await holds(desk)
    asked = intent(1400, gtt_id="exit")
    await desk.orders.place_gtt(asked, timeout=60)
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1, routes={Route.GTT, Route.GTT_LIST})
    await put_back(desk)
    view = await desk.orders.place_gtt(asked, timeout=2)
    assert (view.status, "was not read since" in view.reasons[0]) == (GttStatus.UNKNOWN, True)
    await desk.venue.clear()
    assert (await stands(desk, "exit", GttStatus.ACTIVE)).trigger_id == FIRST


async def test_one_that_was_adopted_meanwhile_is_its_own_again(desks: Desks) -> None:
    """Restored to between the recording and the sending: its workflow has ended, and the row is found at the broker."""
    desk = await desks(live=QUICK)
    await holds(desk)
    asked = intent(1400, gtt_id="exit")
    await desk.orders.place_gtt(asked, timeout=60)
    await put_back(desk, asked)
    view = await stands(desk, "exit", GttStatus.ACTIVE)
    assert (view.trigger_id, await names(desk)) == (FIRST, ["exit"])
    assert (await desk.orders.delete_gtt("exit", timeout=60)).status is GttStatus.DELETED
    assert await sent(desk) == 1


async def test_one_whose_answer_is_lost_is_found_though_the_row_was_adopted(desks: Desks) -> None:
    """Its workflow still looks for it when the ledger is put back."""
    desk = await desks(live=QUICK, kite={"timeout": 1})
    await holds(desk)
    app = await App.of(desk)
    await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=60, routes={Route.GTT_PLACE})
    placing = asyncio.create_task(desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=120))

    async def taken() -> bool:
        return bool(await app.listed())

    assert await eventually(taken)
    await desk.venue.fault(Fault.BOOK_UNREADABLE, probability=1, routes={Route.GTT_LIST})
    await desk.alerted("the broker's list cannot be read")
    await put_back(desk)
    await desk.venue.clear()
    assert (await placing).status is GttStatus.ACTIVE
    assert (await names(desk), len(await app.listed())) == (["exit"], 1)
