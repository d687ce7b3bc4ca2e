"""Execution quality in lines and groups, and as the command prints it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.cli import run
from durable_orders.cli.quality_page import page
from durable_orders.execution_quality import By, grouped, lines
from durable_orders.trading.ledger.executions import Executed
from durable_orders.trading.market.ticks import Tick
from durable_orders.trading.orders.order import OrderType, Side, Status
from durable_orders.trading.quality.measures import Execution, Moments, Prices, Traded
from durable_orders.trading.quality.tape import Tape
from tests.durable_orders.test_workbook import sheets
from tests.ledgers import open_empty_ledger
from tests.trading.guardian.conftest import admitted, an_order, guardian_over, show_tick

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
