"""GTTs over the API and on the page, of a live account over the sandbox."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from durable_orders import GttStatus
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.sandbox.routes import Route
from durable_orders.trading.ledger.tokens import Role
from tests.conftest import eventually
from tests.durable_orders.program import Program
from tests.durable_orders.web.conftest import Served
from tests.durable_orders.web.test_pages import Accessible, Visitor
from tests.live.conftest import Desks
from tests.live.desk import Desk, at_work
from tests.live.test_gtt import FIRST, holds, sent, stands

LEGS = [
    {"trigger_price": "1400", "price": "1399", "quantity": 10},
    {"trigger_price": "1600", "price": "1599", "quantity": 10},
]
NEW: dict[str, Any] = {"symbol": "NSE:INFY", "side": "SELL", "legs": LEGS, "gtt_id": "exit"}
FIELDS = {"symbol": "nse:infy", "side": "SELL", "product": "CNC", "strategy": "manual", "gtt_id": "by-page"}


async def test_a_gtt_by_the_api_and_on_the_page(desks: Desks) -> None:
    desk = await desks(staffed=False, live={"market_deadline": 3600})
    program = Program(desk.home.path)
    with program.started("web", "--port", "0") as running:
        served = Served(program, running.line("Page on ").removeprefix("Page on "))
        with served.client(Role.TRADE) as api, served.client(Role.READ) as reader, Visitor(served, Role.TRADE) as page:
            async with at_work(desk):
                await holds(desk)
                await _by_the_api(desk, api, reader)
                await _on_the_page(page)
                assert await sent(desk) == 2
            early = {**FIELDS, "quantity": "10", "trigger_price": "1300", "price": "1299", "gtt_id": "early"}
            placed = await ask(page.send_form, "/gtts/place", **early, reason="a floor", sure="yes")
            assert (placed.status_code, Accessible(placed.text).problems) == (200, [])
            assert "no worker has taken it so far" in placed.text, "it is on its way, and not 404"


async def ask(request: Callable[..., httpx.Response], *words: Any, **more: Any) -> httpx.Response:
    return await asyncio.to_thread(lambda: request(*words, **more))


async def _by_the_api(desk: Desk, api: httpx.Client, reader: httpx.Client) -> None:
    made = await asyncio.gather(*(ask(api.post, "/gtts", json=NEW, params={"timeout": 30}) for _ in range(3)))
    assert [each.status_code for each in made].count(201) <= 1, "it is one GTT"
    await stands(desk, "exit", GttStatus.ACTIVE)
    again = await ask(api.post, "/gtts", json=NEW)
    view = again.json()
    assert (again.status_code, view["status"], view["trigger_id"]) == (200, "ACTIVE", FIRST)
    assert (await ask(api.get, "/gtts/exit")).json() == view
    assert (await ask(reader.get, "/gtts", params={"open": True})).json() == [view]
    other = await ask(api.post, "/gtts", json=NEW | {"legs": LEGS[:1]}, headers={"Idempotency-Key": "exit"})
    assert (other.status_code, other.json()["code"]) == (409, "DUPLICATE_ORDER")
    named = await ask(api.post, "/gtts", json=NEW, headers={"Idempotency-Key": "another"})
    assert "name two GTTs" in named.json()["detail"]
    many = [LEGS[0] | {"quantity": 200}]
    refused = await ask(api.post, "/gtts", json=NEW | {"legs": many, "gtt_id": "many"})
    assert (refused.status_code, refused.json()["codes"]) == (422, ["NOT_DELIVERABLE"])
    wrong = await ask(api.post, "/gtts", json=NEW | {"tag": "mine"})
    assert "Kite's client drops it" in wrong.json()["detail"]
    assert (await ask(api.get, "/gtts/nobody")).json()["code"] == "GTT_NOT_FOUND"
    assert (await ask(reader.post, "/gtts", json=NEW)).status_code == 403
    assert (await ask(reader.delete, "/gtts/exit")).status_code == 403
    assert (await ask(reader.patch, "/gtts/exit", json={"legs": LEGS})).status_code == 403
    higher = [LEGS[0] | {"trigger_price": "1420"}, LEGS[1]]
    changed = await ask(api.patch, "/gtts/exit", json={"legs": higher}, params={"timeout": 30})
    assert changed.status_code in (200, 202), changed.text

    async def is_higher() -> bool:
        found = (await ask(api.get, "/gtts/exit")).json()
        return (found["legs"][0]["trigger_price"], found["changing"]) == ("1420.00", "")

    assert await eventually(is_higher)
    await desk.venue.fault(Fault.SERVICE_UNAVAILABLE, routes={Route.GTT_DELETE})
    going = await ask(api.delete, "/gtts/exit", params={"timeout": 0})
    assert (going.status_code, going.json()["changing"]) == (202, "delete"), "nobody knows yet, and it goes on"

    async def is_asked() -> bool:
        found = (await ask(api.get, "/gtts/exit")).json()
        return "delete" in (found["changing"], found["status"].lower()[:6])

    assert await eventually(is_asked)


async def _on_the_page(page: Visitor) -> None:
    listed = await ask(page.get, "/gtts")
    assert Accessible(listed.text).problems == []
    legs = {"quantity": "10", "trigger_price": "1300", "price": "1299", "reason": "a floor"}
    asked = await ask(page.send_form, "/gtts/place", **FIELDS, **legs)
    assert "Place the GTT SELL NSE:INFY CNC: 10 at 1299 from 1300 on?" in asked.text
    placed = [await ask(page.send_form, "/gtts/place", **FIELDS, **legs, sure="yes") for _ in range(2)]
    assert [each.url.path for each in placed] == ["/gtt/by-page"] * 2
    assert await eventually(lambda: _shows(page, "ACTIVE"), "it is there")
    assert Accessible((await ask(page.get, "/gtt/by-page")).text).problems == []
    words = "Change by-page to 10 at 1250 from 1300 on?"
    assert words in (await ask(page.send_form, "/gtt/by-page/change", price="1250", reason="wider")).text
    await ask(page.send_form, "/gtt/by-page/change", price="1250", reason="wider", sure="yes")
    assert await eventually(lambda: _shows(page, "1,250"))
    assert "Delete it?" in (await ask(page.send_form, "/gtt/by-page/delete", reason="over")).text
    await ask(page.send_form, "/gtt/by-page/delete", reason="over", sure="yes")
    assert await eventually(lambda: _shows(page, "DELETED"))
    assert "must be a number" in (await ask(page.send_form, "/gtt/by-page/change", price="1_2")).text
    assert "a delete of GTT by-page was asked for" in (await ask(page.get, "/events")).text


async def _shows(page: Visitor, words: str) -> str | None:
    text = (await ask(page.get, "/gtt/by-page", params={"part": True})).text
    return text if words in text else None
