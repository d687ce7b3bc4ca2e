"""Never sent late: whatever holds a placement up on its way to the broker, and whoever has given it up meanwhile."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import PendingActivityState

from durable_orders.activities.orders import FRESH_BEAT, Beat
from durable_orders.order_handle import OrderHandle
from durable_orders.trading.orders.order import Status
from tests.conftest import eventually, until
from tests.crashes.processes import PROGRAM, running
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import Desk


async def underway(desk: Desk, order: OrderHandle) -> None:
    """Until a worker has begun with the placement."""

    async def begun() -> bool:
        told = await desk.orders.client.get_workflow_handle(order.order_id).describe()
        return any(
            activity.activity_type.name == "place"
            and activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            for activity in told.raw_description.pending_activities
        )

    assert await eventually(begun, "the placement")


async def test_connection_that_takes_long_sends_nothing_after_the_deadline(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    kite.keeps_alive = False
    desk = await kite_desks(timeout=20)
    by = datetime.now(UTC) + timedelta(seconds=2)
    with kite.unreachable():
        order = await desk.place(place_by=by)
        await underway(desk, order)
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
    by = datetime.now(UTC) + timedelta(seconds=15)
    with running(desk.home, *a_worker(desk)) as sleeper:
        await desk.watched()
        with kite.unreachable():
            order = await desk.place(order_type="MARKET", place_by=by)
            await underway(desk, order)
            os.kill(sleeper.pid, signal.SIGSTOP)
        await until(lambda: datetime.now(UTC) > by, "the deadline")
        os.kill(sleeper.pid, signal.SIGCONT)
        ended = await order.result()
    assert (ended.status, kite.sent()) == (Status.REJECTED, [])


def test_heartbeat_that_was_missed_stays_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that wakes up says that it is alive before its placement looks: the attempt was given up long ago."""
    moment = datetime.now(UTC)
    monkeypatch.setattr("durable_orders.activities.orders.now", lambda: moment)
    beat = Beat(moment)
    moment += FRESH_BEAT
    beat.heard()
    assert not beat.is_missed
    moment += FRESH_BEAT + timedelta(milliseconds=1)
    assert beat.is_missed
    beat.heard()
    assert beat.is_missed
