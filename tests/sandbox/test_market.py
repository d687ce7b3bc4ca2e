"""Quotes and instruments through the real client."""

from datetime import date
from pathlib import Path

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException, PermissionException

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import MORNING, Served, order

INFY = "NSE:INFY"


def test_quotes_follow_the_ticks(served: Served, kite: KiteConnect) -> None:
    served.tick(1520, volume=100)
    served.tick(1480, volume=150)
    served.clock.advance(seconds=2)
    served.tick(1510, volume=200)
    assert kite.ltp(INFY) == {INFY: {"instrument_token": 408065, "last_price": 1510.0}}
    ohlc = {"open": 1500.0, "high": 1520.0, "low": 1480.0, "close": 1500.0}
    assert kite.ohlc([INFY])[INFY]["ohlc"] == ohlc
    quote = kite.quote(INFY)[INFY]
    assert (quote["volume"], quote["last_quantity"], quote["average_price"]) == (200, 50, 1507.5)
    assert (quote["lower_circuit_limit"], quote["upper_circuit_limit"]) == (1200.0, 1800.0)
    assert quote["timestamp"] == MORNING.replace(tzinfo=None, second=2)
    assert [level["price"] for level in quote["depth"]["buy"]] == [1509.9, 1509.8, 1509.7, 1509.6, 1509.5]
    assert len(quote["depth"]["sell"]) == 5


def test_what_is_not_known_is_silently_left_out(served: Served, kite: KiteConnect) -> None:
    served.tick(2900, symbol="NSE:M&M")
    served.tick("24350.05", symbol="NSE:NIFTY 50")
    assert sorted(kite.ltp([INFY, "NSE:NOSUCH", "NSE:TCS", "NSE:M&M", "NSE:NIFTY 50"])) == [
        INFY,
        "NSE:M&M",
        "NSE:NIFTY 50",
    ]


def test_one_call_has_a_greatest_number_of_instruments(kite: KiteConnect) -> None:
    names = [f"NSE:X{number}" for number in range(1001)]
    assert kite.quote(names[:500]) == {}
    with pytest.raises(InputException, match="At most 500"):
        kite.quote(names[:501])
    assert kite.ltp(names[:1000]) == {}
    with pytest.raises(InputException, match="At most 1000"):
        kite.ohlc(names)
    with pytest.raises(InputException, match="Missing or empty field `i`"):
        kite.ltp([])


def test_yesterdays_price_is_todays_close(served: Served, kite: KiteConnect) -> None:
    served.tick(1520)
    served.next_day()
    served.tick(1530)
    quote = kite.quote(INFY)[INFY]
    assert (quote["ohlc"]["close"], quote["net_change"], quote["volume"]) == (1520.0, 10.0, 0)


def test_the_instruments_are_served_to_anybody_as_kites_csv(served: Served, kite: KiteConnect) -> None:
    rows = {
        (row["exchange"], row["tradingsymbol"]): row for row in KiteConnect("x", root=served.sandbox.root).instruments()
    }
    infy = rows["NSE", "INFY"]
    assert (infy["instrument_token"], infy["exchange_token"], infy["tick_size"]) == (408065, "1594", 0.1)
    assert infy["last_price"] == 1500.0
    future = rows["NFO", "NIFTY25MAYFUT"]
    assert (future["lot_size"], future["expiry"], future["segment"]) == (75, date(2025, 5, 29), "NFO-FUT")
    assert rows["NFO", "NIFTY25MAY24400CE"]["strike"] == 24400.0
    assert rows["NSE", "NIFTY 50"]["segment"] == "INDICES"
    assert {row["exchange"] for row in kite.instruments("BSE")} == {"BSE"}
    with pytest.raises(InputException, match="Unknown exchange"):
        kite.instruments("XXX")


def test_the_instruments_are_compressed_for_who_can_read_that(served: Served) -> None:
    answer = requests.get(f"{served.sandbox.root}/instruments", timeout=60)
    assert answer.headers["Content-Encoding"] in ("gzip", "deflate")
    assert answer.headers["Content-Type"].startswith("text/csv")


def test_without_market_data_orders_work_and_quotes_do_not(serve: Serve) -> None:
    served = serve(market_data=False)
    kite = served.kite()
    for ask in (kite.ltp, kite.ohlc, kite.quote):
        with pytest.raises(PermissionException) as refused:
            ask(INFY)
        assert refused.value.code == 403
    assert kite.place_order(**order())


@pytest.mark.parametrize(
    "tick", [{"symbol": "NSE:NOSUCH", "last_price": "1"}, {"symbol": "NSE:INFY", "last_price": "0"}]
)
def test_a_tick_that_cannot_be_is_refused(served: Served, kite: KiteConnect, tick: dict[str, str]) -> None:
    answer = requests.post(f"{served.sandbox.control}/ticks", json={"ticks": [tick]}, timeout=60)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
    assert kite.ltp(INFY)[INFY]["last_price"] == 1500.0


def test_the_stop_of_a_cover_order_may_be_so_far_away(served: Served, kite: KiteConnect) -> None:
    served.tick(1400, symbol="NSE:RELIANCE")
    below = {INFY: {"instrument_token": 408065, "lower": 1417.5, "upper": 1500.0}}
    assert kite.trigger_range("BUY", INFY, "NSE:NOSUCH") == below
    assert kite.trigger_range("SELL", ["NSE:RELIANCE"])["NSE:RELIANCE"] == pytest.approx(
        {"instrument_token": 738561, "lower": 1400.0, "upper": 1477.0}
    )
    with pytest.raises(InputException, match="Invalid `transaction_type`"):
        kite.trigger_range("HOLD", INFY)
    with pytest.raises(InputException, match="Missing or empty field `i`"):
        kite.trigger_range("BUY")


def test_historical_candles_are_of_the_file_and_of_what_was_shown(serve: Serve, tmp_path: Path) -> None:
    """With and without open interest, as the client gives them."""
    rows = [f"2026-01-02 15:{minute}:00,1490,1492,1489,149{minute % 3},7,{INFY}" for minute in (27, 28, 29)]
    (tmp_path / "before.csv").write_text("\n".join(["datetime,open,high,low,close,volume,symbol", *rows]) + "\n")
    served = serve(history=tmp_path / "before.csv", calendar="XNSE")
    kite = served.kite()
    served.tick(1510, volume=40)
    since, until = "2026-01-01 00:00:00", "2026-01-05 23:59:00"
    day, today = kite.historical_data(408065, since, until, "day")
    assert day["date"].isoformat() == "2026-01-02T00:00:00+05:30"
    assert [day[name] for name in ("open", "high", "low", "close", "volume")] == [1490, 1492, 1489, 1492, 21]
    assert ("oi" in day, today["close"]) == (False, 1510)
    minutes = kite.historical_data(408065, since, until, "minute", oi=True)
    assert [(row["date"].strftime("%d %H:%M"), row["volume"], row["oi"]) for row in minutes[:3]] == [
        ("02 15:27", 7, 0),
        ("02 15:28", 7, 0),
        ("02 15:29", 7, 0),
    ]
    assert kite.historical_data(408065, since, until, "hour") == kite.historical_data(408065, since, until, "60minute")
    with pytest.raises(InputException, match="interval exceeds max limit: 60 days"):
        kite.historical_data(408065, "2025-01-01", until, "minute")
    with pytest.raises(InputException, match="invalid token"):
        kite.historical_data(1, since, until, "day")
