"""Cancels always go out: without a ledger, without a workflow, without a worker, without a server, through a crowd."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress

import pytest
from temporalio.api.enums.v1 import EventType

from chaos import acts
from durable_orders.order_handle import OrderHandle
from durable_orders.orders import Orders
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.ledger.accounts import halt_reason
from durable_orders.trading.ledger.state_files import check_state
from durable_orders.trading.orders.order import Status
from durable_orders.workers.home import Home
from tests.conftest import eventually, until
from tests.crashes.processes import PROGRAM, running
from tests.durable_orders.program import Program
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import USER, Desk, at_work
from tests.operators.test_halting import answers_held


@contextmanager
def locked(desk: Desk) -> Iterator[None]:
    """Another program holds the ledger's write lock, as an editor of SQLite files does with an open transaction."""
    with closing(sqlite3.connect(desk.home.ledger_db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def cancelled(kite: CountingKite, order_id: str) -> None:
    """Until the broker has been asked to cancel it."""
    await until(lambda: any(one.path.endswith(order_id) for one in kite.sent("DELETE")), "the cancel at the broker")


async def test_signal_to_cancel_goes_out_while_the_ledger_is_locked(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks()
    order = await desk.resting()
    (row,) = kite.rows()
    with locked(desk):
        await desk.orders.client.get_workflow_handle(order.order_id).signal("cancel", "now!")
        await cancelled(kite, row["order_id"])
    assert (await order.result()).status is Status.CANCELLED
    story = [event.message for event in await desk.events(order.order_id)]
    assert any("cancel requested: now!" in words for words in story)


async def hangs(desk: Desk, order: OrderHandle) -> None:
    """Until its workflow is busy with recording something, and has said to the server that it goes on with it."""
    handle = desk.orders.client.get_workflow_handle(order.order_id)
    await handle.signal("report", args=["nothing", 1])

    async def goes_on() -> bool:
        kinds = [event.event_type for event in (await handle.fetch_history()).events]
        signals = [n for n, kind in enumerate(kinds) if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
        return bool(signals) and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in kinds[signals[-1] :]

    await eventually(goes_on, "a recording that hangs")


@pytest.mark.parametrize("way", ["signal", "of the workflow"])
async def test_cancel_goes_out_while_a_recording_hangs(kite_desks: KiteDesks, kite: CountingKite, way: str) -> None:
    desk = await kite_desks()
    order = await desk.resting()
    (row,) = kite.rows()
    handle = desk.orders.client.get_workflow_handle(order.order_id)
    with locked(desk):
        await hangs(desk, order)
        await (handle.signal("cancel", "now!") if way == "signal" else handle.cancel())
        await cancelled(kite, row["order_id"])
    assert (await order.result()).status is Status.CANCELLED
    assert len(kite.sent("DELETE")) == 1
    story = [event.message for event in await desk.events(order.order_id)]
    assert any("cancel requested: " in words for words in story)


async def test_signal_to_cancel_goes_out_though_the_disk_is_full(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks(staffed=False)
    with running(desk.home, PROGRAM, "worker", "--live", "--no-limits", "--home", str(desk.home.path)) as worker:
        order = await desk.resting()
        (row,) = kite.rows()
        _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1000, hard))
        await desk.orders.client.get_workflow_handle(order.order_id).signal("cancel", "now!")
        await cancelled(kite, row["order_id"])
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert (await order.result()).status is Status.CANCELLED


async def test_cancel_does_not_wait_behind_placements(kite_desks: KiteDesks, kite: CountingKite) -> None:
    """A crowd of them waits for its turn, in every thread and slot that placements have."""
    desk = await kite_desks(timeout=20)
    order = await desk.resting()
    (row,) = kite.rows()
    with answers_held(kite) as answered:
        crowd = await asyncio.gather(*(desk.place(quantity=10 + number) for number in range(60)))
        await until(lambda: len(kite.sent()) > 1, "the first of the crowd")
        await desk.orders.client.get_workflow_handle(order.order_id).signal("cancel", "now!")
        await cancelled(kite, row["order_id"])
        waiting = [one for one in crowd if (await one.now()).status is Status.PENDING]
        assert waiting, "the crowd still waits"
        answered.set()
        await asyncio.gather(*(one.cancel(timeout=60) for one in crowd))


async def test_order_whose_workflow_is_gone_is_cancelled_at_the_broker(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
    await acts.terminate(desk.orders.client, order.order_id)
    assert (await order.cancel()).status is Status.CANCELLED
    assert [row["status"] for row in kite.rows()] == ["CANCELLED"]


async def test_without_a_worker_the_broker_is_asked_at_once(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
    assert (await order.cancel()).status is Status.CANCELLED
    assert len(kite.sent("DELETE")) == 1
    async with at_work(desk):
        assert (await order.result()).status is Status.CANCELLED


async def test_a_crowd_asks_once_whose_session_it_is(kite_desks: KiteDesks, kite: CountingKite) -> None:
    """All of them ask the broker itself, by one client: each with its own would pass the broker's limits together."""
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        orders = [await desk.resting(f"left-{number}") for number in range(12)]
    before = len(kite.sent("GET", "/user/profile"))
    ended = await asyncio.gather(*(order.cancel(timeout=60) for order in orders))
    assert {order.status for order in ended} == {Status.CANCELLED}
    assert len(kite.sent("GET", "/user/profile")) - before == 1


async def test_order_placed_by_hand_is_cancelled_by_its_name(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks()
    form = {
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "order_type": "LIMIT",
        "transaction_type": "BUY",
        "price": "600",
    }
    own = kite.book(USER, form | {"product": "MIS", "quantity": "1"})
    order = desk.orders.handle(f"external-{own}")
    await desk.reached(order, Status.PLACED)
    assert (await order.cancel()).status is Status.CANCELLED
    with pytest.raises(OrderNotFound):
        await desk.orders.cancel("no-such-order")


@pytest.fixture
async def without_a_server(kite_desks: KiteDesks) -> Desk:
    """A desk whose server is gone, and with it all workflows; it has left one order at the broker."""
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        await desk.resting("left-alone")
    desk.home.address_file.unlink()
    return desk


async def run(desk: Desk, *words: str) -> tuple[int, str, str]:
    """A command, while this process does nothing else than wait for it."""
    done = await asyncio.to_thread(Program(desk.home.path).here, *words)
    return done.code, done.out, done.err


async def run_beside(desk: Desk, *words: str) -> tuple[int, str, str]:
    """The same, in a process of its own: here something else goes on."""
    done = await asyncio.to_thread(Program(desk.home.path), *words)
    return done.code, done.out, done.err


async def test_command_cancels_without_a_server(without_a_server: Desk, kite: CountingKite) -> None:
    code, out, err = await run(without_a_server, "cancel", "left-alone")
    (row,) = kite.rows()
    assert (code, row["status"]) == (0, "CANCELLED")
    assert "CANCELLED" in out
    assert f"asked the broker itself to cancel {row['order_id']}" in err
    assert "no server is running" in err


async def test_command_cancels_without_a_server_and_a_ledger(without_a_server: Desk, kite: CountingKite) -> None:
    for file in without_a_server.home.path.glob("ledger.db*"):
        file.unlink()
    code, _, err = await run(without_a_server, "cancel", "left-alone")
    (row,) = kite.rows()
    assert (code, row["status"]) == (0, "CANCELLED"), err
    assert f"asked the broker itself to cancel {row['order_id']}" in err


async def test_command_says_when_nothing_of_it_works(without_a_server: Desk) -> None:
    code, _, err = await run(without_a_server, "cancel", "another")
    assert code == 1
    assert "no server is running" in err


class Line:
    """What goes through to the server until it is cut."""

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self.ends: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        if self.server is not None:
            self.server.close()
        for end in self.ends:
            end.transport.abort()


@asynccontextmanager
async def relay(home: Home) -> AsyncIterator[Line]:
    """The home's server is behind a line that can be cut."""
    line, address = Line(), home.address()
    assert address is not None

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(65536):
                writer.write(content)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(address.host, address.port)
        line.ends += [writer, to_server]
        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    line.server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{line.server.sockets[0].getsockname()[1]}")
        try:
            yield line
        finally:
            line.cut()


async def test_client_of_a_server_that_is_gone(kite_desks: KiteDesks, kite: CountingKite) -> None:
    """It was connected when the server went away."""
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        order = await desk.resting()
    async with relay(desk.home) as line, await Orders.connect(desk.home.path) as orders:
        line.cut()
        assert (await orders.cancel(order.order_id)).status is Status.CANCELLED
    assert [row["status"] for row in kite.rows()] == ["CANCELLED"]


async def test_halt_cancels_at_the_broker_without_a_server(without_a_server: Desk, kite: CountingKite) -> None:
    code, out, err = await run(without_a_server, "halt", "--cancel-open", "--reason", "enough")
    (row,) = kite.rows()
    assert (code, row["status"]) == (1, "CANCELLED")
    assert "is halted: enough" in out, "it is recorded"
    assert f"asked the broker itself to cancel {row['order_id']} (BUY 10 NSE:INFY): taken" in err
    assert "need not be in the broker's book yet" in err
    refused = await without_a_server.orders.read(lambda ledger: halt_reason(ledger, without_a_server.account))
    assert refused == "enough"


async def test_halt_cancels_at_the_broker_without_a_server_and_a_ledger(
    without_a_server: Desk, kite: CountingKite
) -> None:
    for file in without_a_server.home.path.glob("ledger.db*"):
        file.unlink()
    code, out, err = await run(without_a_server, "halt", "--cancel-open")
    (row,) = kite.rows()
    assert (code, out, row["status"]) == (1, "", "CANCELLED")
    assert "the halt is not recorded, and orders are still taken" in err
    desk = without_a_server
    with desk.home.open_ledger(desk.orders.settings) as new:
        check_state(new, desk.account)
        with new.read() as connection:
            stands = halt_reason(connection, desk.account)
    assert stands == "not known to the ledger: halted by hand", "by whoever works there next"


async def test_halt_cancels_before_a_locked_ledger_lets_it_be_recorded(
    without_a_server: Desk, kite: CountingKite
) -> None:
    desk = without_a_server
    with locked(desk):
        halting = asyncio.create_task(run_beside(desk, "halt", "--cancel-open", "--reason", "enough"))
        (row,) = kite.rows()
        await cancelled(kite, row["order_id"])
        assert not halting.done(), "it still tries to record the halt"
    code, out, err = await halting
    assert code == 1
    assert "is halted: enough" in out
    assert "the ledger does not answer" in err


async def test_halt_cancels_at_the_broker_where_no_worker_does(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks(staffed=False)
    async with at_work(desk):
        await desk.resting()
    halting = asyncio.create_task(run_beside(desk, "halt", "--cancel-open", "--wait", "60"))
    (row,) = kite.rows()
    await cancelled(kite, row["order_id"])
    async with at_work(desk):
        code, out, err = await halting
    assert code == 0, err
    assert "no worker takes it in hand" not in err, "it has ended, and is proved"
    assert f"asked the broker itself to cancel {row['order_id']}" in err
    assert "CANCELLED" in out
