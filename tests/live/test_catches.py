"""The safety catches: two decisions for real money, and the dry run."""

import pytest

from chaos.venue import INFY
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.orders.order import OrderType, Side, Status, Terms
from durable_orders.workers.components import build
from durable_orders.workers.connection import connect
from tests.crashes.processes import PROGRAM, ended, running, said
from tests.live.conftest import Desks
from tests.live.desk import Desk, story

DRY = {"mode": "live", "dry_run": True}


async def test_live_settings_alone_do_not_trade(desks: Desks) -> None:
    desk = await desks(staffed=False)
    with pytest.raises(InvalidSettings, match="--live was not given"):
        build(desk.home, desk.settings, await connect(desk.home, desk.settings))


async def test_the_word_live_alone_does_not_trade(desks: Desks) -> None:
    desk = await desks(staffed=False)
    paper = desk.settings.replaced({"execution": {"mode": "paper"}})
    with pytest.raises(InvalidSettings, match=r"execution\.mode: is paper, and --live was given"):
        build(desk.home, paper, await connect(desk.home, desk.settings), live=True)


@pytest.mark.parametrize("command", ["worker", "up"])
async def test_the_program_wants_both(desks: Desks, command: str) -> None:
    desk = await desks(staffed=False)
    with running(desk.home, PROGRAM, command, "--home", str(desk.home.path)) as process:
        assert await ended(process) == 1
    assert "live trading needs both" in said(desk.home)
    assert (await desk.venue.tally())["requests"].keys() == {"login", "generate_session", "profile"}


async def test_dry_run_sends_nothing_and_says_so(desks: Desks) -> None:
    desk: Desk = await desks(execution={"dry_run": True})
    foreign = await desk.venue.place_foreign(Terms(symbol=INFY, side=Side.BUY, quantity=1))
    orders = [await desk.place(order_type) for order_type in 2 * [OrderType.LIMIT, OrderType.MARKET]]
    for order in orders:
        ended = await order.result()
        assert (ended.status, ended.broker_order_id) == (Status.REJECTED, None)
        assert ended.reasons == ("dry run: everything was checked, nothing was sent",)
        assert "dry run" in story(await order.events())
        assert ended.dry_run
        assert (await order.now()).dry_run
        assert all(event.dry_run for event in await order.events())
    assert await desk.halted() is None
    requests = (await desk.venue.tally())["requests"]
    assert requests.keys().isdisjoint({"place", "modify", "cancel"})
    assert [row.broker_order_id for row in desk.venue.rows()] == [foreign]
