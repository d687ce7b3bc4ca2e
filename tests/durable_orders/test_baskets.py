"""`basket FILE`, from the file to the JSON."""

import asyncio
import json
from pathlib import Path

import pytest

from durable_orders import Orders, PlanView
from durable_orders.cli.baskets import read_basket
from durable_orders.trading.errors import InvalidOrder
from durable_orders.trading.plans.line_terms import basket_of
from tests.durable_orders.conftest import FAR_ABOVE, FAR_BELOW, SYMBOL
from tests.durable_orders.program import Program

CSV = "symbol,side,quantity,order_type,price,product,step\nNSE:INFY,BUY,10,LIMIT,1500.5,MIS,\nNSE:SBIN,SELL,20,,,MIS,\n"
OWN = {"account": "paper", "mode": "paper", "plan_id": "p1"}


def written(folder: Path, text: str, name: str = "basket.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_file_of_each_kind_is_the_same_basket(tmp_path: Path) -> None:
    legs = [
        {"symbol": "NSE:INFY", "side": "BUY", "quantity": 10, "order_type": "LIMIT", "price": 1500.5, "product": "MIS"},
        {"symbol": "NSE:SBIN", "side": "SELL", "quantity": 20, "product": "MIS"},
    ]
    of_csv = read_basket(written(tmp_path, CSV, "basket.csv"))
    of_json = read_basket(written(tmp_path, json.dumps(legs), "basket.json"))
    of_yaml = read_basket(written(tmp_path, json.dumps({"legs": legs}), "basket.yaml"))
    made = [basket_of(content | OWN).fingerprint() for content in (of_csv, of_json, of_yaml)]
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("legs: 5", "b.yaml", "b.yaml: legs: must be a list, each with symbol, side and quantity"),
        ("[}", "b.json", "b.json: cannot be read: "),
        ("legs:\n- {symbol: A, symbol: B}\n", "b.yaml", "symbol: stands there twice"),
        ("account: other\nlegs: []\n", "b.yaml", "b.yaml: account: is the home's own"),
        ("symbol,side,quantity\nNSE:INFY,BUY,ten\nNSE:SBIN,SELL,1\n", "b.csv", "leg 1: quantity: "),
        ("symbol,side,quantity\nNSE:INFY,BUY,१०\nNSE:SBIN,SELL,1\n", "b.csv", "leg 1: quantity: "),
        ("symbol,side,quantity\nNSE:INFY,BUY,1\nNSE:SBIN,HOLD,1\n", "b.csv", "leg 2: side: "),
        ("legs: [{symbol: NSE:INFY, side: BUY, quantity: 1, sid: 1}]", "b.yaml", "leg 1: sid: "),
        (
            "legs: [{symbol: NSE:INFY, side: BUY, quantity: 1, price: 5}]",
            "b.yaml",
            "leg 1: price: a MARKET order takes",
        ),
        ("legs: []\nwithin: 20", "b.yaml", "legs: "),
        ("legs: []\nwithn: 20", "b.yaml", "withn: "),
    ],
)
def test_a_file_that_is_no_basket_is_told_with_its_field(tmp_path: Path, text: str, name: str, said: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        basket_of(read_basket(written(tmp_path, text, name)) | OWN)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidOrder, match=r"none.yaml: cannot be read: No such file"):
        read_basket(tmp_path / "none.yaml")


def test_a_basket_that_is_not_had_whole_is_closed_and_shown(desk: Program, tmp_path: Path) -> None:
    """The second leg rests far from the market, and its time is over after two seconds."""
    own_id = "basket-in-half"
    far = {"order_type": "LIMIT", "price": FAR_ABOVE, "product": "MIS"}
    legs = [{"symbol": SYMBOL, "side": side, "quantity": 75} for side in ("BUY", "SELL")]
    file = written(tmp_path, json.dumps({"id": own_id, "legs": [legs[0], legs[1] | far], "within": 2}), "basket.json")
    answer = desk.here("basket", str(file), "--json")
    assert (answer.code, answer.json["orders"][0]["role"]) == (0, "leg 1")
    view = asyncio.run(ended(desk, own_id))
    assert (view.status, view.holdings) == ("COMPENSATED", ())
    roles = [(order.role, order.side, order.status) for order in view.orders]
    gone = roles[1][2]
    assert roles == [("leg 1", "BUY", "FILLED"), ("leg 2", "SELL", gone), ("close", "SELL", "FILLED")]
    assert gone in ("CANCELLED", "REJECTED"), "REJECTED where its time was over before it was at the exchange"
    assert desk.here("basket", str(file), "--within", "5").error.endswith("is the id of another plan")


async def ended(desk: Program, plan_id: str) -> PlanView:
    async with await Orders.connect(desk.home) as orders:
        return await orders.plan_result(plan_id)


def test_a_basket_that_is_refused_says_why_and_exits_with_one(desk: Program, tmp_path: Path) -> None:
    legs = [
        {"symbol": SYMBOL, "side": "BUY", "quantity": 74, "order_type": "LIMIT", "price": FAR_BELOW},
        {"symbol": "NFO:NIFTY25MAY24400CE", "side": "SELL", "quantity": 75},
    ]
    file = written(tmp_path, json.dumps(legs), "basket.json")
    answer = desk.here("basket", str(file), "--id", "basket-refused", "--hedged", "--json")
    assert (answer.code, answer.json["status"]) == (1, "REJECTED")
    assert "leg 1: LOT_SIZE" in answer.error
    assert "0 that end no earlier are bought" in answer.error
