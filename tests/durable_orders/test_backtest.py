"""`durable-orders backtest`: the same file gives the same figures, and what goes wrong is said in one line."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_orders.cli import run
from durable_orders.trading.ist import IST

CROSS = "examples/moving_average_cross.py"
BUYER = """
from durable_orders.trading.strategies.strategy import Strategy

class Buyer(Strategy):
    def on_start(self, desk):
        self.told = []
    def on_tick(self, desk, tick):
        {on_tick}
    def on_order(self, desk, order):
        self.told.append(order.status)
"""


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(["backtest", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, _ = shown(capsys, *words, "--json")
    assert code == 0
    content: dict[str, Any] = json.loads(out)
    return content


def written(tmp_path: Path, on_tick: str) -> str:
    (tmp_path / "buyer.py").write_text(BUYER.format(on_tick=on_tick))
    return str(tmp_path / "buyer.py")


def test_the_same_run_twice_gives_the_same_figures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = str(tmp_path)
    first = figures(capsys, CROSS, "--home", home)
    assert first == figures(capsys, CROSS, "--home", home)
    assert first["by_status"] == {"FILLED": first["orders"]}
    assert first["trades"][-1]["position"] == 0


def test_a_trade_worked_by_hand(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """75 shares, 5 bps of slippage, bought at the first tick and sold at the third; an intraday trade at NSE."""
    (tmp_path / "ticks.csv").write_text(
        "timestamp,last_price,symbol\n"
        "2025-04-29T09:15:00+05:30,1000,NSE:INFY\n"
        "2025-04-29T09:16:00+05:30,1020,NSE:INFY\n"
        "2025-04-29T09:17:00+05:30,1040,NSE:INFY\n"
    )
    file = written(
        tmp_path, "{1000: desk.buy, 1040: desk.sell}.get(int(tick.last_price), lambda *_: 0)(tick.symbol, 75)"
    )
    told = figures(capsys, file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))
    bought, sold = told["trades"]
    assert (bought["average_price"], sold["average_price"]) == ("1000.50", "1039.40")
    assert (bought["slippage"], sold["slippage"], sold["realized"]) == ("37.50", "45.00", "2917.50")
    assert told["gross_profit"] == "2917.50"
    assert float(told["net_profit"]) == pytest.approx(2917.50 - float(told["charges"]["total"]))
    assert told["charges"]["transaction_tax"] == "19.49"  # 0.025 % of 77,955 rupees sold
    assert told["charges"]["stamp_duty"] == "2.25"  # 0.003 % of 75,037.50 rupees bought


def test_a_day_with_funds_worked_by_hand(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """75 shares are bought at 1000 and closed by the broker at 1008. 75,000 at 0.03 % is more than the brokerage's 20
    rupees: 20 + exchange 2.23 + IPFT 0.08 = 2.30 together + SEBI 0.08 + stamp duty 2.25 + GST 4.03 of 22.38 = 28.66.
    Sold for 75,600: 20 + 18.90 + 2.32 + 0.08 + GST 4.03 of 22.40 = 45.33, and 59 for the square-off. 75 bind 15,000.
    """
    (tmp_path / "ticks.csv").write_text(
        "timestamp,last_price,symbol\n"
        "2025-04-29T09:15:00+05:30,1000,NSE:INFY\n"
        "2025-04-29T15:19:59+05:30,1010,NSE:INFY\n"
        "2025-04-29T15:20:00+05:30,1008,NSE:INFY\n"
        "2025-04-29T15:21:00+05:30,1009,NSE:INFY\n"
    )
    for key, value in {"FUNDS": "100000", "SQUARE_OFF_ENABLED": "true", "SLIPPAGE_ENABLED": "false"}.items():
        monkeypatch.setenv(f"DURABLE_ORDERS_EXECUTION__PAPER__{key}", value)
    file = written(tmp_path, "if tick.last_price in (1000, 1009): [desk.buy(tick.symbol, n) for n in (75, 500)]")
    words = (file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))
    told = figures(capsys, *words)
    bought, closed = told["trades"]
    assert (bought["charges"], bought["reason"]) == ("28.66", "")
    assert (closed["average_price"], closed["charges"], closed["position"]) == ("1008.00", "45.33", 0)
    assert closed["reason"] == "RMS: intraday square-off"
    assert told["funds"] == {"available": "99867.01", "utilised": "0.00"}, (
        "the day's profit is not free before tomorrow"
    )
    too_much, *late = (line["why"] for line in told["refused"])
    assert "Required margin is 100000.00 but available margin is 84971.34." in too_much
    assert ["only till 3:20 PM" in why for why in late] == [True, True]
    assert told["refusals"]["refused by the broker: Insufficient funds"] == 1
    _, out, err = shown(capsys, *words, "--report", str(tmp_path / "out.html"))
    page = (tmp_path / "out.html").read_text()
    assert err == f"note: the report is in {tmp_path / 'out.html'}\n"
    for words_of_it in ("available margin is 84971.34", "RMS: intraday square-off", "99867.01"):
        assert words_of_it in out
        assert words_of_it in page.replace(",", "")


def test_the_guardian_counts_with_the_margin_of_the_moment(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A future binds 12 % of some 24,000 * 75: one lot of 216,000 rupees and no second one."""
    monkeypatch.setenv("DURABLE_ORDERS_EXECUTION__PAPER__FUNDS", "400000")
    monkeypatch.setenv("DURABLE_ORDERS_GUARDIAN__REQUIRE_MARGIN", "true")
    for latency in ("false", "true"):
        monkeypatch.setenv("DURABLE_ORDERS_EXECUTION__PAPER__LATENCY_ENABLED", latency)
        twice = "if not self.told: [desk.buy(tick.symbol, 75, product='NRML') for _ in 'ab']"
        told = figures(capsys, written(tmp_path, twice), "--home", str(tmp_path))
        assert told["by_status"] == {"FILLED": 1, "REJECTED": 1}
        assert "INSUFFICIENT_MARGIN" in told["refusals"]


def test_a_breaker_that_tripped_is_told_with_what_it_did(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ticks.csv").write_text(
        "timestamp,last_price,symbol\n"
        "2025-04-29T09:15:00+05:30,1000,NSE:INFY\n"
        "2025-04-29T09:16:00+05:30,990,NSE:INFY\n"
        "2025-04-29T09:17:00+05:30,995,NSE:INFY\n"
    )
    monkeypatch.setenv("DURABLE_ORDERS_GUARDIAN__MAX_DAILY_LOSS", "200")
    monkeypatch.setenv("DURABLE_ORDERS_GUARDIAN__ON_TRIP", "flatten")
    lines = (
        "if tick.last_price == 1000: desk.buy(tick.symbol, 100)",
        "if tick.last_price == 1000: desk.buy(tick.symbol, 5, order_type='LIMIT', price='900')",
        "if tick.last_price == 990: desk.sell(tick.symbol, 70)",
        "if tick.last_price == 995: desk.buy(tick.symbol, 1)",
    )
    file = written(tmp_path, "\n        ".join(lines))
    words = (file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))
    told = figures(capsys, *words)
    [trip] = told["trips"]
    assert (trip["at"], trip["cause"], trip["response"]) == ("2025-04-29T09:16:00+05:30", "MAX_DAILY_LOSS", "flatten")
    assert (trip["cancelled"], trip["closed"]) == (["buyer-2"], [told["trades"][2]["client_order_id"]])
    assert told["trades"][2]["reason"].startswith("MAX_DAILY_LOSS: the day's loss may be at most 200 rupees")
    assert told["refusals"] == {"REDUCING": 1, "MAX_DAILY_LOSS": 1}
    _, out, _ = shown(capsys, *words, "--report", str(tmp_path / "out.html"))
    did = "cancelled 1; closed by SELL 30 NSE:INFY MIS (flatten)"
    assert f"and is 770.0000: {did}" in " ".join(out.split())
    assert f"<td>{did}</td>" in (tmp_path / "out.html").read_text()


def test_an_order_that_no_check_passes_is_told_with_all_its_reasons(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    once = "if not self.told: desk.buy(tick.symbol, 10, order_type='LIMIT', price='24000.02')"
    code, out, err = shown(capsys, written(tmp_path, once), "--home", str(tmp_path), "--json")
    told = json.loads(out)
    assert (code, told["by_status"]) == (1, {"REJECTED": 1})
    assert told["refusals"] == {"LOT_SIZE": 1, "TICK_SIZE": 1}
    assert "buyer: no order passed: buyer-1 was refused, LOT_SIZE: " in " ".join(err.split())


def test_orders_that_are_all_refused_for_one_reason_are_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = shown(capsys, written(tmp_path, "desk.buy('NSE:NOSUCH', 1)"), "--home", str(tmp_path))
    said = " ".join(err.split())
    assert code == 1
    assert "no order passed: buyer-1 was refused, " in said
    assert "more for the same reason" in said
    assert (out + err).count("is not in the instrument master") == 1


def test_a_strategy_that_exits_is_stopped_and_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = shown(capsys, written(tmp_path, "raise SystemExit(3)"), "--home", str(tmp_path))
    assert code == 1
    assert "on_tick failed at buyer.py line 8: SystemExit: 3" in " ".join(err.split())
    assert "net profit" in out


def test_the_report_is_one_file_that_loads_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, err = shown(capsys, CROSS, "--home", str(tmp_path), "--report", str(tmp_path / "out.html"))
    page = (tmp_path / "out.html").read_text()
    assert code == 0
    assert "net profit" in out
    assert "out.html" in err
    assert "<script src=" not in page
    assert "moving_average_cross" in page


def test_a_strategy_that_raises_is_stopped_and_the_rest_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = "desk.buy(tick.symbol, 75, order_type='LIMIT', price=20000)\n        if tick.at.minute > 20: 1 / 0"
    code, out, err = shown(capsys, written(tmp_path, text), "--home", str(tmp_path))
    assert code == 1
    assert "cancelled" in out
    assert "on_tick failed at buyer.py line 9: ZeroDivisionError: division by zero" in " ".join(err.split())


@pytest.mark.parametrize(
    ("on_tick", "words"),
    [
        ("desk.buy('infy', 75)", "symbol: must be an exchange and a tradingsymbol"),
        ("desk.buy(tick.symbol, 0)", "quantity: "),
        ("desk.cancel('nobody')", "no order nobody"),
    ],
)
def test_an_order_that_cannot_be_expressed_names_the_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, on_tick: str, words: str
) -> None:
    code, _, err = shown(capsys, written(tmp_path, on_tick), "--home", str(tmp_path))
    assert code == 1
    assert words in " ".join(err.split())


def test_a_strategy_that_never_stops_asking_is_stopped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = BUYER.format(on_tick="desk.buy('NFO:NIFTY25MAYFUT', 1)") + "        desk.buy('NFO:NIFTY25MAYFUT', 1)\n"
    (tmp_path / "endless.py").write_text(text.replace("self.told.append(order.status)", "pass"))
    code, _, err = shown(capsys, str(tmp_path / "endless.py"), "--home", str(tmp_path))
    assert code == 1
    assert "asked for" in err


def test_what_a_strategy_prints_is_not_in_the_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = written(tmp_path, "print('at', tick.last_price)")
    Path(file).write_text("print('loaded')\n" + Path(file).read_text())
    code, out, err = shown(capsys, file, "--home", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["strategy"] == "buyer"
    assert err.startswith("loaded\nat ")
    _, out, err = shown(capsys, file, "--home", str(tmp_path))
    assert out.startswith("loaded\nat ")
    assert err == ""


@pytest.mark.parametrize(
    ("key", "value", "instead"),
    [
        ("ledger.realized_by", "fifo", "average, not fifo"),
        ("market.feed", "synthetic", "the shipped day"),
    ],
)
def test_a_setting_that_it_does_not_follow_is_named(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    value: str,
    instead: str,
) -> None:
    monkeypatch.setenv("DURABLE_ORDERS_" + key.replace(".", "__").upper(), value)
    code, out, err = shown(capsys, written(tmp_path, "pass"), "--home", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out)["orders"] == 0
    assert err == f"note: a backtest leaves out: {key} ({instead})\n"


def test_settings_that_it_follows_need_no_word(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, _, err = shown(capsys, written(tmp_path, "pass"), "--home", str(tmp_path))
    assert err == ""


DAY = "date,open,high,low,close,volume,symbol\n"


def candle(at: str, *prices: float, symbol: str = "NSE:INFY") -> str:
    return f"{at}:00+05:30,{','.join(map(str, prices))},1000,{symbol}\n"


def test_mis_does_not_stay_over_night(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = ("2025-04-28", "2025-04-29")
    hours = [f"{day} {clock}" for day in days for clock in ("09:15", "15:15", "15:20")]
    (tmp_path / "a.csv").write_text(DAY + "".join(candle(at, 100, 101, 99, 100) for at in hours))
    file = written(tmp_path, "if not self.told: desk.buy(tick.symbol, 10); self.told.append(1)")
    words = (file, "--ticks", str(tmp_path / "a.csv"), "--home", str(tmp_path))

    bought, closed = figures(capsys, *words)["trades"]

    assert (bought["at"][:10], closed["at"][:16]) == ("2025-04-28", "2025-04-28T15:20")
    assert (closed["position"], closed["reason"]) == (0, "RMS: intraday square-off")
    monkeypatch.setenv("DURABLE_ORDERS_EXECUTION__PAPER__SQUARE_OFF_ENABLED", "false")
    assert len(figures(capsys, *words)["trades"]) == 1


def test_a_stop_slips_from_its_trigger(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE_ORDERS_EXECUTION__PAPER__SLIPPAGE_ENABLED", "false")
    (tmp_path / "ticks.csv").write_text(
        "timestamp,last_price,symbol\n"
        "2025-04-29T09:15:00+05:30,1000,NSE:INFY\n"
        "2025-04-29T09:16:00+05:30,1100,NSE:INFY\n"
        "2025-04-29T09:17:00+05:30,1100.5,NSE:INFY\n"
    )
    file = written(
        tmp_path,
        "if not self.told: desk.buy(tick.symbol, 10, order_type='SL-M', trigger_price='1100'); self.told.append(1)",
    )

    told = figures(capsys, file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))

    [bought] = told["trades"]
    assert (bought["average_price"], bought["arrival_price"], bought["slippage"]) == ("1100.00", "1100.00", "0.00")


def test_what_the_files_leave_out_is_told_and_skipped_rows_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = candle("2025-04-29 09:15", 100, 101, 99, 100) + candle("2025-04-29 09:20", 100, 101, 99, 100)
    (tmp_path / "a.csv").write_text(DAY + rows + candle("2025-04-29 09:25", 100, 90, 99, 100))
    (tmp_path / "b.csv").write_text(
        (DAY + rows).replace("volume,", "volume,rsi,").replace(",1000,", ",1000,55,").replace("INFY", "TCS")
    )
    words = (written(tmp_path, "pass"), "--ticks", str(tmp_path / "a.csv"), "--ticks", str(tmp_path / "b.csv"))

    code, _, err = shown(capsys, *words, "--home", str(tmp_path))
    assert (code, err) == (1, "error: a.csv: line 4: high: must not be below the low of 99, was '90'\n")

    told = figures(capsys, *words, "--skip-bad", "--home", str(tmp_path))
    assert (told["ticks"], told["notes"]) == (
        80,
        [
            "rows skipped that cannot be: 1 (1 high: must not be below the low)",
            "the first of them: a.csv: line 4: high: must not be below the low of 99, was '90'",
            "columns that are not needed were left out: rsi",
        ],
    )


def test_an_unknown_symbol_is_an_error_before_anything_is_played(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [candle(f"2025-04-29 09:{minute}", 100, 101, 99, 100, symbol="NSE:WIPRO") for minute in (15, 20)]
    (tmp_path / "a.csv").write_text(DAY + "".join(rows))
    words = (written(tmp_path, "desk.buy(tick.symbol, 1)"), "--ticks", str(tmp_path / "a.csv"), "--home", str(tmp_path))

    code, out, err = shown(capsys, *words)

    assert (code, out) == (1, "")
    assert "a.csv: line 2: symbol: must be in the instrument master" in err
    assert "--tick would say what no master has of it" in err
    assert figures(capsys, *words, "--tick", "0.05")["by_status"] == {"FILLED": 40}


def test_all_refused_for_several_reasons_is_said_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text("timestamp,last_price,symbol\n2025-04-29T09:15:00+05:30,1000,NSE:INFY\n")
    both = "[desk.buy(tick.symbol, 1, order_type='LIMIT', price='1000.03'), desk.buy('NSE:NOBODY', 1)]"

    code, _, err = shown(
        capsys, written(tmp_path, both), "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path)
    )

    assert code == 1
    assert "buyer: no order passed: buyer-1 was refused, TICK_SIZE" in err
    assert "all 2 were refused: 1 TICK_SIZE, 1 UNKNOWN_SYMBOL" in err


def test_a_fault_late_in_a_file_says_how_far_it_came(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What was played until then is reported; nothing of what comes after it."""
    begins = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
    rows = [f"{begins + timedelta(seconds=5 * n)},1000,NSE:INFY" for n in range(3000)]
    rows[2500] = rows[2500].replace("1000", "-1")
    (tmp_path / "ticks.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    file = written(tmp_path, "if tick.at.hour < 10 and not self.told: desk.buy(tick.symbol, 75)")
    words = (file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))

    code, out, err = shown(capsys, *words, "--json")

    told = json.loads(out)
    assert code == 1
    assert "ticks.csv: line 2502: NSE:INFY: last_price: must be above 0, was -1; played until 29 Apr 2025" in err
    assert told["failure"] in err
    assert told["by_status"] == {"FILLED": 1}
    assert 1000 < told["ticks"] < 2500

    code, _, err = shown(capsys, *words, "--skip-bad")
    assert code == 0
    assert "rows skipped that cannot be: 1" in err


def test_the_past_is_read_again_for_a_strategy_that_asks_for_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """First asked for in the middle, and again at the end: bars of all that was shown until then."""
    begins = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
    rows = [f"{begins + timedelta(seconds=5 * n)},{1000 + n},NSE:INFY" for n in range(2400)]
    (tmp_path / "ticks.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    source = (
        "n = int(tick.last_price) - 1000",
        "if n in (1205, 2399): print(n, [(b.at.minute, int(b.close)) for b in desk.history(tick.symbol, 'minute', 2)])",
    )
    file = written(tmp_path, "\n        ".join(source))

    _, out, _ = shown(capsys, file, "--ticks", str(tmp_path / "ticks.csv"), "--home", str(tmp_path))

    assert "1205 [(53, 2187), (54, 2199)]" in out
    assert "2399 [(32, 3375), (33, 3387)]" in out
