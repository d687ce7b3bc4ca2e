"""Settings: defaults, the file over them, the environment over the file. What is wrong is said with the key."""

import ast
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from durable_orders.trading.config.keys import all_keys
from durable_orders.trading.config.settings import Calendar, Feed, Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.trading.orders.order import Mode

HOUSE = Path(__file__).parents[3]
PACKAGES = ("trading", "activities", "workflows", "workers", "durable_orders", "sandbox")
SETTINGS = HOUSE / "trading" / "config" / "settings.py"
NOTHING: dict[str, str] = {}


def loaded(tmp_path: Path, text: str, **environment: str) -> Settings:
    file = tmp_path / "durable-orders.yaml"
    file.write_text(text, encoding="utf-8")
    return Settings.load(file, {f"DURABLE_ORDERS_{name}": value for name, value in environment.items()})


def test_without_anything_it_trades_the_shipped_day_on_paper() -> None:
    found = Settings.load(None, NOTHING)
    assert (found.account, found.execution.mode, found.market.feed) == ("paper", Mode.PAPER, Feed.REPLAY)
    assert found.market.calendar is Calendar.XNSE
    assert found.placing is found.execution.paper
    assert (found.guardian.max_order_quantity, found.guardian.max_order_value, found.ledger.url) == (None, None, None)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == loaded(tmp_path, "# only a comment\n") == Settings.load(None, NOTHING)


def test_the_file_is_over_the_defaults_and_the_environment_over_the_file(tmp_path: Path) -> None:
    text = "account: desk\nmarket: {speed: 5}\nexecution: {paper: {slippage_bps: 7, max_retries: 1}}\n"
    of_file = loaded(tmp_path, text)
    assert (of_file.account, of_file.market.speed) == ("desk", 5.0)
    assert of_file.execution.paper.slippage_bps == 7
    over = loaded(
        tmp_path, text, MARKET__SPEED="9", EXECUTION__PAPER__SLIPPAGE_BPS="2.5", GUARDIAN__MAX_ORDER_VALUE="1e6"
    )
    assert (over.account, over.market.speed) == ("desk", 9.0)
    assert (over.execution.paper.slippage_bps, over.execution.paper.max_retries) == (Decimal("2.5"), 1)
    assert over.guardian.max_order_value == 1_000_000


def test_the_environment_alone_is_enough() -> None:
    variables = {"DURABLE_ORDERS_ACCOUNT": "desk", "DURABLE_ORDERS_EXECUTION__PAPER__SLIPPAGE_ENABLED": "false"}
    found = Settings.load(None, variables | {"OTHER": "x", "DURABLE_ORDERS_HOME": "/h", "DURABLE_ORDERS_CONFIG": "c"})
    assert (found.account, found.execution.paper.slippage_enabled) == ("desk", False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("marktet: {speed: 5}", r"marktet: no such setting, did you mean market\?"),
        ("market: {sped: 5}", r"market\.sped: no such setting, did you mean market\.speed\?"),
        ("execution: {paper: {slippage: 5}}", r"paper\.slippage: .*did you mean execution\.paper\.slippage_bps"),
        ("xyzzy: 1", r"xyzzy: no such setting$"),
        ("market: {speed: fast}", r"market\.speed: must be a number"),
        ("market: {speed: 0}", r"market\.speed: must be greater than 0"),
        ("market: {speed: .nan}", r"market\.speed"),
        ("market: {feed: satellite}", r"market\.feed: must be 'replay' or 'synthetic'"),
        ("market: 5", r"market: must hold `key: value`"),
        ("account: a/b", r"account: must be 1 to 64 letters, digits"),
        ("guardian: {max_order_quantity: 1.5}", r"guardian\.max_order_quantity: must be a valid integer"),
        ("guardian: {max_order_value: -1}", r"guardian\.max_order_value: must be greater than 0"),
        ("execution: {paper: {slippage_bps: 10001}}", r"execution\.paper\.slippage_bps: .*less than or equal to 10000"),
        ("market: {speed: 0}\naccount: 5", r"account: .*; market\.speed: "),
        ("execution: {live: {orders_per_second: 11}}", r"live.*must have registered .* set algo_id"),
        ("execution: {live: {algo_id: 'a b'}}", r"execution\.live\.algo_id: "),
        ("a: [1", r"not YAML at line 1"),
        ("a:\n\tb: 1", r"not YAML at line 2"),
        ("just text", r"must hold settings as `key: value`, was a str"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_on_one_line_with_the_file_and_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/durable-orders.yaml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MARKET__SPEED", "fast", r"settings: market\.speed: must be a number"),
        ("MARKET__SPED", "5", r"market\.sped: no such setting, did you mean market\.speed\?"),
        ("ACCOUNT__NAME", "x", r"account"),
        ("ACCOUNT", "[", r"DURABLE_ORDERS_ACCOUNT: not a YAML value"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words):
        Settings.load(None, {f"DURABLE_ORDERS_{name}": value})


def test_a_secret_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("12345\n")
    variables = {
        "DURABLE_ORDERS_LEDGER__PASSWORD_FILE": str(file),
        "DURABLE_ORDERS_LEDGER__URL": "postgresql://me@db/x",
    }
    password = Settings.load(None, variables).ledger.password
    assert password is not None
    assert password.get_secret_value() == "12345", "a text, whatever it looks like"


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        (None, {}, r"DURABLE_ORDERS_LEDGER__PASSWORD_FILE: .*password: cannot be read: No such file"),
        ("\n", {}, r"password: is empty"),
        ("x", {"PASSWORD": "y"}, r"PASSWORD_FILE: DURABLE_ORDERS_LEDGER__PASSWORD is set as well: give one of them"),
        ("x", {}, r"ledger.*password: belongs to the user of a url, and there is none"),
    ],
)
def test_a_secrets_file_that_cannot_be_used(
    tmp_path: Path, content: str | None, more: dict[str, str], words: str
) -> None:
    if content is not None:
        (tmp_path / "password").write_text(content)
    own = {f"DURABLE_ORDERS_LEDGER__{name}": value for name, value in more.items()}
    with pytest.raises(InvalidSettings, match=words):
        Settings.load(None, {"DURABLE_ORDERS_LEDGER__PASSWORD_FILE": str(tmp_path / "password")} | own)


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"not YAML at line 3, guardian: stands there twice"):
        loaded(tmp_path, "guardian: {max_order_value: 100}\nmarket: {speed: 5}\nguardian: {max_loss_streak: 3}")


def test_a_value_of_the_file_cannot_become_a_section(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"account\.name: account is not a section"):
        loaded(tmp_path, "account: desk", ACCOUNT__NAME="x")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"none\.yaml: cannot be read"):
        Settings.load(tmp_path / "none.yaml", NOTHING)


def test_some_keys_can_be_replaced_and_are_checked_again() -> None:
    found = Settings.load(None, NOTHING).replaced({"market": {"speed": 7}})
    assert (found.market.speed, found.account) == (7.0, "paper")
    with pytest.raises(InvalidSettings, match=r"market\.speed: must be greater than 0"):
        found.replaced({"market": {"speed": -7}})


def test_secrets_are_not_shown() -> None:
    found = Settings.load(
        None, {"DURABLE_ORDERS_KITE__API_SECRET": "hush", "DURABLE_ORDERS_KITE__ACCESS_TOKEN": "quiet"}
    )
    assert "hush" not in repr(found) + found.model_dump_json()
    assert "quiet" not in repr(found) + found.model_dump_json()


@cache
def read_elsewhere() -> frozenset[str]:
    """Every attribute that the code outside `settings.py` reads by its name."""
    files = (file for package in PACKAGES for file in (HOUSE / package).rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files if file != SETTINGS)
    return frozenset(node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute))


@pytest.mark.parametrize("key", all_keys(Settings), ids=".".join)
def test_every_key_does_something(key: tuple[str, ...]) -> None:
    assert key[-1] in read_elsewhere(), "an option that does nothing must not exist"


def test_keys_are_listed_with_their_sections() -> None:
    keys = {".".join(key) for key in all_keys(Settings)}
    assert keys >= {
        "account",
        "execution.mode",
        "execution.paper.slippage_bps",
        "guardian.max_order_value",
        "ledger.url",
    }
    assert "market" not in keys


@given(st.text(max_size=40))
def test_any_text_is_settings_or_one_clear_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    said = problem_with(file)
    assert said is None or (said.startswith(f"{file}: ") and len(said.splitlines()) == 1)


def problem_with(file: Path) -> str | None:
    try:
        Settings.load(file, NOTHING)
    except InvalidSettings as error:
        return str(error)
    return None


def test_what_is_written_out_is_read_back(tmp_path: Path) -> None:
    first = loaded(tmp_path, "account: desk\nmarket: {ticks: t.csv}\nguardian: {max_order_value: '12.5'}\n")
    assert loaded(tmp_path, yaml.safe_dump(first.model_dump(mode="json", exclude={"kite"}))) == first
