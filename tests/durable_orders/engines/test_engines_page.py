"""The programs on the page about engines run as printed."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect

from durable_orders.trading.orders.events import EventType

PAGE = (Path(__file__).parents[3] / "docs" / "engines.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("number", "prints"),
    [(0, "FILLED 50 24012.0 [50]\n"), (1, "PLACED\nCANCELLED\n"), (2, "1 50\n")],
    ids=["paper", "live", "bus"],
)
async def test_its_programs_run(
    number: int,
    prints: str,
    kite: KiteConnect,
    capsys: pytest.CaptureFixture[str],
    over_the_shared_server: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"kite": kite}
    exec("async def program():\n" + textwrap.indent(PROGRAMS[number], "    "), names)  # noqa: S102
    await names["program"]()
    assert capsys.readouterr().out == prints


def test_it_has_no_other_programs() -> None:
    assert len(PROGRAMS) == 3


def test_its_events_exist() -> None:
    table = PAGE[PAGE.index("| event |") :]
    assert set(re.findall(r"`((?:order|position)_[a-z_]+)`", table)) - {"order_id"} <= set(EventType)
