"""An assistant, by the SDK's own client over stdin and stdout: it reads everything, and only proposes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from durable_orders.cli import assistant
from tests.conftest import eventually
from tests.durable_orders.conftest import FAR_BELOW, MOST, SYMBOL
from tests.durable_orders.lost_gtts import LOST, home_with_a_lost_gtt
from tests.durable_orders.program import Program
from tests.starting.programs import PROGRAM

PROPOSED: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "quantity": 75, "reason": "the trend is up"}
RESTING = PROPOSED | {"order_type": "LIMIT", "price": FAR_BELOW}

PLANNED = PROPOSED | {
    "entry": {"order_type": "LIMIT", "price": FAR_BELOW},
    "stop": {"trigger_price": str(int(FAR_BELOW) - 100)},
    "targets": [{"price": str(int(FAR_BELOW) + 100)}],
}
ABOVE = {"trigger_price": str(int(FAR_BELOW) + 50)}


@asynccontextmanager
async def assistant_of(home: Path) -> AsyncIterator[Client]:
    own = {"PATH": os.environ["PATH"]}
    program = StdioServerParameters(command=str(PROGRAM), args=["mcp", "--home", str(home)], env=own)
    async with Client(stdio_client(program)) as client:
        yield client


async def asked(client: Client, tool: str, **arguments: Any) -> Any:
    """The tool's answer, which is JSON."""
    result: Any = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result: Any = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)


async def test_it_proposes_an_order_and_a_person_approves_it(desk: Program, own_id: str) -> None:
    async with assistant_of(desk.home) as client:
        order = RESTING | {"client_order_id": own_id}
        for _ in range(2):
            proposed = (await asked(client, "propose_order", order=order))["order"]
            assert (proposed["status"], proposed["approval"]["approved_by"]) == ("PENDING", None)
        assert own_id in [each["client_order_id"] for each in (await asked(client, "list_approvals"))["orders"]]
        waits = (await asked(client, "explain_order", client_order_id=own_id))["explanation"]
        assert "Nothing has been sent: it waits for a person's approval until" in waits
        assert "because: the trend is up" in waits
        assert (await asyncio.to_thread(desk, "approve", own_id)).code == 0
        explained = (await asked(client, "explain_order", client_order_id=own_id))["explanation"]
        assert "The broker has it as" in explained
        assert "It was approved by" in explained
        found = await asked(client, "get_order", client_order_id=own_id)
        assert [event["type"] for event in found["events"]] == [
            *("order_received", "approval_asked", "order_approved", "order_placed"),
        ]
        assert found["sending"]["attempt"] == 1
        [passed] = found["checks"]
        assert f"passed {passed['checks']} checks" in explained
        assert f"- MAX_ORDER_QUANTITY: 75 of at most {MOST} units" in explained
        told = "is the id of another order"
        assert told in await refused(client, "propose_order", order=order | {"quantity": 150})


async def test_what_is_wrong_is_said_and_nothing_is_dropped(desk: Program, own_id: str) -> None:
    async with assistant_of(desk.home) as client:
        order = PROPOSED | {"client_order_id": own_id}
        too_many = await refused(client, "propose_order", order=order | {"quantity": MOST + 75})
        assert "MAX_ORDER_QUANTITY" in too_many
        assert "prize" in await refused(client, "propose_order", order=order | {"prize": 3})
        assert "approve" in await refused(client, "propose_order", order=order | {"approve": False})
        assert "takes none" in await refused(client, "propose_order", order=order | {"price": "1"})
        with pytest.raises(MCPError, match="list_orders: no argument symbl; it takes statuses, symbol,"):
            await client.call_tool("list_orders", {"symbl": SYMBOL})
        assert "no order order:paper:nosuch" in await refused(client, "get_order", client_order_id="nosuch")
        assert "no plan nosuch" in await refused(client, "get_plan", plan_id="nosuch")
    assert (await asyncio.to_thread(desk, "show", own_id)).code == 0, "a refused one is recorded, too"


@pytest.mark.parametrize("approved", [True, False])
async def test_it_proposes_a_plan_and_a_person_decides_about_its_entry(
    desk: Program, short_id: str, *, approved: bool
) -> None:
    plan = PLANNED | {"plan_id": short_id}
    async with assistant_of(desk.home) as client:
        for _ in range(2):
            proposed = await asked(client, "propose_plan", plan=plan)
            assert proposed["approve_with"] == f"durable-orders approve {short_id}.entry"
        waits = [each["client_order_id"] for each in (await asked(client, "list_approvals"))["orders"]]
        assert f"{short_id}.entry" in waits
        [entry] = (await asked(client, "get_plan", plan_id=short_id))["plan"]["orders"]
        assert (entry["status"], entry["role"]) == ("PENDING", "entry")
        other = plan | {"quantity": 150}
        assert "is the id of another plan" in await refused(client, "propose_plan", plan=other)
        decide = ("approve", f"{short_id}.entry") if approved else ("decline", f"{short_id}.entry")
        assert (await asyncio.to_thread(desk, *decide)).code == 0
        explained = await asked(client, "explain_order", client_order_id=f"{short_id}.entry")
    if approved:
        assert "It was approved by" in explained["explanation"]
        assert (await asyncio.to_thread(desk, "plan", "cancel", short_id)).code == 0
    else:
        assert "DECLINED" in explained["explanation"]

        async def is_rejected() -> bool:
            shown = await asyncio.to_thread(desk, "plan", "show", short_id, "--json")
            return bool(shown.json["status"] == "REJECTED")

        await eventually(is_rejected, "the plan ends with its entry")


async def test_a_proposed_plan_that_makes_no_sense_is_refused_with_its_field(desk: Program, short_id: str) -> None:
    plan = PLANNED | {"plan_id": short_id}
    async with assistant_of(desk.home) as client:
        assert "LOT_SIZE" in await refused(client, "propose_plan", plan=plan | {"quantity": 100})
        assert "stop: must lie below" in await refused(client, "propose_plan", plan=plan | {"stop": ABOVE})
        for wrong in ("approve", "prize"):
            assert wrong in await refused(client, "propose_plan", plan=plan | {wrong: True})
        held = {name: value for name, value in plan.items() if name != "entry"}
        held |= {"plan_id": f"{short_id}-held", "symbol": "NSE:INFY"}
        assert "quantity" in await refused(client, "propose_plan", plan=held), "nothing is held that it could close"


LEGS = [
    {"symbol": SYMBOL, "side": side, "quantity": 75, "product": product, "order_type": "LIMIT", "price": price}
    for side, product, price in (("BUY", "NRML", FAR_BELOW), ("BUY", "MIS", FAR_BELOW))
]


def scheduled() -> dict[str, Any]:
    now = datetime.now(UTC)
    times = {"begins_at": now.isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat()}
    return {**times, "symbol": SYMBOL, "side": "BUY", "quantity": 150, "slices": 2, "price": FAR_BELOW}


@pytest.mark.parametrize("kind", ["basket", "schedule"])
async def test_nothing_of_a_proposed_basket_or_schedule_is_sent_before_a_person_has_approved_its_first_order(
    morning: Program, short_id: str, kind: str
) -> None:
    content = {"legs": LEGS, "within": 600} if kind == "basket" else scheduled()
    async with assistant_of(morning.home) as client:
        plan = content | {"plan_id": short_id, "reason": "the trend is up"}
        proposed = await asked(client, "propose_plan", plan=plan)
        [first] = proposed["plan"]["orders"]
        own = first["client_order_id"]
        assert (proposed["approve_with"], first["status"]) == (f"durable-orders approve {own}", "PENDING")
        assert own in [each["client_order_id"] for each in (await asked(client, "list_approvals"))["orders"]]
    assert (await asyncio.to_thread(morning, "approve", own)).code == 0

    async def works() -> bool:
        shown = (await asyncio.to_thread(morning, "plan", "show", short_id, "--json")).json
        wanted = 2 if kind == "basket" else 1
        return [order["status"] for order in shown["orders"]] == ["PLACED"] * wanted

    assert await eventually(works, "the others follow")
    assert (await asyncio.to_thread(morning, "plan", "cancel", short_id)).code == 0


async def test_it_reads_what_the_page_shows(desk: Program) -> None:
    async with assistant_of(desk.home) as client:
        tools = (await client.list_tools()).tools
        reading = {tool.name for tool in tools if tool.annotations is not None and tool.annotations.read_only_hint}
        assert {tool.name for tool in tools} - reading == {"propose_order", "propose_plan"}
        needed = {"get_order": {"client_order_id": "nosuch"}, "explain_order": {"client_order_id": "nosuch"}}
        needed["get_plan"] = {"plan_id": "nosuch"}
        for name in sorted(reading - needed.keys()):
            assert await asked(client, name), name
        held = {each["symbol"] for each in (await asked(client, "list_positions"))["positions"]}
        assert SYMBOL in held
        opening = (await asked(client, "list_orders", strategy="opening"))["orders"]
        assert [order["status"] for order in opening] == ["FILLED"]
        events = await asked(client, "list_events", after=0, limit=1)
        assert (len(events["events"]), events["newest"]) == (1, 1)


async def test_it_is_told_of_a_gtt_that_is_unknown(tmp_path: Path) -> None:
    home_with_a_lost_gtt(tmp_path)
    async with assistant_of(tmp_path) as client:
        assert (await asked(client, "risk"))["unknown_gtts"] == [LOST]
        assert (await asked(client, "account_status"))["status"]["unknown_gtts"] == [LOST]


def test_without_its_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    with patch.object(assistant, "find_spec", lambda _name: None):
        said = Program(tmp_path).here("mcp")
    assert (said.code, said.error) == (1, assistant.MISSING)


def test_without_a_home_it_says_so(tmp_path: Path) -> None:
    said = Program(tmp_path / "nowhere").here("mcp")
    assert said.code == 1
    assert "there is none" in said.error
