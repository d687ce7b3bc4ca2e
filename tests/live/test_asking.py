"""What a strategy asks its desk for, live: at the sandbox, over its own HTTP and WebSocket."""

from pathlib import Path

import yaml

from durable_orders.workers.home import SETTINGS_FILE
from tests.durable_orders.program import Program
from tests.live.test_rehearsal import LIMITS, TICKS

STRATEGY = """
from datetime import timedelta
from durable_orders import OrderIntent, Strategy

class Early(Strategy):
    symbols = ("NSE:INFY",)

    def on_start(self, desk):
        desk.bars("minute", self.bar, "NSE:INFY")
        bars = desk.history("NSE:INFY", "5minute", 2)
        print("history", [(f"{bar.at:%d %H:%M}", int(bar.close), bar.volume) for bar in bars])
        desk.at("9:15:30", self.enter)
        desk.every(timedelta(minutes=1), self.look)
        desk.square_off_at("9:17:30")

    def bar(self, desk, bars):
        bar = bars["NSE:INFY"]
        print("bar", f"{bar.at:%H:%M} {bar.close:.0f} {bar.is_whole}")

    def enter(self, desk):
        ten = OrderIntent(symbol="NSE:INFY", side="BUY", quantity=10, order_type="LIMIT", price="1500", product="CNC")
        print("funds", desk.funds().available, "margin", desk.margin_of(ten, ten), "other", desk.last_price("NSE:TCS"))
        print("enters after", desk.now.strftime("%H:%M:%S") >= "09:15:30")
        desk.subscribe("NSE:TCS")
        desk.target("NSE:INFY", desk.quantity_for("NSE:INFY", risk=100, price=1500, stop=1490))
        desk.buy("NSE:INFY", 5, order_type="LIMIT", price="1400", client_order_id="dip")
        desk.state["entered"] = True

    def look(self, desk):
        print("looks at the minute", desk.instruments.get("NSE:INFY").lot)

    def on_order(self, desk, order):
        if order.client_order_id == "dip" and order.status == "PLACED" and order.price == 1400:
            desk.amend("dip", price="1401")
        if order.client_order_id == "early-1" and order.status == "FILLED":
            held = [(each.symbol, each.quantity) for each in desk.positions("account")]
            print("held", held, len(desk.fills()), desk.last_price("NSE:INFY") >= 1500)
"""


LATER = "".join(f"2026-11-20 09:{minute}:00+05:30,1503,NSE:INFY\n" for minute in range(19, 28))
"""A slow machine closes before the market does."""

BEFORE = """datetime,open,high,low,close,volume,symbol
2026-11-19 15:15:00,1490,1490,1490,1490,2,NSE:INFY
2026-11-19 15:20:00,1491,1491,1491,1491,3,NSE:INFY
2026-11-19 15:25:00,1492,1492,1492,1492,4,NSE:INFY
"""
"""What the sandbox tells as historical."""


def test_a_live_day_by_the_clock(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    market = {"history": str(tmp_path / "before.csv")}
    (home / SETTINGS_FILE).write_text(yaml.safe_dump({"guardian": LIMITS, "market": market}))
    (tmp_path / "early.py").write_text(STRATEGY)
    (tmp_path / "before.csv").write_text(BEFORE)
    (tmp_path / "ticks.csv").write_text(TICKS + LATER)
    words = ("rehearse", str(tmp_path / "early.py"), "--ticks", str(tmp_path / "ticks.csv"), "--speed", "30", "--json")
    answer = Program(home)(*words)
    assert answer.code == 0, answer.err
    known = (
        "history [('19 15:20', 1491, 3), ('19 15:25', 1492, 4)]",
        "funds 1000000000.0 margin 30000.0",
        "bar 09:15 1500 True",
        "bar 09:16 1501 True",
    )
    for said in (*known, "enters after True", "looks at the minute 1", "held [('NSE:INFY', 10)] 1 True"):
        assert said in answer.err, answer.err
    assert answer.json["orders"] == {"FILLED": 2, "CANCELLED": 1}, answer.err
    assert (answer.json["holdings"], answer.json["open_orders"]) == ([], [])
    [rehearsed] = home.glob("rehearsal-*")
    listed = {row["client_order_id"]: row for row in Program(rehearsed).here("list", "--json").json}
    assert (listed["early-1"]["status"], listed["dip"]["price"]) == ("FILLED", "1401.00")
    assert [row["reason"] for own, row in listed.items() if own.startswith("flatten-")] == ["square-off"]
