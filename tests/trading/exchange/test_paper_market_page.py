"""docs/paper-market.md names every setting of the paper exchange, with the default that it has."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from durable_orders.trading.config.fill_models import FillModels
from durable_orders.trading.config.margins import Margins, PaperAccount
from durable_orders.trading.config.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "paper-market.md").read_text(encoding="utf-8")
IN_WORDS = ("time_of_day", "funds", "margins", "square_off_enabled")
"""Explained in sentences, without a default in brackets."""


def defaults(section: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    return {prefix + name: field.default for name, field in section.model_fields.items() if name not in IN_WORDS}


ALL = defaults(FillModels) | defaults(PaperAccount) | defaults(Margins, "margins.")


def shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", ALL)
def test_the_page_tells_every_default(name: str) -> None:
    assert re.search(rf"`{re.escape(name)}`,? \(?{re.escape(shown(ALL[name]))}\b", PAGE), f"{name}: {shown(ALL[name])}"


def test_the_page_explains_the_rest() -> None:
    assert all(f"`{name}" in PAGE for name in IN_WORDS)
    parts = [f"{part.opens:%H:%M} to {part.closes:%H:%M}: {part.factor}" for part in FillModels().time_of_day]
    assert f"`time_of_day` ({', '.join(parts)})" in PAGE


def test_the_example_can_be_used(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    file = tmp_path / "durable-orders.yaml"
    file.write_text(example[1], encoding="utf-8")
    assert Settings.load(file, {}).execution.paper.funds == 500_000
