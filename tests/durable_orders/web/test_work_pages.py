"""The pages of plans, runs and backtests over plain HTTP."""

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_orders.backtest.kept import content_of, kept_backtests, results_of
from durable_orders.trading.errors import OrderNotFound
from durable_orders.trading.ist import IST
from durable_orders.trading.ledger.tokens import Role
from durable_orders.workers.home import Home
from tests.durable_orders.conftest import FAR_ABOVE, FAR_BELOW, SYMBOL
from tests.durable_orders.program import once_started
from tests.durable_orders.running.test_command import strategy
from tests.durable_orders.test_sweep import STRATEGY
from tests.durable_orders.web.conftest import Served
from tests.durable_orders.web.test_pages import Accessible, Visitor


@pytest.fixture(scope="module")
def trader(served: Served) -> Iterator[Visitor]:
    with Visitor(served, Role.TRADE) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def reader(served: Served) -> Iterator[Visitor]:
    with Visitor(served, Role.READ) as visitor:
        yield visitor


def bracket(served: Served, plan_id: str, *entry: str) -> None:
    words = ("BUY", SYMBOL, "75", *entry, "--stop", "19900", "--target", FAR_ABOVE, "--id", plan_id)
    made = served.program.here("bracket", *words, "--strategy", plan_id)
    assert made.code == 0, made.err


def test_a_plan_is_shown_with_its_orders_changed_and_cancelled_when_asked_twice(
    served: Served, reader: Visitor, trader: Visitor, short_id: str
) -> None:
    bracket(served, short_id, "--price", FAR_BELOW)
    assert f'href="/plan/{short_id}"' in reader.get("/plans").text
    shown = reader.get(f"/plan/{short_id}")
    assert Accessible(shown.text).problems == []
    assert f'href="/order/{short_id}.entry"' in shown.text
    assert "Cancel the plan" not in shown.text
    assert f'href="/plan/{short_id}"' in reader.get(f"/order/{short_id}.entry").text, "the order tells its plan"
    assert reader.send_form(f"/plan/{short_id}/cancel", reason="x", sure="yes").status_code == 403
    asked = trader.send_form(f"/plan/{short_id}/amend", stop="19910", target="", trail="", exit_at="")
    assert f"Change {short_id}: stop 19910?" in asked.text
    assert Accessible(asked.text).problems == []
    assert "19,900.00" in reader.get(f"/plan/{short_id}").text, "nothing was done yet"
    said = {"reason": "closer", "sure": "yes"}
    assert "19,910.00" in trader.send_form(f"/plan/{short_id}/amend", stop="19910", **said).text
    for wrong in ({"stop": "many"}, {"stop": "199_20"}, {"exit_at": "soon"}, {}):
        refused = trader.send_form(f"/plan/{short_id}/amend", **wrong, **said)
        assert (refused.status_code, "Traceback" in refused.text) == (422, False)
    assert "without a stop of the plan" in trader.send_form(f"/plan/{short_id}/cancel").text
    cancelled = trader.send_form(f"/plan/{short_id}/cancel", reason="a drill", sure="yes")
    assert "CANCELLED" in cancelled.text
    assert f"by user {trader.name}: a drill" in cancelled.text
    assert short_id not in reader.get("/plans").text
    assert short_id in reader.get("/plans", params={"show": "all"}).text
    assert trader.send_form(f"/plan/{short_id}/explode").status_code == 422
    assert trader.post(f"/plan/{short_id}/cancel").status_code == 403, "without the word of the form"


def test_two_people_press_flatten_at_once_and_there_is_one_way_out(served: Served, short_id: str) -> None:
    bracket(served, short_id)
    with Visitor(served, Role.TRADE) as first, Visitor(served, Role.TRADE) as second:

        def press(who: Visitor) -> str:
            return who.send_form(f"/plan/{short_id}/flatten", reason="out", sure="yes").text

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(press, (first, second)))
        assert all(f"<h1>{short_id}</h1>" in text for text in answers)
    ended = served.program.here("plan", "cancel", short_id, "--flatten", "--json").json
    assert (ended["status"], ended["held"]) == ("CLOSED", 0)
    sold = [order["filled_quantity"] for order in ended["orders"] if order["side"] == "SELL"]
    assert sum(sold) == 75, "what was bought, and no more"


def test_an_account_is_flattened_once_however_many_press_at_once(served: Served, own_id: str) -> None:
    strategy = own_id[-40:]
    assert served.program.here("place", "BUY", SYMBOL, "75", "--id", own_id, "--wait", "--strategy", strategy).code == 0
    fields = {"what": "flatten", "strategy": strategy, "reason": "out", "sure": "yes"}
    with Visitor(served, Role.HALT) as first, Visitor(served, Role.HALT) as second:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda who: who.send_form("/act", **fields), (first, second)))
        assert [each.status_code for each in answers] == [200, 200]
        assert all("Flat." in each.text or "goes on" in each.text for each in answers)
    orders = served.program.here("list", "--strategy", strategy, "--json").json
    sold = [order["filled_quantity"] for order in orders if order["side"] == "SELL"]
    assert sum(sold) == 75, "it was closed once"


def test_everything_is_flattened_from_the_positions_when_asked_twice(served: Served, reader: Visitor) -> None:
    with Visitor(served, Role.HALT) as halter:
        shown = halter.get("/positions").text
        assert "Flatten the account" in shown
        assert "What only the broker has is named, and stays" in shown
        assert "close what is held?" in halter.send_form("/flatten").text
    assert "Flatten" not in reader.get("/positions").text


def test_the_products_that_a_flatten_leaves_are_told_before_it_is_asked_for(tmp_path: Path) -> None:
    program = once_started(tmp_path)
    (tmp_path / "durable-orders.yaml").write_text("guardian:\n  flatten_products: [MIS]\n")
    with program.started("web", "--port", "0") as running:
        own = Served(program, running.line("Page on ").removeprefix("Page on "))
        with Visitor(own, Role.HALT) as halter:
            assert "what is held is closed, of MIS alone." in halter.get("/positions").text


def test_what_cannot_be_placed_alone_waits_for_approval(served: Served, trader: Visitor, own_id: str) -> None:
    fields = {"symbol": SYMBOL, "side": "BUY", "quantity": "75", "order_type": "LIMIT", "price": FAR_BELOW}
    shown = trader.send_form("/place", client_order_id=own_id, approve="true", **fields)
    assert "waits for a person&#39;s approval" in shown.text
    assert served.program.here("show", own_id, "--json").json["order"]["status"] == "PENDING"
    kept = trader.send_form("/place", client_order_id=f"{own_id}-2", approve="true", **fields | {"quantity": "1"})
    assert 'name="approve" value="true" checked' in kept.text, "what was chosen is kept"
    assert trader.send_form(f"/order/{own_id}/decline", reason="a drill").status_code == 200


def test_an_order_shows_what_it_cost_and_how_it_was_executed(served: Served, reader: Visitor, own_id: str) -> None:
    served.program.here("place", "BUY", SYMBOL, "75", "--id", own_id, "--wait")
    shown = reader.get(f"/order/{own_id}").text
    for words in (
        "Proved by the broker&#39;s book",
        "It was sent under tag",
        "Cost and execution",
        "Price at the check",
        "basis points",
        "to the first fill",
    ):
        assert words in shown


def test_runs_are_shown_while_they_go_on_and_with_what_came_of_them(
    served: Served, reader: Visitor, tmp_path: Path, short_id: str
) -> None:
    file = strategy(tmp_path, short_id)
    with served.program.started("run", file) as running:
        running.line("PLACED")
        assert row_of(reader, short_id).count("runs now") == 1
        assert running.stop(signal.SIGINT).code == 130
    ended = row_of(reader, short_id)
    assert "interrupted" in ended
    assert "1 orders go on" in ended
    with served.program.started("run", file) as running:
        running.error_line("found")
        running.process.kill()
        running.process.wait()
    assert "broke off" in row_of(reader, short_id)
    assert Accessible(reader.get("/strategies").text).problems == []
    (served.program.home / "runs" / "29991126T050000000000Z-half.json").write_text('{"strategy": ')
    assert reader.get("/strategies").status_code == 200, "a half-written file is left out"
    assert served.program.here("cancel", f"{short_id}-1").code == 0


def row_of(reader: Visitor, name: str) -> str:
    """The newest run of that strategy, as the page has it."""
    shown = reader.get("/strategies", params={"part": True}).text
    return next(row for row in shown.split("<tr>") if f">{name}</a>" in row)


def test_a_home_without_runs_says_how_one_is_made(tmp_path: Path) -> None:
    program = once_started(tmp_path)
    with program.started("web", "--port", "0") as running:
        own = Served(program, running.line("Page on ").removeprefix("Page on "))
        with Visitor(own, Role.READ) as visitor:
            for path, words in {
                "/strategies": "durable-orders run FILE.py",
                "/plans": "durable-orders bracket --help",
                "/backtests": "durable-orders sweep FILE.py",
            }.items():
                assert words in visitor.get(path).text


def test_reports_and_sweeps_of_the_home_are_shown_and_nothing_else(
    served: Served, reader: Visitor, tmp_path: Path
) -> None:
    home = served.program.home
    (tmp_path / "every.py").write_text(STRATEGY)
    begins = datetime(2025, 4, 29, 9, 15, tzinfo=IST)
    rows = (f"{begins + timedelta(seconds=20 * n)},{1000 + n % 7},NSE:INFY" for n in range(60))
    (tmp_path / "ticks.csv").write_text("\n".join(["timestamp,last_price,symbol", *rows]) + "\n")
    words = (str(tmp_path / "every.py"), "--ticks", str(tmp_path / "ticks.csv"), "--param", "every=5,10")
    swept = served.program("sweep", *words, "--report", str(home / "reports" / "cross.html"))
    assert swept.code == 0, swept.err
    shown = reader.get("/backtests").text
    assert 'href="/backtests/report/cross.html"' in shown
    report = reader.get("/backtests/report/cross.html")
    assert "Sweep of 2 combinations" in report.text
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    (sweep,) = (file.name for file in (home / "sweeps").glob("every-*.jsonl"))
    table = reader.get(f"/backtests/sweep/{sweep}")
    assert "2 combinations, best first" in table.text
    assert Accessible(table.text).problems == []
    (home / "reports" / "out.html").symlink_to(home / "durable-orders.yaml")
    for path in ("report/out.html", "report/..%2Fledger.db", "report/durable-orders.yaml", "sweep/cross.html"):
        assert reader.get(f"/backtests/{path}").status_code == 404


def result_line(values: dict[str, str], net: str) -> bytes:
    """Of a sweep's file."""
    amounts = dict.fromkeys(("gross_profit", "charges", "max_drawdown"), "1")
    counts = dict.fromkeys(("orders", "wins", "losses"), 1)
    return json.dumps({"values": values, "net_profit": net, **amounts, **counts, "failure": None}).encode()


def test_files_that_are_not_as_they_should_be_hide_no_other_ones(tmp_path: Path) -> None:
    """What anybody may find in the folders: rows of several sweeps, no text, names that are none, what just went."""
    program = once_started(tmp_path)
    sweeps, reports = tmp_path / "sweeps", tmp_path / "reports"
    for folder in (sweeps, reports):
        folder.mkdir()
    rows = [result_line({"fast": "3"}, "10"), result_line({"slow": "9"}, "20"), result_line({"fast": "4"}, "NaN")]
    (sweeps / "mixed.jsonl").write_bytes(b"\n".join([*rows, b"\xff\xfe not text", b'["no row"]', b'{"values": ']))
    (sweeps / "none.jsonl").write_bytes(b"\xff")
    (reports / "good.html").write_text("a report")
    for folder, end in ((sweeps, "jsonl"), (reports, "html")):
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff." + end.encode())).write_text("{}")
        (folder / f"folder.{end}").mkdir()
        (folder / f"gone.{end}").symlink_to(folder / "nowhere")
    with program.started("web", "--port", "0") as running:
        own = Served(program, running.line("Page on ").removeprefix("Page on "))
        with Visitor(own, Role.READ) as visitor:
            listed = visitor.get("/backtests")
            assert listed.status_code == 200, listed.text
            assert {"mixed.jsonl", "none.jsonl", "good.html"} <= set(re.findall(r">([a-z]+\.[a-z]+)</a>", listed.text))
            mixed = visitor.get("/backtests/sweep/mixed.jsonl")
            assert (mixed.status_code, "2 combinations, best first" in mixed.text) == (200, True), mixed.text
            assert Accessible(mixed.text).problems == []
            assert "Nothing is finished" in visitor.get("/backtests/sweep/none.jsonl").text
            for path in ("sweep/folder.jsonl", "sweep/gone.jsonl", "report/gone.html", "report/%FF.html"):
                assert visitor.get(f"/backtests/{path}").status_code == 404
    kept = kept_backtests(Home(tmp_path), 5)
    assert kept["reports"] == ["good.html"]
    swept: Any = kept["sweeps"]
    assert {each["name"]: len(each["best"]) for each in swept} == {"mixed.jsonl": 2, "none.jsonl": 0}
    for read in (content_of, results_of):
        with pytest.raises(OrderNotFound, match="cannot be read"):
            read(sweeps / "folder.jsonl")
