"""What pushes the watch: Kite's socket, its postbacks, and neither of them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from chaos.venue import INFY, Venue, open_venue
from durable_orders.activities.kite_stream import KiteStream
from durable_orders.sandbox import FeedKind, SandboxSettings
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.config.settings import Kite
from durable_orders.trading.orders.order import OrderType, Side, Status, Terms
from tests.conftest import any_port, eventually, until
from tests.live.conftest import Desks
from tests.live.desk import LAST, Desk

SILENT = 1.0
NEVER = {"reconciliation_interval": 3600}
"""Whatever is seen in time, it is not by the interval."""


class Pushed:
    """Counts how often the watch was told to look."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


class Login:
    """The access token of the moment."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self) -> str:
        return self.token


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    settings = SandboxSettings(
        port=0, feed=FeedKind.PUSHED, heartbeat_seconds=SILENT / 4, database=tmp_path / "exchange.db"
    )
    async with open_venue(settings, {INFY: LAST}) as venue:
        yield venue


@asynccontextmanager
async def listening(
    venue: Venue, login: Login, pushed: Pushed, postback_port: int | None = None
) -> AsyncIterator[None]:
    """A stream that counts a socket as dead after a second of silence, for the length of a block."""
    kite = Kite(api_key=venue.settings.api_key, ws_root=venue.sandbox.ws_root, postback_port=postback_port)
    running = asyncio.create_task(KiteStream(kite, login, silent_seconds=SILENT).run(pushed))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def logged_in(venue: Venue) -> str:
    return str((await venue.ask("POST", "login"))["access_token"])


async def trades_of_somebody(venue: Venue, pushed: Pushed) -> None:
    """Until the stream pushes for an order update, which it can only have from an open socket."""
    before = pushed.times
    await venue.place_foreign(Terms(symbol=INFY, side=Side.BUY, quantity=1))
    await until(lambda: pushed.times > before, "an order update")


async def test_order_updates_push(venue: Venue) -> None:
    pushed = Pushed()
    async with listening(venue, Login(await logged_in(venue)), pushed):
        await until(lambda: pushed.times, "the socket to open")
        await trades_of_somebody(venue, pushed)


async def test_silent_socket_is_noticed_and_opened_again(venue: Venue) -> None:
    pushed = Pushed()
    async with listening(venue, Login(await logged_in(venue)), pushed):
        await until(lambda: pushed.times, "the socket to open")
        before = pushed.times
        await venue.fault(Fault.SOCKET_SILENT)
        await until(lambda: pushed.times > before, "another socket")
        assert await venue.struck(Fault.SOCKET_SILENT) == 1
        await trades_of_somebody(venue, pushed)


async def test_new_login_opens_another_socket(venue: Venue) -> None:
    pushed, login = Pushed(), Login(await logged_in(venue))
    async with listening(venue, login, pushed):
        await until(lambda: pushed.times, "the socket to open")
        before = pushed.times
        await venue.flush_tokens()
        login.token = await logged_in(venue)
        await until(lambda: pushed.times > before, "another socket")
        await trades_of_somebody(venue, pushed)


async def test_port_that_somebody_else_has_costs_the_postbacks_alone(venue: Venue) -> None:
    pushed = Pushed()
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        async with listening(venue, Login(await logged_in(venue)), pushed, postback_port=port):
            await until(lambda: pushed.times, "the socket to open")
            await trades_of_somebody(venue, pushed)


async def test_book_alone_where_the_socket_is_refused(desks: Desks) -> None:
    """Kite's free plan: HTTP 403 for the WebSocket."""
    desk = await desks(sandbox={"market_data": False})
    order = await desk.resting()
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 10, LAST)
    ended = await order.result()
    assert (ended.status, ended.filled_quantity) == (Status.FILLED, 10)


@pytest.fixture
async def by_postbacks(desks: Desks) -> Desk:
    """A desk that hears of changes by postbacks alone, and that is listening for them."""
    port = any_port()
    sandbox = {"market_data": False, "postback_url": f"http://127.0.0.1:{port}/postback"}
    desk = await desks(live=NEVER, sandbox=sandbox, kite={"postback_port": port})
    await eventually(lambda: answer_to(desk, b""), "a listener")
    return desk


async def answer_to(desk: Desk, body: bytes) -> int | None:
    """The HTTP status that a postback gets; `None` if nobody listens."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(str(desk.venue.settings.postback_url), data=body) as answer,
        ):
            return answer.status
    except aiohttp.ClientConnectionError:
        return None


async def test_postback_wakes_the_watch(by_postbacks: Desk) -> None:
    desk = by_postbacks
    order = await desk.resting(quantity=20)
    (row,) = desk.at_the_broker(order)
    await desk.venue.fill(row.broker_order_id, 5, LAST)
    await desk.recorded(order, Status.PARTIAL)
    await desk.venue.fill(row.broker_order_id, 15, LAST)
    assert (await order.result()).status is Status.FILLED


async def readings(desk: Desk) -> int:
    return sum((await desk.venue.tally())["requests"].get("order_book", {}).values())


@pytest.mark.parametrize("checksum", ["0" * 64, "", "héllo", None, 7])
async def test_postback_with_a_wrong_checksum_is_refused_and_ignored(by_postbacks: Desk, checksum: object) -> None:
    desk = by_postbacks
    order = await desk.place(OrderType.LIMIT)
    assert (await order.result()).status is Status.FILLED
    before = await readings(desk)
    forged = {"order_id": "1", "order_timestamp": "2026-01-05 10:00:00", "status": "COMPLETE", "checksum": checksum}
    assert await answer_to(desk, json.dumps(forged).encode()) == 403
    assert await readings(desk) == before


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b"null", b'{"checksum": {}}'])
async def test_postback_that_is_none_is_refused(by_postbacks: Desk, body: bytes) -> None:
    assert await answer_to(by_postbacks, body) == 403
