"""Histories replayed without a worker: what they say is what the ledger was told, on every path of an order's life."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory

from durable_orders.histories import Histories, Run, runs_of
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.errors import DuplicateOrder
from durable_orders.trading.ledger.comparing import Comparison, compared
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.rebuilding import Rebuilding, Sources
from durable_orders.trading.orders.order import Order, Status
from durable_orders.trading.reconciliation.compare import against_history
from tests.conftest import eventually
from tests.ledgers import open_empty_ledger
from tests.record_histories import HISTORIES, QUICK
from tests.workflows.conftest import Desks
from tests.workflows.desk import Desk
from tests.workflows.paths import PATHS, Play, failed_as_a_duplicate, taken_up_from_the_ledger

FAST: dict[str, Any] = {**QUICK}
RUNS: dict[Play, int] = {taken_up_from_the_ledger: 2, failed_as_a_duplicate: 2}
"""How many workflow runs the order has in the end, where that is not one."""


async def runs_in_the_end(desk: Desk, order: OrderHandle, count: int, *, is_open: bool = False) -> Sequence[Run]:
    """The order's runs, as soon as the server's list has caught up."""

    async def listed() -> Sequence[Run]:
        runs = (await runs_of(desk.client, desk.account)).get(order.order_id, [])
        return runs if len(runs) == count and runs[-1].is_open == is_open else []

    return await eventually(listed, "the list of runs")


async def rebuilt(desk: Desk, runs: Sequence[Run], file: Path) -> tuple[Sources, Comparison]:
    """A ledger made of these runs of an order, compared with the desk's own."""
    histories = Histories(desk.client)
    replayed = [await histories.replayed(run) for run in runs]
    assert [each.trouble for each in replayed] == [None] * len(runs)
    with open_empty_ledger(file) as new, desk.parts.database.read() as old:
        rebuilding = Rebuilding(old)
        rebuilding.take(runs[0].order_id, [told for each in replayed for told in each.told])
        sources = rebuilding.write(new)
        assert feed(new) == feed(desk.parts.database)
        with new.read() as connection:
            return sources, compared(old, connection)


def feed(database: Database) -> list[tuple[str, int]]:
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT order_id, sequence FROM events ORDER BY feed_id").all()
    return [(order_id, sequence) for order_id, sequence in found]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_a_ledger_made_of_the_history_equals_the_one_that_was_written(
    desks: Desks, path: Play, tmp_path: Path
) -> None:
    desk = await desks(**FAST)
    order = await path(desk)
    with suppress(DuplicateOrder):
        await order.result()
    runs = await runs_in_the_end(desk, order, RUNS.get(path, 1))
    sources, comparison = await rebuilt(desk, runs, tmp_path / "rebuilt.db")
    assert comparison.differences == ()
    assert comparison.retimed == 0
    assert sources == Sources(replayed_orders=1)
    standing = await Histories(desk.client).standing(runs)
    assert standing.order is not None
    assert against_history(await order.now(), standing.order) == []


async def test_an_order_that_is_open(desk: Desk, tmp_path: Path) -> None:
    order = await desk.resting()
    desk.broker.trade(desk.broker.only, 4)
    await desk.look()
    recorded = await desk.recorded(order, Status.PARTIAL)
    runs = await runs_in_the_end(desk, order, 1, is_open=True)
    standing = await Histories(desk.client).standing(runs)
    assert (standing.order, standing.is_open, standing.was_told) == (recorded, True, True)
    _, comparison = await rebuilt(desk, runs, tmp_path / "rebuilt.db")
    assert comparison.equal


async def test_an_order_that_no_worker_has_taken(desks: Desks, tmp_path: Path) -> None:
    desk = await desks(staffed=False)
    order = await desk.start()
    runs = await runs_in_the_end(desk, order, 1, is_open=True)
    standing = await Histories(desk.client).standing(runs)
    assert standing.order is not None
    assert (standing.order.status, standing.is_open, standing.was_told) == (Status.PENDING, True, False)
    sources, comparison = await rebuilt(desk, runs, tmp_path / "rebuilt.db")
    assert (sources, comparison.rows["orders"]) == (Sources(), 0)


async def test_a_history_that_cannot_be_followed(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    """One of another program: it is named, and nothing is printed where a command prints its answer."""
    text = (HISTORIES / "market_filled.json").read_text(encoding="utf-8").replace('"name": "place"', '"name": "look"')
    replayed = await Histories(desk.client).replayed_history(WorkflowHistory.from_json("recorded", text))
    assert replayed.trouble == (
        "[TMPRL1100] Nondeterminism error: "
        "Activity type of scheduled event 'look' does not match activity type of activity command 'place'"
    )
    assert capfd.readouterr().out == ""


async def test_the_end_of_a_history_that_has_no_result(desk: Desk) -> None:
    order = await desk.resting()
    recorded: Order = await desk.recorded(order, Status.PLACED)
    await desk.workflow(order).terminate()
    runs = await runs_in_the_end(desk, order, 1)
    assert runs[0].status is WorkflowExecutionStatus.TERMINATED
    standing = await Histories(desk.client).standing(runs)
    assert (standing.order, standing.is_open) == (recorded, False)
