"""A home with a server of its own, that is backed up, goes on for a while, and goes back to what was copied."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from temporalio.api.enums.v1 import EventType

from durable_orders import login
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Status
from durable_orders.workers import server
from durable_orders.workers.home import SETTINGS_FILE, Home
from tests.conftest import eventually
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import TOKEN, USER, Desk, at_work

SERVER, LEDGER = "temporal.db", "ledger.db"
PRICE = 1500.0
TERMINATED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED


@asynccontextmanager
async def life_of(home: Home, kite: CountingKite) -> AsyncIterator[Desk]:
    """The home's own server and its workers, as `durable-orders up` has them."""
    async with server.running(home), await Orders.connect(home.path) as orders:
        desk = Desk(kite, home, orders)
        kite.shows_positions = True
        async with at_work(desk):
            yield desk


def log_in(desk: Desk) -> None:
    login.keep(desk.home, desk.orders.settings.kite, TOKEN)


def log_out(desk: Desk) -> None:
    desk.home.session_file.unlink(missing_ok=True)


def go_back(home: Home, backup: Path, files: Sequence[str]) -> None:
    """Put these files of the backup in the home's place, as docs/backups.md has it."""
    for name in files:
        for suffix in ("-wal", "-shm"):
            (home.path / f"{name}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(backup / name, home.path / name)


def trades_at_kite(kite: CountingKite, own: str, quantity: int | None = None) -> None:
    kite.fill(USER, own, PRICE, quantity)


async def broker_id(desk: Desk, order: OrderHandle) -> str:
    found = (await order.now()).broker_order_id
    assert found is not None
    return found


async def filled(desk: Desk, order: OrderHandle) -> None:
    trades_at_kite(desk.kite, await broker_id(desk, order))
    assert (await order.result()).status is Status.FILLED


def sent_by_tag(kite: CountingKite) -> Counter[str]:
    return Counter(request.form["tag"] for request in kite.sent())


async def books_agree(desk: Desk, quantity: int) -> None:
    """Until the ledger holds what was traded at the broker, and that is so much."""
    sides = {"BUY": 1, "SELL": -1}

    async def agree() -> bool:
        theirs: int = sum(sides[trade["transaction_type"]] * trade["quantity"] for trade in desk.kite.trades[USER])
        ours: int = sum(position.quantity for position in await desk.orders.positions())
        return ours == theirs == quantity

    assert await eventually(agree, f"positions of {quantity} at both")


def with_ledger(home: Home, url: str) -> None:
    """From now on, the home's ledger is that one."""
    file = home.path / SETTINGS_FILE
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"ledger": {"url": url}}))


async def has_looked(desk: Desk, order: OrderHandle) -> None:
    """Until the order's present run has read the broker's book."""

    async def done() -> bool:
        history = await desk.orders.client.get_workflow_handle(order.order_id).fetch_history()
        kinds = [event.event_type for event in history.events]
        return EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED in kinds and TERMINATED not in kinds

    assert await eventually(done, f"a look of {order.order_id}")
