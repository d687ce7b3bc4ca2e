"""After a restore nothing is sent that the broker has, and the ledger has what the broker has."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from chaos import acts
from durable_orders.trading.ledger.homes import fix_mark
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.ledger.reading import strategy_positions_of
from durable_orders.trading.orders.order import Status
from durable_orders.workers.backup import back_up
from tests.conftest import eventually
from tests.operators.conftest import KiteDesks
from tests.operators.counting_kite import CountingKite
from tests.operators.desk import at_work, live_home
from tests.operators.restoring import (
    LEDGER,
    SERVER,
    books_agree,
    broker_id,
    filled,
    go_back,
    has_looked,
    life_of,
    log_in,
    log_out,
    sent_by_tag,
    trades_at_kite,
    with_ledger,
)
from tests.trading.ledger.conftest import PostgresServer

NAMES = ("rests", "partly", "filled", "waits", "since", "since-filled")


@pytest.mark.parametrize("files", [(SERVER,), (LEDGER,), (SERVER, LEDGER)], ids=["server", "ledger", "both"])
async def test_what_is_older_sends_nothing_again_and_books_nothing_twice(
    files: Sequence[str], tmp_path: Path, kite: CountingKite
) -> None:
    home = live_home(tmp_path / "home", kite)
    async with life_of(home, kite) as desk:
        log_in(desk)
        rests, partly, done = [await desk.resting(name) for name in ("rests", "partly", "filled")]
        trades_at_kite(kite, await broker_id(desk, partly), 4)
        await desk.reached(partly, Status.PARTIAL)
        await filled(desk, done)
        log_out(desk)
        waits = await desk.place("waits")
        await desk.story_has(waits, "nobody is logged in")
        back_up(home, desk.orders.settings, tmp_path / "backup")
        log_in(desk)
        await desk.reached(waits, Status.PLACED)
        await desk.resting("since")
        await filled(desk, await desk.resting("since-filled"))
        await filled(desk, rests)
        trades_at_kite(kite, await broker_id(desk, waits), 4)
        await desk.reached(waits, Status.PARTIAL)
    go_back(home, tmp_path / "backup", files)
    for row in kite.rows(status="OPEN"):
        trades_at_kite(kite, row["order_id"], 2)
    async with life_of(home, kite) as desk:
        again = [await desk.place(name) for name in NAMES]
        for row in kite.rows(status="OPEN"):
            trades_at_kite(kite, row["order_id"])
        ended = [await order.result() for order in again]
        assert [(order.status, order.filled_quantity) for order in ended] == [(Status.FILLED, 10)] * len(NAMES)
        assert set(sent_by_tag(kite).values()) == {1}
        assert len(sent_by_tag(kite)) == len(NAMES)
        await books_agree(desk, 60)


async def test_an_older_ledger_learns_of_what_was_never_sent_from_the_server(
    tmp_path: Path, kite: CountingKite
) -> None:
    """No row at the broker tells of an order that was refused, nor of one that was withdrawn before it was sent."""
    home = live_home(tmp_path / "home", kite)
    async with life_of(home, kite) as desk:
        log_in(desk)
        await desk.resting("before")
        back_up(home, desk.orders.settings, tmp_path / "backup")
        refused = await (await desk.place("refused", symbol="NSE:NOSUCH")).result()
        log_out(desk)
        waits = await desk.place("withdrawn")
        await desk.story_has(waits, "nobody is logged in")
        withdrawn = await waits.cancel()
    go_back(home, tmp_path / "backup", (LEDGER,))
    async with life_of(home, kite) as desk:
        log_in(desk)

        async def are_known() -> bool:
            found = {order.client_order_id: order.status for order in await desk.orders.list()}
            return {"before", "refused", "withdrawn"} <= found.keys()

        assert await eventually(are_known)
        found = {order.client_order_id: order for order in await desk.orders.list()}
        assert found["refused"].status is refused.status is Status.REJECTED
        assert found["refused"].reasons == refused.reasons
        assert found["withdrawn"].status is withdrawn.status is Status.CANCELLED
        assert len(kite.sent()) == 1


async def test_an_older_ledger_on_postgresql_and_a_lost_server_learn_of_it_from_the_book(
    tmp_path: Path, kite: CountingKite, postgres: PostgresServer
) -> None:
    """A ledger of before the orders, at a server that knows nothing."""
    ledger = postgres.new_ledger()
    home = live_home(tmp_path / "home", kite, ledger=ledger)
    with open_database(ledger) as database:
        fix_mark(database, home.settings().account, datetime.now(UTC))
    backup = postgres.new_database(str(sa.make_url(ledger).database))
    async with life_of(home, kite) as desk:
        log_in(desk)
        await desk.resting("rests")
        await filled(desk, await desk.resting("done"))
    for file in home.path.glob(f"{SERVER}*"):
        file.unlink()
    with_ledger(home, backup)
    async with life_of(home, kite) as desk:
        await books_agree(desk, 10)
        again = [await desk.place(name) for name in ("rests", "done")]
        await desk.reached(again[0], Status.PLACED)
        trades_at_kite(kite, await broker_id(desk, again[0]))
        assert [(await order.result()).status for order in again] == [Status.FILLED, Status.FILLED]
        await books_agree(desk, 20)
        assert list(sent_by_tag(kite).values()) == [1, 1]
        assert {order.order_id for order in await desk.orders.list()} == {order.order_id for order in again}
        own = await desk.orders.read(lambda ledger: strategy_positions_of(ledger, desk.account, "manual"))
        assert [position.quantity for position in own.values()] == [20]


@pytest.mark.parametrize("count", [6, 18])
async def test_taking_up_takes_as_many_readings_whatever_is_open(
    count: int, kite_desks: KiteDesks, kite: CountingKite
) -> None:
    desk = await kite_desks(staffed=False, reconciliation_interval=60)
    async with at_work(desk):
        orders = [await desk.place(f"order-{number}") for number in range(count)]
        for order in orders:
            await desk.reached(order, Status.PLACED)
    for order in orders:
        await acts.terminate(desk.orders.client, order.order_id)
    before = len(kite.sent("GET", "/orders"))
    async with at_work(desk):
        for order in orders:
            await has_looked(desk, order)
        assert len(kite.sent("GET", "/orders")) - before <= 5
    assert len(kite.sent()) == count
