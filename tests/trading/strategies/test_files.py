"""A strategy file holds one strategy, and what is wrong with one is said in one line."""

from pathlib import Path

import pytest

from durable_orders.trading.errors import InvalidStrategy
from durable_orders.trading.strategies.files import Loaded, load_strategy

CLASS = """
from durable_orders.trading.strategies.strategy import Strategy, StrategyContext

class BuyOnce(Strategy):
    def on_start(self, context: StrategyContext) -> None:
        context.buy("NSE:INFY", 1)
"""
PLAIN = """
class Plain:
    name = "plain-one"
    def on_start(self, desk): pass
    def on_tick(self, desk, tick): pass
    def on_order(self, desk, order): pass
    def on_stop(self, desk): pass
"""


def loaded(tmp_path: Path, text: str, name: str = "my_strategy.py") -> Loaded:
    (tmp_path / name).write_text(text)
    return load_strategy(tmp_path / name)


def test_the_one_class_of_a_file_is_its_strategy_and_the_file_names_it(tmp_path: Path) -> None:
    found = loaded(tmp_path, CLASS)
    assert (type(found.strategy).__name__, found.name) == ("BuyOnce", "my_strategy")


def test_a_class_that_inherits_nothing_is_as_good_and_may_name_itself(tmp_path: Path) -> None:
    found = loaded(tmp_path, PLAIN)
    assert (type(found.strategy).__name__, found.name) == ("Plain", "plain-one")


def test_callbacks_are_awaited_for_an_engine_and_called_for_a_desk(tmp_path: Path) -> None:
    (tmp_path / "swing.py").write_text(PLAIN.replace("def on_", "async def on_"))
    assert load_strategy(tmp_path / "swing.py", awaited=True).name == "plain-one"
    with pytest.raises(InvalidStrategy, match=r"swing\.py: on_start: is an `async def`.* with --engines"):
        load_strategy(tmp_path / "swing.py")
    (tmp_path / "plain.py").write_text(PLAIN.replace("def on_", "async def on_", 3))
    with pytest.raises(InvalidStrategy, match=r"plain\.py: on_stop: must be an `async def`"):
        load_strategy(tmp_path / "plain.py", awaited=True)


def test_an_object_called_strategy_decides_among_several_classes(tmp_path: Path) -> None:
    text = f"{CLASS}\nclass Other(Strategy):\n    name = 'chosen'\n\nstrategy = Other()\n"
    assert loaded(tmp_path, text).name == "chosen"


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_a_strategy.py").write_text("NAME = 'from-beside'\n")
    text = f"from beside_a_strategy import NAME\n{CLASS}\n    name = NAME\n"
    assert loaded(tmp_path, text).name == "from-beside"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"my_strategy.py: must have one Strategy class, or an object called strategy; has none"),
        (CLASS + CLASS.replace("BuyOnce", "Twice"), r"has BuyOnce, Twice"),
        ("strategy = 5", r"strategy: must have on_start, on_tick, on_order, on_stop"),
        ("import decimal\n1 / 0", r"my_strategy.py: line 2: ZeroDivisionError: division by zero"),
        ("class :", r"my_strategy.py: SyntaxError: "),
        (CLASS + "\n    def __init__(self, days): ...", r"BuyOnce\(\): TypeError: "),
        (CLASS + "\n    name = 'two words'", r"the strategy's name must be 1 to 64 letters.*'two words'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidStrategy, match=words):
        loaded(tmp_path, text)


def test_a_file_that_is_not_there_or_is_no_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidStrategy, match=r"nowhere\.py: no such file"):
        load_strategy(tmp_path / "nowhere.py")
    with pytest.raises(InvalidStrategy, match=r"notes\.txt: must be a Python file"):
        loaded(tmp_path, "", "notes.txt")


NEVER_CALLED = "is no callback and would never be called; did you mean"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "on_tick(self, desk, tick)",
            "on_tick(self, desk, tick, bar)",
            "on_tick: must take self, context, tick; it is",
        ),
        ("on_stop(self, desk)", "on_stop(self)", "on_stop: must take self, context; it is on_stop()"),
        ("def on_order(", "def on_orders(self): pass\n    def on_order(", f"on_orders: {NEVER_CALLED} on_order?"),
        ("def on_tick(", "def on_tik(self): pass\n    def on_tick(", f"on_tik: {NEVER_CALLED} on_tick?"),
    ],
)
def test_a_callback_that_could_not_be_called_is_named(tmp_path: Path, old: str, new: str, error: str) -> None:
    with pytest.raises(InvalidStrategy) as raised:
        loaded(tmp_path, PLAIN.replace(old, new))
    assert str(raised.value).startswith(f"my_strategy.py: {error}")


def test_helpers_and_defaults_are_the_strategys_own_business(tmp_path: Path) -> None:
    text = PLAIN.replace(
        "def on_tick(self, desk, tick)", "def on_breakout(self): pass\n    def on_tick(self, desk, tick=None, *more)"
    )
    assert loaded(tmp_path, text).name == "plain-one"


def test_a_file_that_exits_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidStrategy, match=r"my_strategy\.py: line 2: SystemExit: 3"):
        loaded(tmp_path, "import sys\nsys.exit(3)\n")
