"""Never sent late: whatever holds a placement up on its way to the broker, and whoever has given it up meanwhile."""

import os
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionStatus

from durable_orders.activities.last_look import FRESH_BEAT, HeartbeatClock
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.orders.order import Status
from tests.conftest import MAX_WAIT, eventually, until
from tests.crashes.processes import PROGRAM, running
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import Desk


async def underway(desk: Desk, *, seconds: float, **terms: Any) -> tuple[OrderHandle, datetime]:
    """An order with so long to its deadline, with whose placement a worker has begun; on a busy machine, longer."""
    while seconds < MAX_WAIT:
        by = datetime.now(UTC) + timedelta(seconds=seconds)
        order = await desk.place(place_by=by, **terms)
        if await eventually(partial(begun, desk, order), "the placement, or the order's end") == "begun":
            return order, by
        seconds *= 3
    raise AssertionError("no placement was begun with before its deadline")


async def begun(desk: Desk, order: OrderHandle) -> str | None:
    told = await desk.orders.client.get_workflow_handle(order.order_id).describe()
    if told.status is not WorkflowExecutionStatus.RUNNING:
        return "ended"
    is_begun = any(
        activity.activity_type.name == "place" and activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        for activity in told.raw_description.pending_activities
    )
    return "begun" if is_begun else None


async def test_connection_that_takes_long_sends_nothing_after_the_deadline(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    kite.keeps_alive = False
    desk = await kite_desks(timeout=20)
    with kite.unreachable():
        order, by = await underway(desk, seconds=2)
        await until(lambda: datetime.now(UTC) > by, "the deadline")
    ended = await order.result()
    assert (ended.status, kite.sent()) == (Status.REJECTED, [])
    assert ended.reasons[-1].startswith("TOO_LATE: not sent before ")


def a_worker(desk: Desk) -> list[str]:
    return [PROGRAM, "worker", "--live", "--no-limits", "--home", str(desk.home.path)]


async def test_worker_that_sleeps_while_it_connects_sends_nothing_when_it_wakes(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    kite.keeps_alive = False
    desk = await kite_desks(staffed=False, timeout=20)
    with running(desk.home, *a_worker(desk)) as sleeper:
        await desk.watched()
        with kite.unreachable():
            order, by = await underway(desk, seconds=10, order_type="MARKET")
            os.kill(sleeper.pid, signal.SIGSTOP)
        await until(lambda: datetime.now(UTC) > by, "the deadline")
        os.kill(sleeper.pid, signal.SIGCONT)
        ended = await order.result()
    assert (ended.status, kite.sent()) == (Status.REJECTED, [])


def test_heartbeat_that_was_missed_stays_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that wakes up says that it is alive before its placement looks: the attempt was given up long ago."""
    moment = datetime.now(UTC)
    monkeypatch.setattr("durable_orders.activities.last_look.now", lambda: moment)
    beat = HeartbeatClock(moment)
    moment += FRESH_BEAT
    beat.heard()
    assert not beat.is_missed
    moment += FRESH_BEAT + timedelta(milliseconds=1)
    assert beat.is_missed
    beat.heard()
    assert beat.is_missed
