"""The older state store: its files, and what a crash or a full disk leaves of them."""

import json
import re
import threading
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from durable_orders.trading.errors import FilesUnusable
from durable_orders.v2 import StateStore
from tests.durable_orders.v2.disk import full_at


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(checkpoint_path=tmp_path / "a" / "state.json", log_path=tmp_path / "b" / "events.jsonl")


def test_its_default_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = StateStore()
    store.save({})
    store.append_log({})
    store.save_open_trades([{"symbol": "NIFTY"}])
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json*")) == [
        "artifacts/checkpoints/runtime_state_latest.json",
        "artifacts/logs/events.jsonl",
        "artifacts/runtime/open_trades.json",
    ]
    assert store.load_open_trades() == [{"symbol": "NIFTY"}]


def test_before_the_first_state(store: StateStore) -> None:
    assert store.load_checkpoint() is None
    assert store.load() == {}
    assert store.tail_logs() == []


def test_both_pairs_of_names_mean_the_same_file(store: StateStore) -> None:
    given = {"mode": "PAPER", "equity": {"realized_pnl": Decimal("-12.50")}}
    store.save(given)
    assert given == {"mode": "PAPER", "equity": {"realized_pnl": Decimal("-12.50")}}
    state = store.load_checkpoint()
    assert state == store.load()
    assert state is not None
    assert state["equity"] == {"realized_pnl": -12.5}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", state["ts"])
    assert store.checkpoint_path.read_text().startswith('{\n  "mode"')
    store.save_checkpoint({"mode": "LIVE"})
    assert store.load()["mode"] == "LIVE"


@pytest.mark.parametrize("content", ["", '{"mode": "PA', "[]"])
def test_a_damaged_state_is_not_an_empty_one(store: StateStore, content: str) -> None:
    store.save({})
    store.checkpoint_path.write_text(content)
    with pytest.raises(FilesUnusable, match=re.escape(str(store.checkpoint_path))):
        store.load()


def test_a_full_disk_leaves_the_state_that_was_there(store: StateStore) -> None:
    store.save({"risk": {"trading_halted": True}})
    with full_at(4096), pytest.raises(FilesUnusable, match="cannot be written"):
        store.save({"positions": ["x" * 100] * 1000})
    assert store.load()["risk"] == {"trading_halted": True}
    assert [path.name for path in store.checkpoint_path.parent.iterdir()] == ["state.json"]


def test_a_full_disk_leaves_the_log_with_whole_lines(store: StateStore) -> None:
    store.append_log({"message": "first"})
    with full_at(4096), pytest.raises(FilesUnusable, match="cannot be written"):
        store.append_log({"message": "x" * 8000})
    store.append_log({"message": "third"})
    assert [event["message"] for event in store.tail_logs()] == ["first", "third"]


def test_the_log(store: StateStore) -> None:
    for number in range(5):
        store.append_log({"number": number, "at": datetime(2026, 1, 1)})  # noqa: DTZ001
    assert [event["number"] for event in store.tail_logs(limit=2)] == [3, 4]
    assert store.tail_logs(limit=0) == []
    assert store.tail_logs()[0].keys() == {"ts", "number", "at"}


def test_a_line_that_a_crash_cut_off_costs_no_other(store: StateStore) -> None:
    store.append_log({"number": 1})
    with store.log_path.open("a") as file:
        file.write('{"number": 2, "mess')
    store.append_log({"number": 3})
    assert [event["number"] for event in store.tail_logs()] == [1, 3]


def test_many_threads_leave_a_whole_file(store: StateStore) -> None:
    def write(number: int) -> None:
        for _ in range(10):
            store.save({"writer": number, "fill": "x" * 2000})
            store.append_log({"writer": number})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.load()["writer"] in range(8)
    assert len(store.tail_logs()) == 80
    assert json.loads(store.checkpoint_path.read_text())["fill"] == "x" * 2000
