"""A halt outlives the ledger that it was entered in: after a restore nothing leaves before somebody has resumed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from durable_orders import halting
from durable_orders.trading.ledger.accounts import AccountState
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.orders.order import Status
from durable_orders.workers.backup import back_up
from tests.durable_orders.program import Program
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import Desk, live_home
from tests.operators.restoring import LEDGER, SERVER, go_back, life_of, log_in, log_out
from tests.operators.test_cancels import locked

FORGOTTEN = "not known to the ledger: lunch"


def halt(desk: Desk) -> None:
    with desk.home.ledger(desk.orders.settings) as database:
        halting.halt(database, desk.orders.settings, "lunch", state=AccountState.HALTED, who="by ops")


def resume(desk: Desk) -> None:
    with desk.home.ledger(desk.orders.settings) as database:
        halting.resume(database, desk.orders.settings, "compared", who="by ops")


async def nothing_leaves_before_a_resume(desk: Desk, sent: int) -> None:
    """And who, when and why is known again."""
    refused = await (await desk.place("asked-after")).result()
    assert refused.status is Status.REJECTED
    assert FORGOTTEN in " ".join(refused.reasons)
    stands = halting.standing(desk.orders.database, desk.account)
    assert (stands.state, stands.reason, stands.who) == (AccountState.HALTED, FORGOTTEN, "by ops")
    assert "HALTED, by ops" in (await desk.alerted("the ledger does not know")).message
    assert len(desk.kite.sent()) == sent
    resume(desk)
    await desk.resting("resumed")
    assert len(desk.kite.sent()) == sent + 1


@pytest.mark.parametrize("files", [(LEDGER,), (SERVER, LEDGER)], ids=["ledger", "both"])
async def test_an_older_ledger_does_not_forget_a_halt(files: Sequence[str], tmp_path: Path, kite: CountingKite) -> None:
    home = live_home(tmp_path / "home", kite)
    async with life_of(home, kite) as desk:
        log_in(desk)
        await desk.resting("before")
        log_out(desk)
        waits = await desk.place("waits")
        await desk.story_has(waits, "nobody is logged in")
        back_up(home, desk.orders.settings, tmp_path / "backup")
        halt(desk)
    go_back(home, tmp_path / "backup", files)
    async with life_of(home, kite) as desk:
        log_in(desk)
        assert (await desk.orders.handle("waits").result()).status is Status.REJECTED
        await nothing_leaves_before_a_resume(desk, sent=1)


async def test_a_halt_that_the_ledger_did_not_take_is_entered_by_the_worker_that_runs(
    kite_desks: KiteDesks, kite: CountingKite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`halt` has waited for a locked ledger in vain, and said that the home has it."""
    desk = await kite_desks()
    before = await desk.resting("before")
    program = Program(desk.home.path)
    monkeypatch.setitem(Database.__init__.__kwdefaults__ or {}, "busy_seconds", 0.2)
    with locked(desk):
        said = await asyncio.to_thread(program.here, "halt", "--reason", "lunch")
    assert said.code == 1
    assert "the halt is not recorded, and orders are still taken until a worker of this home" in said.error
    assert said.error.endswith("ledger: database is locked")
    await desk.alerted("the ledger does not know")
    assert halting.standing(desk.orders.database, desk.account).reason == FORGOTTEN
    refused = await (await desk.place("after")).result()
    assert (refused.status, len(kite.sent())) == (Status.REJECTED, 1)
    assert (await before.cancel()).status is Status.CANCELLED
