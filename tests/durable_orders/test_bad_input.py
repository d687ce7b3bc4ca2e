"""Bad input: one clear line, the right exit code, nothing placed."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import OWN_PORTS, Answer, Program
from tests.durable_orders.test_mistakes import sent
from tests.properties import FIXTURES_STAY

LONG_ID = "x" * 10_000
FAILED, MISUSED = 1, 2
BUY = ("BUY", SYMBOL, LOT)

LONG: dict[str, tuple[tuple[str, ...], str]] = {
    "a long id": ((*BUY, "--id", LONG_ID), "client_order_id: must be 1 to 64 letters, digits"),
    "a long reason": ((*BUY, "--reason", "x" * 501), "reason: must have at most 500 characters"),
}
"""Those of a readable length are in `mistakes.yaml`."""


def is_one_clear_line(answer: Answer, code: int, words: str) -> None:
    """Nothing of Python's own, nothing on stdout, and not longer than anybody reads."""
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.error
    assert len(answer.error) < 400
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("case", LONG)
def test_an_order_that_cannot_be(desk: Program, case: str) -> None:
    words, message = LONG[case]
    before = sent(desk.home)
    is_one_clear_line(desk.here("place", *words), FAILED, message)
    assert sent(desk.home) == before


OPTIONS = ["--type", "--price", "--trigger", "--product", "--id", "LIMIT", "SL", "20000.01", "1e9"]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(FIXTURES_STAY, max_examples=60)
@given(
    side=st.sampled_from(["BUY", "sell"]) | texts,
    symbol=st.sampled_from([SYMBOL, "NSE:NOBODY"]) | texts,
    quantity=st.integers(-100, 100).map(str) | texts,
    options=st.lists(st.sampled_from(OPTIONS) | texts, max_size=4),
)
def test_no_command_line_breaks_it(tmp_path: Path, side: str, symbol: str, quantity: str, options: list[str]) -> None:
    answer = Program(tmp_path).here("place", side, symbol, quantity, *options)
    if "--help" not in (side, symbol, quantity, *options):
        assert answer.code in (FAILED, MISUSED)
        assert len(answer.error) < 2000
        assert answer.out == ""
    assert not (tmp_path / "ledger.db").exists(), "nobody to place with, so nothing is begun"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("execution: {papr: {slippage_bps: 5}}", "execution.papr: no such setting, did you mean execution.paper?"),
        ("- a\n- list", "must hold settings as `key: value`, was a list"),
    ],
)
@pytest.mark.parametrize("command", ["place", "list", "up"])
def test_settings_that_cannot_be_used(tmp_path: Path, command: str, content: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    rest = ("BUY", SYMBOL, LOT) if command == "place" else ()
    answer = Program(tmp_path / "home").here(command, *rest, "--config", str(file))
    is_one_clear_line(answer, FAILED, words)
    assert str(file) in answer.error
    assert not (tmp_path / "home").exists()


def test_settings_from_nowhere(tmp_path: Path) -> None:
    program = Program(tmp_path)
    is_one_clear_line(program.here("list", "--config", "/nowhere.yaml"), FAILED, "/nowhere.yaml: no such settings file")
    (tmp_path / "durable-orders.yaml").write_bytes(b"\xff\xfe\xff")
    is_one_clear_line(program.here("list"), FAILED, "durable-orders.yaml: cannot be read")
    (tmp_path / "durable-orders.yaml").unlink()
    answer = program.here("list", DURABLE_ORDERS_MARKET__SPEED="fast")
    is_one_clear_line(answer, FAILED, "market.speed")


def test_ticks_that_cannot_be_used(desk: Program, tmp_path: Path) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text("timestamp,last_price,symbol\n")
    is_one_clear_line(desk.here("worker", "--ticks", str(file)), FAILED, "ticks.csv: has a header but no rows")


def test_a_server_that_is_not_there(desk: Program, tmp_path: Path) -> None:
    place = ("place", "BUY", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_BELOW)
    nobody = Program(tmp_path).here(*place)
    is_one_clear_line(nobody, FAILED, "no server is running for home")
    assert f"start one with `durable-orders up --home {tmp_path}`" in nobody.error
    gone = desk.here(*place, TEMPORAL_ADDRESS="127.0.0.1:1")
    is_one_clear_line(gone, FAILED, "no Temporal server answers on 127.0.0.1:1")
    is_one_clear_line(desk.here(*place, TEMPORAL_ADDRESS="nonsense"), FAILED, "nonsense")
    is_one_clear_line(desk.here("worker", TEMPORAL_ADDRESS="127.0.0.1:1"), FAILED, "127.0.0.1:1")


@pytest.mark.parametrize("command", ["up", "list", "events", "positions", "halt"])
def test_a_home_that_is_not_writable(tmp_path: Path, command: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    is_one_clear_line(Program(file / "home").here(command), FAILED, "Not a directory")
    is_one_clear_line(Program(Path("/proc/home")).here(command), FAILED, "/proc/home")


@pytest.mark.parametrize("command", ["up", "list", "show", "positions", "resume"])
def test_a_broken_ledger(tmp_path: Path, command: str) -> None:
    broken = b"This was a ledger once.\n" * 200
    (tmp_path / "ledger.db").write_bytes(broken)
    rest = ("some-id",) if command == "show" else ()
    is_one_clear_line(
        Program(tmp_path).here(command, *rest), FAILED, f"ledger {tmp_path}/ledger.db: file is not a data"
    )
    assert (tmp_path / "ledger.db").read_bytes() == broken, "left as it is, for whoever can mend it"


def test_a_ledger_url_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "durable-orders.yaml").write_text(yaml.safe_dump({"ledger": {"url": "mysql://u:secret@h/d"}}))
    answer = Program(tmp_path).here("list")
    is_one_clear_line(answer, FAILED, "ledger.url: must begin with sqlite:/// or postgresql://")
    assert "secret" not in answer.err


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    is_one_clear_line(Program(tmp_path).here("plaice"), MISUSED, "No such command 'plaice'")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("amend", "x"), "give at least one of quantity, price, trigger_price, order_type"),
        (("amend", "x", "--price", "NaN"), "price: must be a finite number, was NaN"),
        (("amend", "x", "--quantity", "0"), "quantity: must be greater than 0, was 0"),
        (("halt", "--reason", " "), "reason: must say something, in at most 500 characters"),
    ],
)
def test_a_change_that_cannot_be(desk: Program, words: tuple[str, ...], rule: str) -> None:
    is_one_clear_line(desk.here(*words), FAILED, rule)


def test_help_says_what_every_command_does(tmp_path: Path) -> None:
    program = Program(tmp_path)
    top = program()
    assert (top.code, top.err) == (0, "")
    for command in (
        "up",
        "worker",
        "demo",
        "place",
        "cancel",
        "amend",
        "show",
        "list",
        "events",
        "positions",
        "doctor",
    ):
        assert f" {command} " in top.out
        shown = program.here(command, "--help")
        assert (shown.code, shown.err) == (0, "")
        assert "Usage: " in shown.out


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("positions",),
        ("events",),
        ("journal",),
        ("show", "first"),
        ("halt",),
        ("resume",),
        ("flag",),
        ("verify",),
        ("place", *BUY),
        ("cancel", "first"),
        ("backup", "elsewhere"),
    ],
    ids=lambda words: str(words[0]),
)
def test_where_there_is_no_home_a_command_says_so_and_makes_none(words: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "none"
    answer = Program(home).here(*words)
    assert answer.code == FAILED
    assert str(home) in answer.error
    assert "durable-orders up" in answer.error
    assert not home.exists()


def test_a_temporal_profile_that_does_not_exist_is_named(tmp_path: Path) -> None:
    answer = Program(tmp_path).here("cancel", "first", TEMPORAL_PROFILE="nowhere")
    assert answer.code == FAILED
    assert answer.error == "TEMPORAL_PROFILE=nowhere: Profile 'nowhere' not found"


def test_a_damaged_history_is_told_with_the_way_back(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").write_text("half of a file")
    answer = Program(tmp_path)("up", *OWN_PORTS)
    assert answer.code == FAILED
    assert "temporal.db: its file is damaged, and with it the histories; docs/backups.md" in answer.error


def test_settings_are_explained_in_words(tmp_path: Path) -> None:
    (tmp_path / "durable-orders.yaml").write_text("account: my own\nkite: {root: 'http://kite/api'}\n")
    said = Program(tmp_path).here("list").error
    assert "account: must be 1 to 64 letters, digits, dots, dashes or underscores" in said
    assert "kite.root: must be an address without a path, as in https://api.kite.trade" in said
    assert "pattern" not in said
