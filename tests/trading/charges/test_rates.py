"""The file of rates: every entry has its source and its day, and what is wrong with one is said."""

from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from durable_orders.trading.charges.rates import RateSheet


def content() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(
        (files("durable_orders.trading.charges") / "data" / "charges.yaml").read_text(encoding="utf-8")
    )
    return read


def entries() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in content().items():
        for entry in value if isinstance(value, list) else [value]:
            yield name, entry


def test_every_entry_names_its_source_and_the_day_from_which_it_holds() -> None:
    for name, entry in entries():
        assert isinstance(entry["from"], date), (name, entry)
        assert len(entry["source"].split()) >= 2, (name, entry)
        assert "://" not in entry["source"], (name, entry)


def test_no_rate_is_a_float() -> None:
    """YAML would make one of a bare number, and 0.1 of it would not be a tenth."""
    assert not [value for _, entry in entries() for value in entry.values() if isinstance(value, float)]


@pytest.mark.parametrize("key", ["source", "from", "rate"])
def test_an_entry_that_lacks_something_is_refused(key: str) -> None:
    sheet = content()
    del sheet["stamp_duty"][0][key]

    with pytest.raises(ValidationError, match=f"stamp_duty.0.{key}"):
        RateSheet.model_validate(sheet)


@pytest.mark.parametrize("rate", [0.1, "0.1", "0.1 per mille", "150%", "-1%"])
def test_a_rate_without_a_known_unit_or_out_of_range_is_refused(rate: object) -> None:
    sheet = content()
    sheet["stamp_duty"][0]["rate"] = rate

    with pytest.raises(ValidationError, match=r"stamp_duty.0.rate"):
        RateSheet.model_validate(sheet)


def test_two_rates_for_one_day_are_refused() -> None:
    sheet = content()
    sheet["stamp_duty"].append(sheet["stamp_duty"][0])

    with pytest.raises(ValidationError, match="stamp_duty: two rates from 2020-07-01 for equity_delivery on NSE"):
        RateSheet.model_validate(sheet)


def test_a_brokerage_is_a_rate_or_a_flat_sum() -> None:
    sheet = content()
    sheet["brokerage"][0]["flat"] = "20 rupees"

    with pytest.raises(ValidationError, match="give either rate or flat"):
        RateSheet.model_validate(sheet)
