"""`up`: killed and started again, beside another, and twice on one home."""

from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

from durable_orders.orders import Orders
from durable_orders.trading.orders.order import Status
from tests.conftest import until, write_home
from tests.crashes.conftest import buy, market, market_shows
from tests.crashes.orders import MARKETABLE, assert_agree, cancelled, filled_by_an_amendment, resting
from tests.crashes.processes import PROGRAM, ended, is_alive, is_up, kill, kill_server, up
from tests.durable_orders.program import OWN_PORTS


async def test_killed_with_open_orders_and_started_again(tmp_path: Path, steady_ticks: Path) -> None:
    home = write_home(tmp_path / "home", market(steady_ticks))
    with up(home, *OWN_PORTS) as first:
        address = await is_up(home)
        async with await Orders.connect(home.path) as orders:
            await market_shows(orders, first)
            amended, withdrawn, third = [await resting(orders) for _ in range(3)]
            kill(first)
            assert is_alive(address.pid), "the server has nobody to look after it, and goes on"
            with up(home) as second:
                assert await is_up(home, times=2) == address, "it is adopted"
                assert_agree(home, await filled_by_an_amendment(amended), await cancelled(withdrawn))

                kill_server(home)
                await until(lambda: (now := home.address()) and now.pid != address.pid, "another server")
                assert_agree(home, await filled_by_an_amendment(third))
                last = await is_up(home, times=2)
                assert last.target == address.target
                second.terminate()
                assert await ended(second) == 0
                assert not is_alive(last.pid)


async def test_two_homes_side_by_side_and_one_home_twice(tmp_path: Path, steady_ticks: Path) -> None:
    homes = [write_home(tmp_path / name, {"account": "same"} | market(steady_ticks)) for name in ("one", "two")]
    with up(homes[0], *OWN_PORTS) as one, up(homes[1], *OWN_PORTS) as two:
        for home, process in zip(homes, (one, two), strict=True):
            await is_up(home)
            async with await Orders.connect(home.path) as orders:
                await market_shows(orders, process)
                order = await (await orders.place(buy(orders, MARKETABLE, client_order_id="same"))).result()
                assert order.status is Status.FILLED
                assert_agree(home, order)
                assert [other.order_id for other in await orders.list()] == [order.order_id]

        words = [PROGRAM, "up", "--home", str(homes[0].path)]
        twice = await create_subprocess_exec(*words, stdout=PIPE, stderr=PIPE)
        printed, complaint = await twice.communicate()
        assert (twice.returncode, printed) == (1, b"")
        assert complaint.decode().startswith(f"error: home {homes[0].path}: already up (process ")
        assert complaint.count(b"\n") == 1
