"""What people see of orders in the Temporal UI, and that it asks nothing of the outside."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from temporalio.api.sdk.v1 import WorkflowMetadata

from durable_orders import Orders
from durable_orders.workers.home import Home
from durable_orders.workflows.names import SEARCH_ATTRIBUTES
from tests.conftest import eventually
from tests.durable_orders.conftest import SYMBOL
from tests.durable_orders.program import Program

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_it_fetches_nothing_from_outside(desk: Program) -> None:
    address = Home(desk.home).address()
    assert address is not None
    assert httpx.get(f"{address.ui}/api/v1/settings").json()["DisableNewsFetch"] is True
    page = httpx.get(address.ui, follow_redirects=True)
    assert page.status_code == 200
    assert re.findall(r"https?://[^\"' )]+", page.text) == []


async def test_an_order_has_a_title_that_reads_as_one_and_a_card_in_ist(desk: Program, own_id: str) -> None:
    async with Orders(desk.home) as orders:
        order = await (await orders.buy(SYMBOL, 75, client_order_id=own_id)).result()
        workflow = orders.client.get_workflow_handle(order.order_id)
        assert await (await workflow.describe()).static_summary() == f"BUY 75 {SYMBOL} MARKET MIS"
        shown = await workflow.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    title, *rest = shown.current_details.splitlines()
    assert title == f"### BUY 75 {SYMBOL} MARKET MIS · FILLED {order.average_price}"
    assert any(re.fullmatch(r"\| updated \| \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} IST \|", line) for line in rest)


async def test_the_view_that_the_readme_describes_lists_orders(desk: Program, own_id: str) -> None:
    """Its query is the server's to understand, and its columns are what orders have."""
    [address] = re.findall(r"`(http://127\.0\.0\.1:8233/namespaces/default/workflows\?query=\S+)`", README)
    columns = README.split(address)[1].split("(the gear")[0]
    assert set(re.findall(r"\*(\w+)\*", columns)) <= {attribute.name for attribute in SEARCH_ATTRIBUTES}
    [query] = parse_qs(urlsplit(address).query)["query"]
    async with Orders(desk.home) as orders:
        handle = await orders.buy(SYMBOL, 100, client_order_id=own_id)  # no multiple of the lot
        assert (await handle.result()).status == "REJECTED"
        both = f'{query} AND OrderStatus = "REJECTED"'

        async def listed() -> list[str]:
            found = [each.id async for each in orders.client.list_workflows(both)]
            return [each for each in found if each == handle.order_id]

        assert await eventually(listed, "the order is listed") == [handle.order_id]
