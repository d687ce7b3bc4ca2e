"""Starting, stopping and starting again: what is kept, what is said, what can stand in the way."""

import asyncio
import re
import signal
import socket
import subprocess

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import GeneralException
from pydantic import ValidationError

from durable_orders.sandbox import FeedKind, Sandbox, SandboxSettings, SandboxUnusable
from durable_orders.trading.errors import DurableOrdersError
from tests.conftest import any_port
from tests.sandbox.conftest import Serve
from tests.sandbox.serving import MAX_WAIT, Served, order, row_of, statuses, until
from tests.starting.programs import PROGRAM, Started


def again(served: Served, serve: Serve, **settings: object) -> Served:
    """Stop it, and start another on the same database. Its clock goes on."""
    served.stop()
    return serve(**settings)


def test_a_restarted_sandbox_knows_its_orders_its_trades_and_who_is_logged_in(serve: Serve) -> None:
    served = serve()
    served.tick(1500)
    kite = served.kite()
    resting = kite.place_order(**order(1490.0, tag="t1", disclosed_quantity=2))
    filled = kite.place_order(**order(None, tag="t2", product="NRML"))
    before = (kite.orders(), kite.trades(), kite.positions()["day"])
    later = again(served, serve)
    back = KiteConnect(kite.api_key, kite.access_token, root=later.sandbox.root)
    assert (back.orders(), back.trades()) == before[:2]
    assert [(row["quantity"], row["average_price"]) for row in back.positions()["day"]] == [(10, 1500.0)]
    assert back.positions()["net"][0]["overnight_quantity"] == 0
    assert statuses(back, filled)[-1] == "COMPLETE"
    later.tick(1490)
    assert row_of(back, resting)["status"] == "COMPLETE"
    assert [trade["trade_id"] for trade in back.trades()] == ["10000001", "10000002"]


def test_what_was_wiped_stays_wiped(serve: Serve) -> None:
    served = serve()
    served.tick(1500)
    kite = served.kite()
    old = kite.place_order(**order(None, product="CNC"))
    served.next_day()
    served.tick(1500)
    kite.place_order(**order(None, tag="new"))
    later = again(served, serve)
    kite = later.kite()
    assert [row["tag"] for row in kite.orders()] == ["new"]
    with pytest.raises(GeneralException):
        kite.order_history(old)
    assert [row["quantity"] for row in kite.holdings()] == [10]


def test_a_sandbox_that_comes_back_on_another_day_begins_it(serve: Serve) -> None:
    served = serve()
    served.tick(1500)
    served.kite().place_order(**order(1400.0))
    served.clock.advance(days=1)
    assert again(served, serve).kite().orders() == []


def test_without_a_database_everything_is_forgotten(serve: Serve) -> None:
    served = serve(database=None)
    served.kite().place_order(**order())
    assert again(served, serve, database=None).kite().orders() == []


def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = SandboxSettings(port=port, feed=FeedKind.PUSHED)
        with pytest.raises(SandboxUnusable, match=rf"^sandbox: port {port}: .*in use"):
            asyncio.run(_serve_for_a_moment(settings))


async def _serve_for_a_moment(settings: SandboxSettings) -> None:
    async with Sandbox(settings):
        pass


@pytest.mark.parametrize(
    "settings",
    [
        {"feed": "synthetic", "prices": {"NSE:NOSUCH": "1"}},
        {"feed": "replay", "symbol": "NSE:NOSUCH"},
        {"feed": "replay", "ticks": "nosuch.csv"},
        {"feed": "pushed", "instruments": "nosuch.csv"},
        {"feed": "pushed", "database": "/"},
    ],
)
def test_files_and_symbols_that_are_not_there_are_named(settings: dict[str, object]) -> None:
    named = str(list(settings.values())[-1]).strip("{}'").partition("'")[0]
    with pytest.raises(DurableOrdersError, match=re.escape(named)):
        asyncio.run(_serve_for_a_moment(SandboxSettings.model_validate(settings | {"port": 0})))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"feed": "pushed", "speed": 2}, "speed: only with feed replay"),
        ({"feed": "replay", "prices": {"NSE:INFY": "1"}}, "prices: only with feed synthetic"),
        ({"tick_interval": 1, "feed": "replay"}, "tick_interval: only with feed synthetic"),
        ({"port": 70000}, "less than or equal to 65535"),
        ({"prot": 1}, "Extra inputs"),
        ({"faults": [{"kind": "updates_lost"}]}, "exactly one of"),
    ],
)
def test_settings_that_do_nothing_or_make_no_sense_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SandboxSettings.model_validate(settings)


def test_the_secret_is_not_in_the_settings_text() -> None:
    assert "sandboxsecret" not in repr(SandboxSettings())


def test_a_synthetic_feed_moves_by_itself_and_cannot_be_pushed(serve: Serve) -> None:
    served = serve(feed=FeedKind.SYNTHETIC, tick_interval=0.001, prices={"NSE:INFY": "1500"}, seed=7)
    kite = served.kite()
    until(lambda: kite.ltp("NSE:INFY"))
    before = kite.ltp("NSE:INFY")
    until(lambda: kite.ltp("NSE:INFY") != before)
    placed = kite.place_order(**order(None))
    assert row_of(kite, placed)["status"] == "COMPLETE"
    answer = requests.post(f"{served.sandbox.control}/next-day", timeout=MAX_WAIT)
    assert (answer.status_code, "only with feed pushed" in answer.json()["message"]) == (400, True)


def test_a_replay_plays_the_shipped_day(serve: Serve) -> None:
    served = serve(feed=FeedKind.REPLAY, speed=1000)
    kite = served.kite()
    until(lambda: kite.ltp("NFO:NIFTY25MAYFUT"))
    assert 20000 < kite.ltp("NFO:NIFTY25MAYFUT")["NFO:NIFTY25MAYFUT"]["last_price"] < 30000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_stops_when_told(number: signal.Signals) -> None:
    words = ("sandbox", "--port", str(any_port()), "--feed", "pushed", "--no-rate-limits")
    process = Started([str(PROGRAM), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        first = process.stdout.readline()
        root = re.findall(r"http://127\.0\.0\.1:\d+", first)[0]
        rest = process.stdout.readline() + process.stdout.readline()
        assert "api_key sandboxkey, api_secret sandboxsecret" in rest
        tick = {"symbol": "NSE:INFY", "last_price": "1500"}
        requests.post(f"{root}/__control/ticks", json={"ticks": [tick]}, timeout=MAX_WAIT)
        token = requests.post(f"{root}/__control/login", timeout=MAX_WAIT).json()["data"]["access_token"]
        kite = KiteConnect("sandboxkey", token, root=root)
        assert [kite.ltp("NSE:INFY")["NSE:INFY"]["last_price"] for _ in range(12)] == [1500.0] * 12, "one a second else"
        process.send_signal(number)
        assert process.wait(MAX_WAIT) == 0
