"""The WebSocket through the real, unmodified `KiteTicker`."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
import requests
from kiteconnect import KiteConnect

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import FUTURE, Served, order, until
from tests.sandbox.tickers import Ticker, TickerProcess

INFY, NIFTY, NIFTY_FUTURE = 408065, 256265, 14626050


@pytest.fixture(scope="module")
def process() -> Iterator[TickerProcess]:
    with closing(TickerProcess()) as process:
        yield process


@pytest.fixture
def live(serve: Serve) -> Served:
    """Hearts beat fast, so that a test which waits for one is quick."""
    served = serve(heartbeat_seconds=0.05)
    served.tick(1500, volume=10)
    return served


@pytest.fixture
def ticker(process: TickerProcess, live: Served) -> Iterator[Ticker]:
    with closing(process.ticker(live).opened()) as ticker:
        yield ticker


def ticks(ticker: Ticker, number: int) -> list[dict[str, Any]]:
    """The first so many ticks, of however many messages."""
    found: list[dict[str, Any]] = []
    for count in range(1, number + 1):
        found = [tick for event in ticker.first("ticks", count) for tick in event["ticks"]]
        if len(found) >= number:
            break
    return found[:number]


def test_a_subscription_begins_in_mode_quote_with_what_is_known(ticker: Ticker, live: Served) -> None:
    ticker.do("subscribe", [INFY, NIFTY])
    first = ticks(ticker, 1)[0]
    assert (first["instrument_token"], first["mode"], first["last_price"]) == (INFY, "quote", 1500.0)
    live.tick(1510, volume=30)
    second = ticks(ticker, 2)[1]
    assert (second["last_price"], second["volume_traded"], second["last_traded_quantity"]) == (1510.0, 30, 20)
    assert second["ohlc"] == {"open": 1500.0, "high": 1510.0, "low": 1500.0, "close": 1500.0}
    assert "depth" not in second


def test_each_mode_has_its_own_packet(ticker: Ticker, live: Served) -> None:
    live.tick("24350.05", symbol="NSE:NIFTY 50")
    live.tick(24400, symbol=FUTURE)
    ticker.do("subscribe", [INFY, NIFTY, NIFTY_FUTURE])
    ticker.do("set_mode", "ltp", [INFY])
    ticker.do("set_mode", "full", [NIFTY, NIFTY_FUTURE])
    quote, index, future, ltp, full_index, full = ticks(ticker, 6)
    assert [tick["mode"] for tick in (quote, index, future)] == ["quote"] * 3
    assert ltp == {"tradable": True, "mode": "ltp", "instrument_token": INFY, "last_price": 1500.0}
    assert (full_index["tradable"], full_index["mode"], full_index["last_price"]) == (False, "full", 24350.05)
    assert datetime.fromisoformat(full_index["exchange_timestamp"]) == live.clock.now.replace(tzinfo=None)
    assert [level["price"] for level in full["depth"]["buy"][:2]] == [24399.95, 24399.9]
    assert [level["price"] for level in full["depth"]["sell"][:2]] == [24400.05, 24400.1]
    assert full["last_trade_time"] == full["exchange_timestamp"] == "2026-01-05 10:00:00"


def test_nothing_comes_after_unsubscribing(ticker: Ticker, live: Served) -> None:
    ticker.do("subscribe", [INFY])
    ticks(ticker, 1)
    ticker.do("unsubscribe", [INFY])
    ticker.do("subscribe", [NIFTY_FUTURE])
    live.tick(24400, symbol=FUTURE)
    ticks(ticker, 2)
    live.tick(1510)
    live.tick(24410, symbol=FUTURE)
    assert {tick["instrument_token"] for tick in ticks(ticker, 3)[1:]} == {NIFTY_FUTURE}


def test_heartbeats_of_one_byte_are_no_ticks(ticker: Ticker) -> None:
    messages = ticker.first("message", 3)
    assert [(message["size"], message["binary"]) for message in messages] == [(1, True)] * 3
    assert ticker.events("ticks") == []


def test_order_updates_come_without_a_subscription(ticker: Ticker, live: Served) -> None:
    kite = live.kite()
    placed = kite.place_order(**order(1490.0, tag="t1"))
    kite.modify_order("regular", placed, quantity=20)
    live.control("POST", f"orders/{placed}/fill", quantity=4, price="1490")
    live.tick(1490)
    cancelled = kite.place_order(**order(1400.0))
    kite.cancel_order("regular", cancelled)
    live.fault("rejected_later")
    rejected = kite.place_order(**order())
    assert ticker.updates(7) == [
        (placed, "OPEN"),
        (placed, "UPDATE"),
        (placed, "UPDATE"),
        (placed, "COMPLETE"),
        (cancelled, "OPEN"),
        (cancelled, "CANCELLED"),
        (rejected, "REJECTED"),
    ]
    data = ticker.first("order", 3)[2]["data"]
    assert (data["tag"], data["filled_quantity"], data["account_id"], data["checksum"]) == ("t1", 4, "SB0001", "")
    assert data["unfilled_quantity"] == 0
    assert "user_id" not in data


def test_orders_of_somebody_else_are_told_too_and_refusals_never(ticker: Ticker, live: Served) -> None:
    kite = live.kite()
    with pytest.raises(Exception, match="Tick size"):
        kite.place_order(**order(1490.03))
    terms = {"symbol": "NSE:INFY", "side": "BUY", "quantity": 1, "order_type": "MARKET"}
    foreign = live.control("POST", "orders", **terms)["order_id"]
    assert ticker.updates(2) == [(foreign, "OPEN"), (foreign, "COMPLETE")]


def test_an_order_update_is_lost(ticker: Ticker, live: Served) -> None:
    live.fault("updates_lost")
    _, kept = place_two(live)
    assert ticker.updates(1) == [(kept, "OPEN")]


def test_an_order_update_is_doubled(ticker: Ticker, live: Served) -> None:
    live.fault("updates_doubled")
    first, second = place_two(live)
    assert ticker.updates(3) == [(first, "OPEN"), (first, "OPEN"), (second, "OPEN")]


def test_order_updates_are_reordered(ticker: Ticker, live: Served) -> None:
    live.fault("updates_reordered", seconds=3600)
    first, second = place_two(live)
    assert ticker.updates(2) == [(second, "OPEN"), (first, "OPEN")]


def test_an_update_that_waits_for_the_next_comes_by_itself_in_the_end(ticker: Ticker, live: Served) -> None:
    live.fault("updates_reordered", seconds=0.05)
    placed = live.kite().place_order(**order(1400.0))
    assert ticker.updates(1) == [(placed, "OPEN")]


def place_two(live: Served) -> tuple[str, str]:
    kite: KiteConnect = live.kite()
    return str(kite.place_order(**order(1400.0))), str(kite.place_order(**order(1410.0)))


def test_a_socket_falls_silent_and_stays_open(process: TickerProcess, live: Served, ticker: Ticker) -> None:
    ticker.first("message")
    live.fault("socket_silent")
    until(lambda: live.tally()["faults"])
    with closing(process.ticker(live).opened()) as other:
        other.first("message", 5)
        heard = len(ticker.events("message"))
        placed = live.kite().place_order(**order(1400.0))
        assert other.updates(1) == [(placed, "OPEN")]
        other.first("message", 15)
        assert len(ticker.events("message")) == heard
        assert ticker.events("close") == ticker.events("order") == []


def test_a_silence_can_end(live: Served, ticker: Ticker) -> None:
    live.fault("socket_silent", seconds=0.1)
    until(lambda: live.tally()["faults"])
    heard = len(ticker.events("message"))
    ticker.first("message", heard + 3)


def test_a_wrong_token_is_refused_with_403(process: TickerProcess, live: Served) -> None:
    ticker = process.ticker(live, access_token="stale")  # noqa: S106
    error = ticker.first("error")[0]
    ticker.do("stop_retry")
    assert error["code"] == 1006
    assert "403" in error["reason"]


def test_the_free_plan_is_refused_with_403(process: TickerProcess, serve: Serve) -> None:
    ticker = process.ticker(serve(market_data=False))
    reason = ticker.first("error")[0]["reason"]
    ticker.do("stop_retry")
    assert "403" in reason


def test_a_fourth_connection_is_refused_with_429(process: TickerProcess, live: Served) -> None:
    open_ones = [process.ticker(live).opened() for _ in range(3)]
    fourth = process.ticker(live)
    reason = fourth.first("error")[0]["reason"]
    fourth.do("stop_retry")
    assert "429" in reason
    open_ones[0].close()
    with closing(process.ticker(live).opened()):
        for one in open_ones[1:]:
            one.close()


def test_3000_instruments_and_no_more_on_one_connection(ticker: Ticker) -> None:
    ticker.do("subscribe", list(range(1, 3001)))
    ticker.do("subscribe", [1, 2, 3])
    ticker.do("subscribe", [INFY])
    error = ticker.first("error")[0]
    assert (error["code"], error["reason"]) == (0, "At most 3000 instruments on one connection.")


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"a": "shout", "v": []}', '{"a": "mode", "v": ["loud", [1]]}'])
def test_a_message_that_makes_no_sense_is_answered_with_an_error(ticker: Ticker, text: str) -> None:
    ticker.do("send", text)
    assert ticker.first("error")[0]["reason"] == "Invalid message."


def test_a_flush_of_the_tokens_closes_the_socket(process: TickerProcess, live: Served) -> None:
    ticker = process.ticker(live).opened()
    live.control("POST", "flush-tokens")
    ticker.first("close")
    ticker.do("stop_retry")


def test_a_plain_request_to_the_sockets_address_is_an_error(live: Served) -> None:
    answer = requests.get(live.sandbox.root, timeout=60)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
