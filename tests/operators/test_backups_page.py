"""docs/backups.md as it is printed: each of its commands, while everything is up, and after it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_orders.trading.orders.order import Status, is_adopted
from tests.conftest import eventually
from tests.durable_orders.pages import blocks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import Desk, live_home
from tests.operators.restoring import (
    books_agree,
    broker_id,
    filled,
    life_of,
    log_in,
    log_out,
    sent_by_tag,
    trades_at_kite,
)
from tests.trading.ledger.conftest import PostgresServer

BACKUP, DUMP, GO_BACK, RESTORE, LOOK, RESUME = (text for _, text in blocks("backups"))


class Shell:
    def __init__(self, where: Path, ledger: str, postgres: Path) -> None:
        """`postgres` is where its programs are."""
        self._where = where
        path = os.pathsep.join([str(Path(sys.executable).parent), str(postgres), os.environ["PATH"]])
        self._environment = os.environ | {"PATH": path, "LEDGER_URL": ledger.replace("+psycopg", "")}

    def run(self, commands: str) -> str:
        """What they say. Each has to succeed."""
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=self._where,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


async def adopted(desk: Desk) -> bool:
    return any(is_adopted(order.order_id) for order in await desk.orders.list())


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
async def test_going_back_as_the_page_has_it(
    where: str, tmp_path: Path, kite: CountingKite, postgres: PostgresServer
) -> None:
    is_on_postgresql = where == "postgresql"
    kite.shows_positions = True
    ledger = postgres.new_ledger() if is_on_postgresql else ""
    (work := tmp_path / "work").mkdir()
    (tmp_path / "backups").mkdir()
    shell = Shell(work, ledger, postgres.programs)
    home = live_home(work / ".durable-orders", kite, ledger=ledger or None)
    async with life_of(home, kite) as desk:
        log_in(desk)
        rests = await desk.resting("rests")
        log_out(desk)
        waits = await desk.place("waits")
        await desk.story_has(waits, "nobody is logged in")
        shell.run(BACKUP)
        if is_on_postgresql:
            shell.run(DUMP)
        log_in(desk)
        await desk.reached(waits, Status.PLACED)
        await filled(desk, rests)
        await filled(desk, await desk.resting("after"))
    shell.run(GO_BACK)
    if is_on_postgresql:
        shell.run(RESTORE)
    async with life_of(home, kite) as desk:
        log_in(desk)
        assert await eventually(lambda: adopted(desk), "what was placed after the backup")
        again = [await desk.place(name) for name in ("rests", "waits", "after")]
        await desk.reached(again[1], Status.PLACED)
        trades_at_kite(kite, await broker_id(desk, again[1]))
        assert [(await order.result()).status for order in again] == [Status.FILLED] * 3
        await books_agree(desk, 30)
        assert list(sent_by_tag(kite).values()) == [1, 1, 1]
        said = shell.run(LOOK)
        refused = await (await desk.place("too-soon")).result()
        assert (refused.status, "this home is a backup of" in " ".join(refused.reasons)) == (Status.REJECTED, True)
        shell.run(RESUME)
        await desk.resting("resumed")
    assert "the ledger had forgotten it" in " ".join(said.split())
    assert "this home is a backup of" in " ".join(said.split())
