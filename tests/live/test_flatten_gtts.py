"""A flatten, and the GTTs of what it closes: none is left that would open the position anew."""

import asyncio
import sys
from datetime import timedelta

import pytest

from durable_orders import GttStatus, halting
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.flatten import deleting
from durable_orders.trading.flatten.request import FlattenRequest
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.orders.order import Product, Status
from tests.conftest import eventually
from tests.crashes.processes import kill, killed_itself, running
from tests.durable_orders.program import Program
from tests.live.conftest import Desks
from tests.live.crashing_worker import Point
from tests.live.desk import at_work
from tests.live.test_external_orders import position
from tests.live.test_gtt import App, holds, intent, stands

LONG = 120.0
"""Seconds for a flatten, on a machine that is busy."""


async def waiting(app: App) -> list[str]:
    """The ids of those that the broker has ACTIVE."""
    return [str(row["id"]) for row in await app.listed() if row["status"] == "active"]


async def test_the_gtts_of_a_closed_position_are_deleted_before_it_is_closed(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, 1600, gtt_id="exit", strategy="swing"), timeout=60)
    await stands(desk, "exit", GttStatus.ACTIVE)
    app = await App.of(desk)
    by_hand = f"external-{await app.place(1300)}"
    await stands(desk, by_hand, GttStatus.ACTIVE)
    program = Program(desk.home.path)
    answer = await asyncio.to_thread(program, "halt", "--flatten", "--json", "--wait", str(LONG))
    flattened = answer.json["flattened"]
    assert {(each["gtt_id"], each["status"]) for each in flattened["gtts"]} == {
        ("exit", "DELETED"),
        (by_hand, "DELETED"),
    }
    assert (answer.code, answer.json["state"], answer.json["gtts"]) == (0, "HALTED", [])
    assert [each["status"] for each in flattened["closed"]] == ["FILLED"]
    assert await position(desk) == 0
    assert await waiting(app) == []
    assert "wait at the broker" not in answer.err
    assert "it is DELETED" in (await asyncio.to_thread(program, "gtt", "delete", "exit")).error


async def test_a_strategys_flatten_leaves_the_gtts_of_others_and_names_them(desks: Desks) -> None:
    desk = await desks()
    await holds(desk)
    own = await desk.place(client_order_id="own", strategy="swing", product=Product.CNC, quantity=5)
    assert (await own.result()).status is Status.FILLED
    for gtt_id, strategy, at in (("exit", "swing", 1400), ("theirs", "other", 1300)):
        await desk.orders.place_gtt(intent(at, gtt_id=gtt_id, strategy=strategy), timeout=60)
        await stands(desk, gtt_id, GttStatus.ACTIVE)
    words = ("flatten", "--strategy", "swing", "--wait", str(LONG))
    answer = await asyncio.to_thread(Program(desk.home.path), *words)
    assert answer.code == 0, answer.err
    assert "GTT          DELETED exit: SELL NSE:INFY CNC: 10 at 1399" in answer.out
    assert "1 GTTs wait at the broker, and may place their orders: theirs (ACTIVE, SELL NSE:INFY)" in answer.err
    assert (await desk.orders.gtt("theirs")).status is GttStatus.ACTIVE
    assert await position(desk) == 100


async def test_a_worker_that_dies_while_the_broker_deletes_one(desks: Desks) -> None:
    """The delete has reached the broker, its answer has not come back: the list tells, and then the position goes."""
    desk = await desks(staffed=False)
    async with at_work(desk):
        await holds(desk)
        await desk.orders.place_gtt(intent(1400, gtt_id="exit"), timeout=60)
        await stands(desk, "exit", GttStatus.ACTIVE)
    asked = FlattenRequest(account=desk.settings.account, reason="enough", who="by a test", flatten=True, halt=True)
    halting.halt(desk.orders.database, desk.settings, "enough", state=AccountState.REDUCING, who="by a test")
    await desk.venue.fault(Fault.ACCEPT_THEN_LATE, seconds=60, routes={Route.GTT_DELETE})
    words = (sys.executable, "-m", "tests.live.crashing_worker", str(desk.home.path), Point.IN_FLIGHT)
    with running(desk.home, *words) as process:
        flattening = await halting.flatten_asked(desk.orders.client, asked)
        app = await App.of(desk)

        async def taken() -> bool:
            return await waiting(app) == []

        assert await eventually(taken)
        kill(process)
        await killed_itself(process, desk.home)
    async with at_work(desk):
        result = await halting.flattened(desk.orders.client, flattening, LONG)
    assert result is not None
    assert [(each.gtt_id, each.status) for each in result.gtts] == [("exit", GttStatus.DELETED)]
    assert (result.is_flat, result.state) == (True, AccountState.HALTED)
    assert [(each.status, each.filled_quantity) for each in result.closed] == [(Status.FILLED, 100)]


async def test_one_that_cannot_be_deleted_is_named_after_its_position_is_closed(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One to buy: of a position that is not there any more, it would be an entry, had it not been asked to go."""
    monkeypatch.setattr(deleting, "HOLDS", timedelta(seconds=1))
    monkeypatch.setattr(deleting, "GIVEN_UP", timedelta(seconds=4))
    desk = await desks()
    await holds(desk)
    await desk.orders.place_gtt(intent(1400, gtt_id="more", side="BUY"), timeout=60)
    await stands(desk, "more", GttStatus.ACTIVE)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, count=10_000, routes={Route.GTT_DELETE})
    answer = await asyncio.to_thread(Program(desk.home.path), "flatten", "--wait", str(LONG))
    assert "GTT more is ACTIVE and not deleted so far" in answer.err
    assert (answer.code, await position(desk)) == (1, 0)
