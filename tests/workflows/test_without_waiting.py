"""On paper an order is checked in the worker's own thread, which must not stand still for anybody."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from durable_orders.activities.orders import OrderActivities
from durable_orders.activities.positions import PositionReader
from durable_orders.trading.guardian import rules
from durable_orders.trading.guardian.check import Check, Failure
from durable_orders.trading.guardian.check_context import CheckContext
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import list_orders
from durable_orders.trading.orders.order import Account, Terms
from durable_orders.trading.orders.verdict import Approval, Verdict
from tests.ledgers import open_empty_ledger
from tests.trading.guardian.conftest import an_order, guardian_over, show_tick
from tests.workflows.scripted_broker import ScriptedBroker

SECONDS = 10


class Asking(Check):
    """A rule of another package that asks somebody before it says yes."""

    code = "ASKING"
    began, answered = threading.Event(), threading.Event()

    def __call__(self, terms: Terms, situation: CheckContext) -> Failure | None:
        self.began.set()
        assert self.answered.wait(SECONDS)
        return None


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Database]:
    with open_empty_ledger(tmp_path / "ledger.db") as database:
        show_tick(database)
        yield database


def activities(ledger: Database, threads: ThreadPoolExecutor, **limits: Any) -> OrderActivities:
    broker, guardian = ScriptedBroker(), guardian_over(ledger, limits)
    reader = PositionReader(Account("paper"), broker, ledger)
    return OrderActivities(broker, guardian, ledger, threads, positions=reader, at_once=lambda _symbol: True)


async def guarded(orders: OrderActivities) -> Verdict:
    return await orders.guard(an_order(client_order_id="mine", strategy="asks"), "run", "content", None)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["a thread", "another connection"])
async def test_while_somebody_writes_the_worker_goes_on(ledger: Database, elsewhere: bool) -> None:
    writing, written = threading.Event(), threading.Event()

    def write(database: Database) -> None:
        with database.write():
            writing.set()
            assert written.wait(SECONDS)

    with ThreadPoolExecutor(2) as threads, Database(ledger.url.render_as_string()) as other:
        orders = activities(ledger, threads)
        holding = threads.submit(write, other if elsewhere else ledger)
        assert await asyncio.to_thread(writing.wait, SECONDS)
        guarding = asyncio.create_task(guarded(orders))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not guarding.done()
        written.set()
        assert isinstance(await guarding, Approval)
        holding.result()
        assert await guarded(orders) == await guarding, "and once more, now at once"
    with ledger.read() as connection:
        assert len(list_orders(connection)) == 1


async def test_a_rule_of_another_package_may_take_its_time(ledger: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [EntryPoint("asking", f"{__name__}:{Asking.__name__}", rules.GROUP)]
    monkeypatch.setattr(rules, "entry_points", lambda **_: found)
    with ThreadPoolExecutor(1) as threads:
        orders = activities(ledger, threads, strategies={"asks": {"rules": {"asking": {}}}})
        guarding = asyncio.create_task(guarded(orders))
        assert await asyncio.to_thread(Asking.began.wait, SECONDS)
        Asking.answered.set()
        assert isinstance(await guarding, Approval)
