"""The older journal: its columns, its rows, what is dropped, and what a crash or a full disk leaves."""

import csv
import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from durable_orders.trading.errors import FilesUnusable
from durable_orders.trading.ist import IST
from durable_orders.v2 import JournalStateStore, fifo_pair
from tests.durable_orders.v2.disk import full_at

COLUMNS = (
    "timestamp,order_id,symbol,tradingsymbol,transaction_type,side,quantity,filled_quantity,price,average_price,status,"
    "exchange,product,variety,parent_order_id,tag,tf,profile,strategy,parent_signal_timestamp,underlying,extra,pnl,"
    "realized_pnl,r,r_multiple,trade_id,signal_id,entry_price,exit_price,realized_pnl_pct,exit_reason,exit_detail"
)
AT = "2026-11-20T05:00:00+00:00"


def row(order_id: str = "1", status: str = "PLACED", **more: Any) -> dict[str, Any]:
    """As the older engine wrote its rows."""
    return {
        "order_id": order_id,
        "timestamp": AT,
        "symbol": "NIFTY24DECFUT",
        "strategy": "s",
        "side": "BUY",
        "qty": 50,
        "order_type": "LIMIT",
        "status": status,
        "avg_price": None,
        "message": None,
        "mode": "live",
        "reason": "cross",
    } | more


@pytest.fixture
def journal(tmp_path: Path) -> JournalStateStore:
    return JournalStateStore(artifacts_dir=tmp_path, mode="PAPER")


def read(journal: JournalStateStore) -> list[dict[str, str]]:
    path = journal.latest_journal_path_for_today()
    assert path is not None
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_where_everything_is(journal: JournalStateStore, tmp_path: Path) -> None:
    assert journal.latest_journal_path_for_today() is None
    assert journal.append_orders([]) is None
    path = journal.append_orders([row()])
    day = datetime.now(IST).date().isoformat()
    assert path == journal.latest_journal_path_for_today() == tmp_path / "journal" / day / "orders.csv"
    assert json.loads((tmp_path / "journal" / "index.json").read_text()) == {"order_ids": ["1"]}


def test_the_columns_and_what_follows_them(journal: JournalStateStore) -> None:
    path = journal.append_orders([row()])
    assert path is not None
    assert path.read_text().splitlines() == [
        f"{COLUMNS},qty,order_type,avg_price,message,mode,reason",
        f"{AT},1,NIFTY24DECFUT,NIFTY24DECFUT,BUY,BUY,50,0,,,PLACED" + ",,,,,,,,s" + "," * 14 + ",50,LIMIT,,,live,cross",
    ]


def test_a_fill_after_a_placement_is_a_row_and_the_same_again_is_none(journal: JournalStateStore) -> None:
    assert journal.append_orders([row()])
    assert journal.append_orders([row("1", "FILLED", avg_price=100.5)])
    assert journal.append_orders([row(), row("1", "FILLED", avg_price="100.50")]) is None
    assert journal.append_orders([row("2"), row("2")])
    assert [(line["order_id"], line["status"], line["filled_quantity"]) for line in read(journal)] == [
        ("1", "PLACED", "0"),
        ("1", "FILLED", "50"),
        ("2", "PLACED", "0"),
    ]


def test_each_part_of_a_fill_is_a_row(journal: JournalStateStore) -> None:
    for filled in (20, 20, 35):
        journal.append_orders([row("1", "PARTIAL", filled_qty=filled, avg_price=100.0)])
    assert [line["filled_quantity"] for line in read(journal)] == ["20", "35"]


def test_rows_without_an_id_are_all_kept(journal: JournalStateStore) -> None:
    refused = row("", "REJECTED", message="Guardian blocked: ...")
    assert journal.append_orders([refused, refused])
    assert len(read(journal)) == 2


def test_what_it_dropped_before_it_drops_after_a_restart(journal: JournalStateStore, tmp_path: Path) -> None:
    journal.append_orders([row()])
    (tmp_path / "journal" / "index.json").unlink()
    assert JournalStateStore(artifacts_dir=tmp_path).append_orders([row()]) is None
    (tmp_path / "journal" / "index.json").write_text('{"order_i')
    assert JournalStateStore(artifacts_dir=tmp_path).append_orders([row(), row("2")])
    assert [line["order_id"] for line in read(journal)] == ["1", "2"]


def test_a_row_of_long_ago_is_known_as_well(journal: JournalStateStore, tmp_path: Path) -> None:
    journal.append_orders([row()])
    today = journal.latest_journal_path_for_today()
    assert today is not None
    for day in range(10, 0, -1):
        old = today.parent.with_name(f"2020-01-{day:02}")
        today.parent.rename(old)
        assert journal.append_orders([row(f"of-{day}")])
    again = JournalStateStore(artifacts_dir=tmp_path)
    assert again.append_orders([row()]) is None
    assert again.append_orders([row("1", "FILLED", avg_price=100.0)])


def test_new_columns_widen_the_file_and_lose_nothing(journal: JournalStateStore) -> None:
    journal.append_orders([row(message="one, two\nthree")])
    journal.append_orders([row("2", colour="red")])
    journal.append_orders([row("3")])
    lines = read(journal)
    assert [line["colour"] for line in lines] == ["", "red", ""]
    assert [line["message"] for line in lines] == ["one, two three", "", ""]
    assert [line["order_id"] for line in lines] == ["1", "2", "3"]


def test_half_a_row_costs_no_other(journal: JournalStateStore) -> None:
    path = journal.append_orders([row("1", "FILLED", avg_price=100.0)])
    assert path is not None
    with path.open("a") as file:
        file.write(f"{AT},2,NIFTY24DECFUT,NIFTY24DECFUT,BUY,BUY,7")
    assert journal.append_orders([row("3", "FILLED", avg_price=101.0)])
    [position] = journal.rebuild_from_journal()["broker"]["positions"]
    assert position["quantity"] == 100


def test_half_a_header_is_begun_anew(journal: JournalStateStore) -> None:
    path = journal.append_orders([row()])
    assert path is not None
    path.write_text("timestamp,order_id,sym")
    assert journal.append_orders([row("2")])
    assert [line["order_id"] for line in read(journal)] == ["2"]


def test_a_full_disk_leaves_whole_rows_and_the_row_can_come_again(journal: JournalStateStore) -> None:
    path = journal.append_orders([row()])
    assert path is not None
    before = path.read_bytes()
    big = row("2", message="x" * 20_000)
    with full_at(4096), pytest.raises(FilesUnusable, match="cannot be written"):
        journal.append_orders([big])
    assert path.read_bytes() == before
    assert journal.append_orders([big])
    assert [line["order_id"] for line in read(journal)] == ["1", "2"]


def test_two_journals_on_the_same_files_write_each_row_once(journal: JournalStateStore, tmp_path: Path) -> None:
    """As two processes have them: each with its own memory, and the kernel's lock between them."""

    def write(own: JournalStateStore) -> None:
        for number in range(30):
            own.append_orders([row(str(number))])

    writers = [threading.Thread(target=write, args=(JournalStateStore(artifacts_dir=tmp_path),)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(int(line["order_id"]) for line in read(journal)) == list(range(30))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"orderid": 7}, {"order_id": 7}),
        ({"id": 7}, {"order_id": 7}),
        ({"kite_order_id": 7}, {"order_id": 7}),
        ({"instrument": "X"}, {"symbol": "X", "tradingsymbol": "X"}),
        ({"tradingsymbol": "X"}, {"symbol": "X", "tradingsymbol": "X"}),
        ({"side": "SELL", "transaction_type": "BUY"}, {"side": "BUY", "transaction_type": "BUY"}),
        ({"qty": 5, "status": "complete"}, {"quantity": 5, "filled_quantity": 5, "status": "COMPLETE"}),
        ({"qty": 5, "filled_qty": 0, "status": "OPEN"}, {"quantity": 5, "filled_quantity": 0}),
        ({"qty": 5, "filled_quantity": 2, "status": "PARTIAL"}, {"quantity": 5, "filled_quantity": 2}),
        ({"qty": 5, "price": 9.5, "status": "FILLED"}, {"average_price": 9.5}),
        ({"qty": 5, "price": 9.5, "status": "PLACED"}, {"average_price": None, "price": 9.5}),
        ({"exchange_timestamp": AT}, {"timestamp": AT}),
    ],
)
def test_the_names_that_a_row_may_use(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    normal = JournalStateStore.normalize_order(given)
    assert {name: normal[name] for name in wanted} == wanted


def trade(side: str, quantity: int, price: float, symbol: str = "X") -> dict[str, Any]:
    return {"symbol": symbol, "side": side, "quantity": quantity, "price": price}


@pytest.mark.parametrize(
    ("trades", "open_lots", "realized"),
    [
        ([], [], 0.0),
        ([trade("BUY", 10, 100), trade("BUY", 10, 110), trade("S", 15, 120)], [trade("BUY", 5, 110)], 250.0),
        ([trade("SHORT", 10, 100), trade("COVER", 4, 90)], [trade("SELL", 6, 100)], 40.0),
        ([trade("BUY", 5, 100), trade("SELL", 8, 101)], [trade("SELL", 3, 101)], 5.0),
        ([trade("BUY", 1, 0.1), trade("BUY", 2, 0.1), trade("SELL", 3, 0.3)], [], 0.6),
        ([trade("B", 1, 10), trade("EXIT SHORT", 1, 10, "Y")], [trade("BUY", 1, 10), trade("BUY", 1, 10, "Y")], 0.0),
    ],
)
def test_first_in_first_out(trades: list[dict[str, Any]], open_lots: list[dict[str, Any]], realized: float) -> None:
    assert fifo_pair(trades) == (open_lots, realized)


def test_a_trade_without_a_side_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="side: must be a word for BUY or SELL, was 'HOLD'"):
        fifo_pair([trade("HOLD", 1, 1.0)])


def test_the_checkpoint_that_a_journal_gives(journal: JournalStateStore) -> None:
    journal.append_orders([row()])
    journal.append_orders([row("1", "PARTIAL", filled_qty=20, avg_price=100.0)])
    journal.append_orders([row("1", "FILLED", filled_qty=50, avg_price=106.0)])
    journal.append_orders([row("2", "FILLED", side="SELL", qty=30, avg_price=120.0)])
    journal.append_orders([row("3", "REJECTED")])
    state = journal.rebuild_from_journal()
    [position] = state["broker"]["positions"]
    assert position == {
        "symbol": "NIFTY24DECFUT",
        "quantity": 20,
        "avg_price": 110.0,
        "realized_pnl": 500.0,
        "last_price": 110.0,
        "unrealized_pnl": 0.0,
    }
    assert [(order["order_id"], order["status"]) for order in state["broker"]["orders"]] == [
        ("1", "FILLED"),
        ("2", "FILLED"),
        ("3", "REJECTED"),
    ]
    assert state["meta"] == {
        "mode": "paper",
        "total_realized_pnl": 500.0,
        "total_unrealized_pnl": 0.0,
        "total_notional": 2200.0,
        "equity": 100_500.0,
        "paper_capital": 100_000.0,
    }


def test_a_journal_of_single_trades_adds_up(journal: JournalStateStore) -> None:
    """As `durable-orders journal` writes it: a row for each trade."""
    fills = [row("1", "FILLED", filled_quantity=25, average_price=100.0, trade_id=trade_id) for trade_id in "ab"]
    journal.append_orders(fills)
    journal.append_orders(fills[:1])
    [position] = journal.rebuild_from_journal()["broker"]["positions"]
    assert position["quantity"] == 50


def test_earlier_days_count_where_they_are_wanted(journal: JournalStateStore) -> None:
    path = journal.append_orders([row("1", "FILLED", avg_price=100.0)])
    assert path is not None
    path.parent.rename(path.parent.with_name("2020-01-01"))
    assert journal.append_orders([row("1", "FILLED", avg_price=100.0)]) is None
    assert journal.rebuild_from_journal()["broker"]["positions"] == []
    assert len(journal.rebuild_from_journal(today_only=False)["broker"]["positions"]) == 1


def test_a_checkpoint_and_its_copy(journal: JournalStateStore, tmp_path: Path) -> None:
    assert journal.load_latest_checkpoint() is None
    journal.save_checkpoint({"meta": {"paper_capital": 500_000.0}})
    latest, copy = (tmp_path / "checkpoints" / f"paper_state{name}.json" for name in ("_latest", ""))
    assert latest.read_bytes() == copy.read_bytes()
    state = journal.load_latest_checkpoint()
    assert state is not None
    assert state["meta"] == {"paper_capital": 500_000.0}
    assert journal.rebuild_from_journal()["meta"]["equity"] == 500_000.0


@pytest.mark.parametrize("quotes", [{"X": 12.0}, {"NSE:X": {"last_price": 12.0}}])
def test_positions_at_todays_prices(journal: JournalStateStore, quotes: dict[str, Any], tmp_path: Path) -> None:
    journal.append_orders([row("1", "FILLED", symbol="X", qty=10, avg_price=10.0)])
    state = journal.compute_unrealized(journal.rebuild_from_journal(), quotes)
    assert state["broker"]["positions"][0]["unrealized_pnl"] == 20.0
    assert state["meta"]["equity"] == 100_020.0
    for _ in range(2):
        file = journal.append_equity_snapshot(state)
    lines = list(csv.DictReader(file.read_text().splitlines()))
    assert len(lines) == 2
    del lines[0]["timestamp"]
    assert lines[0] == {
        "equity": "100020.0",
        "paper_capital": "100000.0",
        "total_realized_pnl": "0.0",
        "total_unrealized_pnl": "20.0",
    }
    snapshot = sorted((tmp_path / "snapshots").glob("positions_*_*.json"))[0]
    assert json.loads(snapshot.read_text()) == state["broker"]["positions"]
