"""`durable-orders run`, as somebody at a terminal runs it."""

import signal
from pathlib import Path

import pytest

from durable_orders.trading.ledger.database import Database
from durable_orders.trading.ledger.reading import list_orders
from tests.conftest import any_port
from tests.durable_orders.program import OWN_PORTS, Program
from tests.durable_orders.running.stage import write_ticks

ONE_ORDER = """
import sys
from durable_orders.trading.strategies.strategy import Strategy

class OneOrder(Strategy):
    name = "{name}"

    def on_start(self, desk):
        for order in desk.open_orders():
            print("found", order.client_order_id, file=sys.stderr, flush=True)

    def on_tick(self, desk, tick):
        if not desk.open_orders() and not desk.position(tick.symbol).quantity:
            desk.buy(tick.symbol, {quantity}, order_type="LIMIT", price="{price}")

    def on_order(self, desk, order):
        print("heard", order.client_order_id, order.status, flush=True)
"""


def strategy(path: Path, name: str, quantity: int = 75, price: int = 20_000) -> str:
    file = path / f"{name}.py"
    file.write_text(ONE_ORDER.format(name=name, quantity=quantity, price=price))
    return str(file)


def test_it_joins_what_is_up_and_ctrl_c_leaves_its_orders(desk: Program, tmp_path: Path) -> None:
    file = strategy(tmp_path, "joins")
    with desk.started("run", file) as running:
        assert running.line("PLACED") == "heard joins-1 PLACED"
        answer = running.stop(signal.SIGINT)
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == "note: interrupted; open orders that go on with the next start: 1"
    assert "open           joins-1 goes on" in answer.out
    refused = desk("run", file, "--speed", "5")
    assert refused.code == 1
    assert "already up" in refused.error
    assert refused.error.endswith("ticks, symbol and speed are for a market of the run's own")
    assert desk.here("cancel", "joins-1").code == 0


def test_killed_it_finds_its_order_again_and_places_none_twice(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    file = strategy(tmp_path, "crashes", quantity=10, price=1400)
    ticks = ("--ticks", str(write_ticks(tmp_path / "ticks.csv")))
    with program.started("run", file, *ticks, *OWN_PORTS, "--speed", "0.5") as running:
        assert running.line("PLACED") == "heard crashes-1 PLACED"
        running.process.kill()
        running.process.wait()
    again = program("run", file, *ticks, *OWN_PORTS, "--speed", "1000", "--mode", "paper", "--json")
    assert again.code == 0
    assert "found crashes-1" in again.err
    assert (again.json["orders"], again.json["ended"]) == ({"EXPIRED": 1}, "the market has closed")
    assert "heard crashes-1 EXPIRED" in again.err, "what the strategy prints is not in the JSON"
    with Database(f"sqlite:///{tmp_path}/home/ledger.db") as database, database.read() as connection:
        assert [order.client_order_id for order in list_orders(connection)] == ["crashes-1"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nowhere.py",), "nowhere.py: no such file"),
        (("GOOD", "--mode", "live"), "execution.mode: is paper, and --mode live was given"),
        (("GOOD", "--live"), "execution.mode: is paper, and --live was given; live trading needs both"),
        (("GOOD", "--on-error", "hide"), "must be cancel, keep, flatten; was 'hide'"),
        (("GOOD", "--square-off", "noon"), "must be a time of day, as in 15:10; was 'noon'"),
        (("GOOD", "--square-off", "15.10"), "must be a time of day, as in 15:10; was '15.10'"),
        (("GOOD", "--ticks", "nowhere.csv"), "nowhere.csv"),
        (("GOOD", "--engines"), "sound.py: on_start: must be an `async def`"),
        (("ENGINE", "--engines", "--square-off", "16:00"), "must be within the market's session, was 16:00"),
        (("ENGINE",), "engine.py: on_start: is an `async def`"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: tuple[str, ...], error: str, tmp_path: Path) -> None:
    file = strategy(tmp_path, "sound")
    program = Program(tmp_path / "home")
    engine = tmp_path / "engine.py"
    engine.write_text("from durable_orders.engines import EngineStrategy\n\nclass Engine(EngineStrategy): ...\n")
    files = {"GOOD": file, "ENGINE": str(engine)}
    answer = program.here("run", *(files.get(word, word) for word in words), "--port", str(any_port()))
    assert answer.code in (1, 2)
    assert error in answer.error
