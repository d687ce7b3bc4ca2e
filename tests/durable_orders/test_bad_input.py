"""Bad input: one clear line, the right exit code, nothing placed."""

import sqlite3
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.durable_orders.conftest import FAR_BELOW, LOT, SYMBOL
from tests.durable_orders.program import OWN_PORTS, Answer, Program
from tests.properties import FIXTURES_STAY

LONG_ID = "x" * 10_000
FAILED, MISUSED = 1, 2
BUY = ("BUY", SYMBOL, LOT)
LIMIT = (*BUY, "--type", "LIMIT")
STOP = (*BUY, "--type", "SL")

PLACE: dict[str, tuple[tuple[str, ...], int, str]] = {
    "unknown symbol": (("BUY", "NFO:NIFTY25MAYFU", "75"), FAILED, "did you mean NFO:NIFTY25MAYFUT?"),
    "a symbol like no other": (("BUY", "BSE:QQQQ", "1"), FAILED, "symbol BSE:QQQQ is not in the instrument master"),
    "no exchange": (("BUY", "INFY", "1"), FAILED, "symbol: must be an exchange and a tradingsymbol, as in NSE:INFY"),
    "an index": (("BUY", "NSE:NIFTY 50", "1"), FAILED, "is an index and cannot be traded"),
    "quantity 0": (("BUY", SYMBOL, "0"), FAILED, "quantity: must be greater than 0, was 0"),
    "negative quantity": (("BUY", SYMBOL, "-75"), MISUSED, "a quantity is above 0"),
    "negative quantity, escaped": (("BUY", SYMBOL, "--", "-75"), FAILED, "quantity: must be greater than 0, was -75"),
    "fractional quantity": (("BUY", SYMBOL, "7.5"), MISUSED, "'quantity': must be a valid integer"),
    "quantity in words": (("BUY", SYMBOL, "ten"), MISUSED, "'quantity': must be a valid integer"),
    "not a lot": (("BUY", SYMBOL, "74"), FAILED, "LOT_SIZE: quantity must be a multiple of the lot of 75, was 74"),
    "above the maximum": (("BUY", SYMBOL, "1875"), FAILED, "MAX_ORDER_QUANTITY: quantity may be at most 1800"),
    "above any maximum": (("BUY", SYMBOL, "75000000000"), FAILED, "quantity: must be less than or equal to 1000000000"),
    "price off tick": ((*LIMIT, "--price", "24000.01"), FAILED, "the tick of 0.05"),
    "price beyond paise": ((*LIMIT, "--price", "1.00001"), FAILED, "price: must have no"),
    "price NaN": ((*LIMIT, "--price", "NaN"), FAILED, "price: must be a finite number"),
    "price infinite": ((*LIMIT, "--price=-inf"), FAILED, "price: must be a finite number"),
    "price negative": ((*LIMIT, "--price", "-5"), FAILED, "price: must be greater than 0"),
    "price 0": ((*LIMIT, "--price", "0"), FAILED, "price: must be greater than 0, was 0"),
    "price in words": ((*LIMIT, "--price", "24k"), FAILED, "price: not a number of rupees"),
    "price missing": (LIMIT, FAILED, "price: a LIMIT order needs one"),
    "price for MARKET": ((*BUY, "--price", "24000"), FAILED, "price: a MARKET order takes none"),
    "trigger missing": ((*STOP, "--price", "1"), FAILED, "trigger_price: a SL order needs"),
    "trigger for LIMIT": (
        (*LIMIT, "--price", "1", "--trigger", "1"),
        FAILED,
        "trigger_price: a LIMIT order takes none",
    ),
    "limit beyond its trigger": (
        (*STOP, "--price", "1", "--trigger", "2"),
        FAILED,
        "the limit of a BUY SL order must lie at or above its trigger_price",
    ),
    "unknown side": (("HOLD", SYMBOL, LOT), MISUSED, "'side': 'HOLD' is not one of 'buy', 'sell'"),
    "unknown type": ((*BUY, "--type", "ICEBERG"), MISUSED, "'--type': 'ICEBERG' is not one of 'market'"),
    "unknown product": ((*BUY, "--product", "BO"), MISUSED, "'--product': 'BO' is not one of"),
    "unknown validity": ((*BUY, "--validity", "GTC"), MISUSED, "'--validity': 'GTC' is not one of"),
    "minutes missing": ((*LIMIT, "--price", "1", "--validity", "ttl"), FAILED, "validity_ttl: belongs to an order of"),
    "minutes of a day": ((*LIMIT, "--price", "1", "--validity-ttl", "5"), FAILED, "for live accounts only"),
    "minutes on paper": (
        (*LIMIT, "--price", "1", "--validity", "ttl", "--validity-ttl", "5"),
        FAILED,
        "validity_ttl: for live accounts only, the paper exchange takes none",
    ),
    "no minutes": (
        (*LIMIT, "--price", "1", "--validity", "ttl", "--validity-ttl", "0"),
        FAILED,
        "validity_ttl: must be greater than or equal to 1, was 0",
    ),
    "minutes beyond Kite's": (
        (*LIMIT, "--price", "1", "--validity", "ttl", "--validity-ttl", "121"),
        FAILED,
        "validity_ttl: must be less than or equal to 120, was 121",
    ),
    "a long id": ((*BUY, "--id", LONG_ID), FAILED, "client_order_id: must be 1 to 64 letters, digits"),
    "an id with a slash": ((*BUY, "--id", "a/b"), FAILED, "dashes or underscores, was 'a/b'"),
    "an id that steers": ((*BUY, "--id", "a\n\x1b[2J"), FAILED, r"was 'a\n\x1b[2J'"),
    "an empty id": ((*BUY, "--id", ""), FAILED, "client_order_id: must be 1 to 64"),
    "a strategy with blanks": ((*BUY, "--strategy", "my own"), FAILED, "strategy: must be 1 to 64"),
    "a long reason": ((*BUY, "--reason", "x" * 501), FAILED, "reason: must have at most 500 characters"),
    "no time at all": ((*BUY, "--within", "0"), MISUSED, "'--within': must be greater than or equal to"),
    "not a time": ((*BUY, "--within", "nan"), MISUSED, "'--within'"),
    "legs on paper": (
        (*LIMIT, "--price", "24000", "--iceberg-legs", "2", "--iceberg-quantity", "75"),
        FAILED,
        "iceberg_legs, iceberg_quantity: for live accounts only, the paper exchange takes none",
    ),
    "slices on paper": ((*BUY, "--autoslice"), FAILED, "autoslice: for live accounts only"),
    "legs without a quantity": (
        (*LIMIT, "--price", "24000", "--iceberg-legs", "2"),
        FAILED,
        "iceberg_legs: belongs together with iceberg_quantity",
    ),
    "one leg": (
        (*LIMIT, "--price", "24000", "--iceberg-legs", "1", "--iceberg-quantity", "75"),
        FAILED,
        "iceberg_legs: must be greater than or equal to 2, was 1",
    ),
    "no quantity": (("BUY", SYMBOL), MISUSED, "Missing argument 'quantity'"),
    "one word too many": ((*BUY, "now"), MISUSED, "unexpected extra argument"),
    "a misspelt option": ((*BUY, "--pirce", "1"), MISUSED, "No such option: --pirce"),
}  # fmt: skip


def is_one_clear_line(answer: Answer, code: int, words: str) -> None:
    """Nothing of Python's own, nothing on stdout, and not longer than anybody reads."""
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.error
    assert len(answer.error) < 400
    assert "Traceback" not in answer.err


def sent(home: Path) -> int:
    """How many orders the paper exchange of a home has received."""
    with sqlite3.connect(home / "ledger.db") as connection:
        return int(connection.execute("SELECT count(*) FROM exchange_orders").fetchone()[0])


@pytest.mark.parametrize("case", PLACE)
def test_an_order_that_cannot_be(desk: Program, case: str) -> None:
    words, code, message = PLACE[case]
    before = sent(desk.home)
    answer = desk.here("place", *(words if "--" in words else (*words, "--json")))
    if answer.out:
        assert (answer.json["status"], answer.json["broker_order_id"]) == ("REJECTED", None), "the guardian refused it"
    is_one_clear_line(Answer(answer.code, "", answer.err), code, message)
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
        ("execution: {papr: {slippage_bps: 5}}", "execution.papr: no such setting, did you mean execution.paper."),
        ("guardian: {max_order_quantities: 5}", "did you mean guardian.max_order_quantity?"),
        ("zebra: 1", "zebra: no such setting"),
        ("market: {speed: fast}", "market.speed: Input should be a valid number"),
        ("market: {speed: -1}", "market.speed: Input should be greater than 0"),
        ("account: [a, b]", "account: Input should be a valid string"),
        ("execution: {mode: dream}", "execution.mode: Input should be 'paper' or 'live'"),
        ("a: b: c", "not YAML at line 1"),
        ("- a\n- list", "must hold settings as `key: value`, was a list"),
        ("\x00", "not YAML"),
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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "ticks.csv: is empty"),
        ("timestamp,last_price,symbol\n", "has a header but no rows"),
        ("timestamp,last_price,symbol\n2025-04-29T09:15:00+05:30,24000.05,NFO:NIF", "line 2: symbol: must be in the"),
        ("timestamp,last_price,symbol\n2025-04-29T09:15:00+05:30,2400", "symbol: is missing, the line is half-written"),
        (
            f"timestamp,last_price,symbol\n2025-04-29T09:15:01+05:30,1,{SYMBOL}\n2025-04-29T09:15:00+05:30,1,{SYMBOL}\n",
            "line 3: timestamp: must not be earlier than the tick before it",
        ),
        (f"timestamp,last_price,symbol\n2025-04-29T09:15:00+05:30,0,{SYMBOL}\n", "nothing to replay; rows left out"),
        ("when,what\n1,2\n", "header: must be timestamp,last_price"),
    ],
)
def test_ticks_that_cannot_be_used(desk: Program, tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "ticks.csv"
    file.write_text(content)
    answer = desk.here("worker", "--ticks", str(file))
    is_one_clear_line(answer, FAILED, words)
    assert "ticks.csv" in answer.error


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
