"""One home serves a live account: a second one is refused wherever the two meet."""

import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from durable_orders import login
from durable_orders.activities.orders import OTHER_MARK
from durable_orders.halting import resume
from durable_orders.orders import Orders
from durable_orders.trading.errors import LedgerUnusable, WrongAccount
from durable_orders.trading.ledger.accounts import AccountState, permission_of
from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.homes import OTHER_HOME, mark_of
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.orders.order import Status, order_id, tag_of
from durable_orders.trading.orders.tags import mark_in, marked
from durable_orders.workers import server
from durable_orders.workers.home import ServerAddress
from tests.conftest import eventually, new_account
from tests.crashes.processes import NO_BYTECODE
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import TOKEN, USER, Desk, at_work, live_home
from tests.trading.ledger.conftest import PostgresServer

FULL = 1000
"""Bytes of a file, as on a full disk."""


async def mark(desk: Desk) -> str:
    found = await desk.orders.read(lambda ledger: mark_of(ledger, desk.account))
    assert found is not None
    return found


async def standing(desk: Desk) -> tuple[AccountState, str]:
    found = await desk.orders.read(lambda ledger: permission_of(ledger, desk.account))
    return found.state, found.who


async def test_an_order_carries_the_mark_of_its_home(kite_desks: KiteDesks, kite: CountingKite) -> None:
    desk = await kite_desks()
    order = await desk.resting()
    (sent,) = kite.sent()
    assert mark_in(sent.form["tag"]) == await mark(desk)
    assert (await order.now()).tag == sent.form["tag"]


async def test_a_second_home_that_meets_the_first_in_the_book_sends_nothing(
    kite_desks: KiteDesks, kite: CountingKite
) -> None:
    one = await kite_desks()
    await one.resting("run-1-0001")
    two = await kite_desks()
    refused = await (await two.place("run-1-0001")).result()
    assert refused.status is Status.REJECTED
    assert "another home" in " ".join(refused.reasons)
    assert await standing(two) == (AccountState.HALTED, OTHER_HOME)
    told = await two.alerted("another home")
    assert await mark(one) in told.message
    await one.resting("run-1-0002")
    assert await standing(one) == (AccountState.ACTIVE, "")
    assert (len(kite.sent()), kite.sent("DELETE")) == (2, [])


@pytest.mark.parametrize("mark_of_old", ["other", None], ids=["another-mark", "no-mark"])
async def test_what_was_sent_under_another_mark_is_not_sent_again_even_after_a_resume(
    mark_of_old: str | None, kite_desks: KiteDesks, kite: CountingKite
) -> None:
    """A home whose ledger was lost, or is older than marks: its order of this morning stands in the book."""
    desk = await kite_desks()
    await desk.resting()
    (sent,) = kite.sent()
    plain = tag_of(order_id(desk.account, "of-this-morning"))
    own = kite.book(USER, sent.form | {"tag": marked(plain, mark_of_old) if mark_of_old else plain})

    async def found() -> bool:
        return f"external-{own}" in {each.client_order_id for each in await desk.orders.list()}

    assert await eventually(found)
    settings = desk.orders.settings
    with open_database(desk.home.ledger_url(settings)) as database:
        resume(database, settings, "the other one is gone", who="a test")
    again = await (await desk.place("of-this-morning")).result()
    assert again.status is Status.REJECTED, again.reasons
    assert OTHER_MARK in " ".join(again.reasons)
    assert len(kite.sent()) == 1


async def test_a_copy_of_a_home_that_is_at_work_halts_this_one(
    kite_desks: KiteDesks, kite: CountingKite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_orders.activities.other_homes.ON_ITS_WAY", 0.0)
    desk = await kite_desks()
    order = await desk.resting()
    (sent,) = kite.sent()
    tag = marked(tag_of(order_id(desk.account, "placed-elsewhere")), await mark(desk))
    kite.book(USER, sent.form | {"tag": tag})
    assert "a copy of this home" in (await desk.alerted("a copy of this home")).message
    assert await standing(desk) == (AccountState.HALTED, OTHER_HOME)
    assert (await order.now()).status is Status.PLACED
    assert kite.sent("DELETE") == []


async def test_a_second_home_at_one_server_is_refused(
    kite_desks: KiteDesks, temporal_server: ServerAddress, kite: CountingKite, tmp_path: Path
) -> None:
    one = await kite_desks()
    home = live_home(tmp_path / "second", kite, account=one.account)
    home.save_address(temporal_server)
    async with await Orders.connect(home.path) as orders:
        with pytest.raises(WrongAccount, match=r"another home .* over this Temporal server"):
            async with at_work(Desk(kite, home, orders)):
                pass


async def test_a_worker_that_begins_while_the_ledger_is_locked_says_so_and_sends_nothing(
    kite_desks: KiteDesks, kite: CountingKite, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await kite_desks(staffed=False)
    order = await desk.place()
    monkeypatch.setitem(Database.__init__.__kwdefaults__ or {}, "busy_seconds", 0.2)
    with closing(sqlite3.connect(desk.home.ledger_db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnusable, match=r"ledger\.db: database is locked$"):
            async with at_work(desk):
                pass
    assert kite.sent() == []
    async with at_work(desk):
        assert await order.placed(30)


def test_a_worker_that_begins_on_a_full_disk_says_so_in_one_line(
    temporal_server: ServerAddress, kite: CountingKite, tmp_path: Path
) -> None:
    home = live_home(tmp_path / "home", kite)
    home.save_address(temporal_server)
    login.keep(home, home.settings().kite, TOKEN)
    program = Path(sys.executable).with_name("durable-orders")
    done = subprocess.run(
        [program, "worker", "--live", "--no-limits", "--home", home.path],
        env=os.environ | NO_BYTECODE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, FULL)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if "ledger" in line] == done.stderr.splitlines()
    assert len(done.stderr.splitlines()) == 1
    assert kite.sent() == []


async def test_a_second_home_at_one_ledger_is_refused_until_the_first_has_left(
    temporal_server: ServerAddress, kite: CountingKite, tmp_path: Path, postgres: PostgresServer
) -> None:
    ledger, account = postgres.new_ledger(), new_account()
    one, two = (live_home(tmp_path / name, kite, account=account, ledger=ledger) for name in ("one", "two"))
    one.save_address(temporal_server)
    for home in (one, two):
        login.keep(home, home.settings().kite, TOKEN)
    async with server.running(two), await Orders.connect(one.path) as ours, await Orders.connect(two.path) as theirs:
        async with at_work(Desk(kite, one, ours)):
            with pytest.raises(WrongAccount, match="another home serves it over this ledger"):
                async with at_work(Desk(kite, two, theirs)):
                    pass
        async with at_work(Desk(kite, two, theirs)):
            assert await Desk(kite, two, theirs).resting()
