"""`gtt` at a desk on paper, which has none, and where one is told of whose outcome is not known."""

from pathlib import Path

from tests.durable_orders.lost_gtts import LOST, home_with_a_lost_gtt
from tests.durable_orders.program import Program, once_started

SANDBOX = Path(__file__).parents[2] / "examples" / "kite-sandbox.yaml"
WORDS = ("gtt", "place", "SELL", "NSE:INFY", "10", "--trigger", "1400", "--price", "1399")


def test_a_gtt_on_paper_is_refused_in_one_line(desk: Program, own_id: str) -> None:
    answer = desk(*WORDS, "--id", own_id)
    assert answer.code == 1
    words = "gtt: for live accounts only, the paper exchange has none; that id is used up, try it with another --id"
    assert answer.error == f"{own_id} was refused: {words}"
    assert desk("gtt", "show", own_id, "--json").json["status"] == "REJECTED"
    assert "it is REJECTED, and not ACTIVE" in desk("gtt", "delete", own_id).error


def test_bad_input_is_one_line_with_the_field(desk: Program) -> None:
    assert desk(*WORDS, "--product", "MIS").error == "product: a GTT on NSE is CNC or MTF, was MIS"
    for wrong in ("dear", "1_50", "१५०"):
        assert desk(*WORDS, "--last-price", wrong).error.startswith("last_price: not a number of rupees")
    assert desk("gtt", "show", "nobody").error == "no GTT 'nobody'"
    words = "nobody: say what is to change: --trigger, --price or --quantity"
    assert desk("gtt", "change", "nobody").error == words


def test_a_list_without_any_says_so(desk: Program, own_id: str) -> None:
    assert desk(*WORDS, "--id", own_id).code == 1
    assert desk.here("gtt", "list").out == "No GTTs are open; `--all` has those that are over, too.\n"
    assert own_id in desk.here("gtt", "list", "--all").out
    assert desk.here("gtt", "list", "--json").json == []


def test_without_a_server_it_says_how_to_start_this_account(tmp_path: Path) -> None:
    started = f"start one with `durable-orders up --home {tmp_path} --live --config {SANDBOX}`"
    assert once_started(tmp_path).here("gtt", "list", "--config", str(SANDBOX)).error.endswith(started)
    for words in (("flatten",), ("halt", "--cancel-open"), ("show", "X-1")):
        assert started in once_started(tmp_path).here(*words, "--config", str(SANDBOX)).err.splitlines()[-1]
    assert f"`durable-orders up --live --home {tmp_path} --config {SANDBOX}`" in (
        once_started(tmp_path).here("status", "--config", str(SANDBOX)).out
    )
    spaced = once_started(tmp_path / "two words")
    assert spaced.here("gtt", "list").error.endswith(f"`durable-orders up --home '{spaced.home}'`")
    nowhere = Program(tmp_path / "nowhere")
    for words in (("gtt", "list"), ("plan", "list"), ("verify",)):
        assert f"{nowhere.home}, which is not there: start one with" in nowhere.here(*words).error


def test_a_command_that_is_named_is_one_for_the_account_that_was(tmp_path: Path) -> None:
    program = home_with_a_lost_gtt(tmp_path / "two words")
    given = f"--home '{program.home}'"
    assert f"see `durable-orders gtt list {given}`" in program.here("halt").err
    config = program.home / "own.yaml"
    config.write_text("account: paper\n")
    assert (
        f"`durable-orders gtt list {given} --config '{config}'`" in program.here("status", "--config", str(config)).out
    )
    assert program.here("gtt", "nonsense").error.endswith("(see `durable-orders gtt --help`)")


def test_one_that_is_unknown_is_in_plain_sight(tmp_path: Path) -> None:
    program = home_with_a_lost_gtt(tmp_path)
    assert program.here("status", "--json").json["unknown_gtts"] == [LOST]
    assert f"GTT {LOST}: no new one of its symbol is sent" in program.here("status").out
    outcomes = next(each for each in program.here("doctor", "--json").json if each["name"] == "outcomes")
    assert (outcomes["healthy"], outcomes["detail"]) == (False, f"unknown GTTs, see `gtt list`: {LOST}")
