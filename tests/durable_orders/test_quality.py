"""Execution quality in lines and groups, and as the command prints it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.quality import approve_all
from durable_orders.cli import run
from durable_orders.cli.journal_output import PAGE
from durable_orders.cli.quality_page import page
from durable_orders.drift import drift
from durable_orders.execution_quality import By, grouped, lines
from durable_orders.trading.ledger.executions import Executed, executions
from durable_orders.trading.ledger.migrate import open_database
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderType, Side, Status
from durable_orders.trading.quality.measures import Execution, Moments, Prices, Traded
from durable_orders.trading.quality.tape import Tape
from tests.durable_orders.test_workbook import sheets
from tests.ledgers import open_empty_ledger
from tests.trading.guardian.conftest import admitted, an_order, guardian_over, show_tick
from tests.trading.ledger.many import fill_up

AT = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
D = Decimal


def bought(name: str, quantity: int, price: str, **changed: object) -> Executed:
    """Against an arrival of 100, at 10:30 IST."""
    execution = Execution(
        side=Side.BUY,
        quantity=quantity,
        fills=(Traded(quantity, D(price), AT + timedelta(seconds=1)),),
        moments=Moments(AT, AT, AT + timedelta(milliseconds=8)),
        prices=Prices(arrival=D(100)),
        charges=D(1),
        is_over=True,
    )
    known = Executed(name, name, "s", "NSE:INFY", OrderType.LIMIT, Status.FILLED, execution)
    return replace(known, **changed)  # type: ignore[arg-type]


def test_groups_weigh_by_turnover_and_add_rupees_up() -> None:
    """10 bps of 30,030 and 30 bps of 10,030: (10 x 30,030 + 30 x 10,030) / 40,060 = 15.01."""
    found = list(lines([bought("a", 300, "100.1"), bought("b", 100, "100.3")]))
    (group,) = grouped(found, By.STRATEGY)
    assert (group["strategy"], group["orders"], group["slippage_bps"]) == ("s", 2, D("15.01"))
    assert (group["slippage_rupees"], group["charges_rupees"]) == (D("60.00"), D("2.00"))
    assert (group["markout_60s_bps"], group["median_intent_to_sent_ms"]) == (None, 8)


def test_a_plan_is_one_line_and_orders_of_none_are_left_out() -> None:
    found = lines([bought("p1.entry", 300, "100.1"), bought("p1.exit-1-1", 100, "100.3"), bought("alone", 1, "100")])
    (group,) = grouped(found, By.PLAN)
    assert (group["plan"], group["orders"], group["slippage_bps"]) == ("p1", 2, D("15.01"))


def test_drift_is_how_much_worse_the_account_traded_than_the_backtest() -> None:
    """100.30 against 100.10, of the 100 that both have. What was sold is the backtest's alone."""

    def played(side: Side, quantity: int, price: str) -> Any:
        fills = (SimpleNamespace(quantity=quantity, price=D(price)),)
        return SimpleNamespace(symbol="NSE:INFY", side=side, fills=fills, arrival_price=D(100))

    found = drift([bought("a", 100, "100.3")], [played(Side.BUY, 200, "100.1"), played(Side.SELL, 200, "101")])
    own, other = found
    assert (own["side"], own["quantity"], own["backtest_quantity"]) == ("BUY", 100, 200)
    assert (own["drift_bps"], own["drift_rupees"]) == (D("19.98"), D("20.00"))
    assert (own["slippage_bps"], own["backtest_slippage_bps"]) == (D("30.00"), D("10.00"))
    assert (other["orders"], other["backtest_orders"], other["drift_bps"]) == (0, 1, None)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.SYMBOL, ["NSE:INFY", "NSE:TCS"]),
        (By.HOUR, ["10:00", "11:00"]),
        (By.TYPE, ["LIMIT", "MARKET"]),
        (By.SIZE, ["below 50,000", "below 5 lakh"]),
    ],
)
def test_orders_are_grouped_by_what_they_are(by: By, names: list[str]) -> None:
    later = replace(bought("b", 4000, "100").execution, moments=Moments(AT + timedelta(hours=1)))
    other = bought("b", 1, "100", symbol="NSE:TCS", order_type=OrderType.MARKET, execution=later)
    assert [group[by.value] for group in grouped(lines([bought("a", 1, "100"), other]), by)] == names


def test_the_tape_adds_what_only_the_market_tells() -> None:
    shown = [(0, "100"), (1, "100.1"), (61, "100.2"), (100, "100.5")]
    tape = Tape(Tick("NSE:INFY", D(price), AT + timedelta(seconds=at), 10 * at) for at, price in shown)
    (line,) = lines([bought("a", 100, "100.1")], tape)
    assert (line["decision_price"], line["slippage_vwap_bps"], line["slippage_close_bps"]) == (D(100), 0, D("-39.80"))
    assert (line["markout_60s_bps"], line["markout_300s_bps"]) == (D("9.99"), None)


def test_the_page_needs_nothing_else() -> None:
    found = list(lines([bought("<b>", 300, "100.1")]))
    text = page(found, ("client_order_id", "slippage_bps"), found)
    assert "&lt;b&gt;" in text
    assert '<td class="n">10.00</td>' in text
    assert 'src="http' not in text


def test_no_home_and_ticks_that_are_none_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quality", "--home", str(tmp_path / "none"), "--json"]) == 1
    assert "there is none" in capsys.readouterr().err
    assert run(["quality", "--format", "html", "--json"]) == 2


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With one approved order, which was checked while the future stood at 24,300."""
    directory = tmp_path / "home"
    directory.mkdir()
    with open_empty_ledger(directory / "ledger.db") as database:
        show_tick(database)
        guardian = guardian_over(database, {})
        admitted(guardian, order := an_order(client_order_id="one"))
        guardian.redeem(order)
    return directory


def test_the_command_tells_it_as_json_as_a_table_and_as_a_page(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["quality", "--home", str(home)]
    assert run([*words, "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["client_order_id"], line["arrival_price"], line["intent_to_sent_ms"]) == ("one", "24300.00", 0)
    assert (line["average_price"], line["slippage_bps"], line["markout_60s_bps"]) == (None, None, None)
    assert run([*words, "--by", "type", "--json"]) == 0
    assert [group["type"] for group in json.loads(capsys.readouterr().out)] == ["MARKET"]
    assert run(words) == 0
    assert "24300.00" in capsys.readouterr().out
    file = home / "quality.html"
    assert run([*words, "--output", str(file)]) == 0
    assert "<td>one</td>" in file.read_text()
    book = home / "quality.xlsx"
    assert run([*words, "--output", str(book)]) == 0
    header, row = sheets(book.read_bytes())["quality"]
    assert dict(zip(header, row, strict=False))["client_order_id"] == "one"
    assert header[: len(line)] == list(line)
    assert run([*words, "--format", "xlsx"]) == 2
    assert run([*words, "--date", "2020-01-01"]) == 0
    assert "No order was approved in that time." in capsys.readouterr().out


STRATEGY = """
from durable_orders import Strategy
class Once(Strategy):
    symbols = ("NFO:NIFTY25MAYFUT",)
    def on_start(self, desk):
        self.is_in = False
    def on_tick(self, desk, tick):
        if not self.is_in:
            self.is_in = True
            desk.buy(tick.symbol, 75, product="NRML")
"""


def test_the_command_sets_the_account_beside_a_backtest_of_the_same_ticks(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (strategy := tmp_path / "once.py").write_text(STRATEGY)
    (ticks := tmp_path / "ticks.csv").write_text(
        "timestamp,last_price,symbol\n"
        "2025-05-02 10:00:00+05:30,24300,NFO:NIFTY25MAYFUT\n2025-05-02 10:00:01+05:30,24301,NFO:NIFTY25MAYFUT\n"
    )
    words = ["quality", "--home", str(home), "--drift", str(strategy)]
    assert run([*words, "--ticks", str(ticks), "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["symbol"], line["side"], line["orders"], line["backtest_orders"]) == ("NFO:NIFTY25MAYFUT", "BUY", 0, 1)
    assert (line["backtest_quantity"], line["average_price"], line["drift_bps"]) == (75, None, None)
    assert run([*words, "--ticks", str(ticks), "--output", str(page := tmp_path / "drift.html")]) == 0
    assert "NFO:NIFTY25MAYFUT" in page.read_text()
    assert run(words) == 2
    assert "needs the ticks of those days" in capsys.readouterr().err
    assert run([*words, "--ticks", str(ticks), "--by", "hour"]) == 2
    assert run(["quality", "--home", str(home), "--set", "lots=2"]) == 2


def test_lines_are_told_as_they_are_read(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many: in every format each order is there once, and columns stand below each other."""
    with open_database(f"sqlite:///{home}/ledger.db") as database:
        fill_up(database, 1500)
        approve_all(database)
        with database.read() as connection:
            named = [each.client_order_id for each in executions(connection, "paper")]
    words = ["quality", "--home", str(home)]
    assert run([*words, "--json"]) == 0
    assert [line["client_order_id"] for line in json.loads(capsys.readouterr().out)] == named
    assert run(words) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == named
    assert {row.index(":") - len("NSE") for row in rows[:PAGE]} == {header.index("symbol")}
    assert run([*words, "--output", str(text := tmp_path / "quality.txt")]) == 0
    assert [row.split("\t")[0] for row in text.read_text().splitlines()[1:]] == named
    assert run([*words, "--output", str(book := tmp_path / "quality.xlsx")]) == 0
    assert len(sheets(book.read_bytes())["quality"]) == len(named) + 1
    assert f"{book} has {len(named)} lines" in capsys.readouterr().err
