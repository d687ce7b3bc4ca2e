"""After a whole run with its troubles, no secret is anywhere but in the login file, which only its owner can read."""

import logging
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from chaos.account import log_in
from chaos.venue import INFY
from durable_orders.sandbox.fault_kinds import FaultKind as Fault
from durable_orders.trading.brokers.kite.session import SessionFile
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.orders.order import Amendment, OrderType, Status
from tests.conftest import any_port
from tests.crashes.processes import PROGRAM, running
from tests.live.conftest import Desks
from tests.live.desk import FAR, Desk, at_work

API_SECRET = "only-the-human-knows-this-3b1c9e"  # noqa: S105


@pytest.fixture
async def guarded(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose API secret comes by the environment, as it should."""
    monkeypatch.setenv("DURABLE_ORDERS_KITE__API_SECRET", API_SECRET)
    port = any_port()
    sandbox = {"api_secret": SecretStr(API_SECRET), "postback_url": f"http://127.0.0.1:{port}/postback"}
    return await desks(staffed=False, sandbox=sandbox, kite={"api_secret": None, "postback_port": port})


async def trouble(desk: Desk) -> list[str]:
    """Orders that end in every way, through every kind of answer. Gives all the access tokens of the run."""
    tokens = [token_of(desk)]
    for kind in (Fault.ACCEPT_THEN_DROP, Fault.ACCEPT_THEN_504, Fault.NO_ERROR_TYPE, Fault.EMPTY_BODY):
        await desk.venue.fault(kind)
        assert (await (await desk.place(OrderType.MARKET)).result()).status is Status.FILLED
    await desk.venue.fault(Fault.REFUSED, http_status=400, error_type="MarginException", message="Insufficient funds.")
    await (await desk.place(OrderType.LIMIT)).result()
    resting = await desk.resting()
    with pytest.raises(InvalidOrder):
        await resting.amend(Amendment(price=FAR / 2))
    await desk.venue.flush_tokens()
    waiting = await desk.place(OrderType.LIMIT)
    await desk.told(waiting.order_id, "not sent: Incorrect `api_key` or `access_token`")
    tokens.append(await log_in(desk.home))
    assert (await waiting.result()).status is Status.FILLED
    assert (await resting.cancel(timeout=60)).status is Status.CANCELLED
    return tokens


def token_of(desk: Desk) -> str:
    token = SessionFile(desk.home.session_file, desk.settings.kite).token()
    assert token is not None
    return token


async def histories(client: Client, desk: Desk) -> bytes:
    """Of all orders and of the watch; as JSON, where payloads are coded, and in the bytes that the server keeps."""
    ids = [order.order_id for order in await desk.orders.list()] + [f"watch:{desk.settings.account}"]
    told = [await client.get_workflow_handle(own).fetch_history() for own in ids]
    events = b"".join(event.SerializeToString() for history in told for event in history.events)
    assert INFY.encode() in events
    return events + "".join(history.to_json() for history in told).encode()


def files_with(home: Path, secret: str) -> list[str]:
    files = [file for file in home.rglob("*") if file.is_file()]
    assert {"ledger.db", "said", "kite-session.json"} <= {file.name for file in files}
    return [file.name for file in files if secret.encode() in file.read_bytes()]


async def test_no_secret_is_left_behind_by_the_program(guarded: Desk) -> None:
    desk = guarded
    with running(desk.home, PROGRAM, "worker", "--live", "--no-limits", "--home", str(desk.home.path)):
        first, last = await trouble(desk)
        told = await histories(desk.orders.client, desk)
    for secret in (first, last, API_SECRET):
        assert secret.encode() not in told
    assert files_with(desk.home.path, last) == ["kite-session.json"]
    assert files_with(desk.home.path, first) == []
    assert files_with(desk.home.path, API_SECRET) == []
    assert stat.S_IMODE(desk.home.session_file.stat().st_mode) == 0o600


async def test_no_secret_is_logged_whatever_the_level(guarded: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with at_work(guarded):
        tokens = await trouble(guarded)
    assert "order updates are refused" in caplog.text or "urllib3" in caplog.text
    for secret in (*tokens, API_SECRET):
        assert secret not in caplog.text
