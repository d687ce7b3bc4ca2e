"""What one lot is: by the file and its dates, by Kite's positions over it, by the settings over both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_orders.trading.brokers.kite.rows import sizes_from
from durable_orders.trading.charges.contracts import contract_of, multiplier_of, size_of, use_sizes
from durable_orders.trading.config.settings import Settings
from durable_orders.trading.errors import InvalidSettings
from durable_orders.workers.home import Home


@pytest.fixture(autouse=True)
def own_sizes() -> Iterator[None]:
    """They are the process's."""
    use_sizes()
    yield
    use_sizes()


@pytest.mark.parametrize(
    ("symbol", "size"),
    [
        ("NSE:INFY", 1),
        ("NFO:NIFTY26DECFUT", 1),
        ("MCX:CRUDEOIL25MAYFUT", 100),
        ("MCX:GOLDTEN26DECFUT", 1),  # 10 g, quoted for 10 g
        ("MCX:ELECDMBL25AUGFUT", 50),  # MWh
        ("MCX:ELECDMBL25JUNFUT", None),  # before there were any
        ("MCX:NICKEL26DECFUT", None),
        ("CDS:USDINR26DECFUT", 1000),
        ("CDS:USDINR26D0485.5CE", 1000),  # a weekly one of December
    ],
)
def test_a_contract_has_the_size_of_its_expiry(symbol: str, size: int | None) -> None:
    assert size_of(symbol) == size


def test_what_is_told_lies_over_the_file_and_the_settings_over_both() -> None:
    use_sizes({"MCX:NICKEL": 250, "MCX:CRUDEOIL": 10}, {"MCX:CRUDEOIL": 20})
    assert (size_of("MCX:NICKEL26DECFUT"), multiplier_of("MCX:CRUDEOIL26DECFUT")) == (250, 20)
    found = contract_of("MCX:NICKEL26DECFUT")
    assert found is not None
    assert found.multiplier == 250

    use_sizes()
    assert (size_of("MCX:NICKEL26DECFUT"), multiplier_of("MCX:CRUDEOIL26DECFUT")) == (None, 100)


def test_positions_tell_what_is_counted_in_lots() -> None:
    rows: list[dict[str, object]] = [
        {"exchange": "MCX", "tradingsymbol": "NICKEL26DECFUT", "multiplier": 250},
        {"exchange": "CDS", "tradingsymbol": "USDINR26DECFUT", "multiplier": 1000.0},
        {"exchange": "NFO", "tradingsymbol": "NIFTY26DECFUT", "multiplier": 1},
        {"exchange": "MCX", "tradingsymbol": "ZINC26DECFUT", "multiplier": 0},
        {"exchange": "MCX", "tradingsymbol": "LEAD26DECFUT"},
        {"exchange": "NSE", "tradingsymbol": "INFY", "multiplier": 1},
    ]
    assert sizes_from(rows) == {"MCX:NICKEL": 250, "CDS:USDINR": 1000}


def test_what_was_told_is_there_for_the_next_process(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    assert home.learn_sizes(Settings(), {"MCX:NICKEL": 250}) == {"MCX:NICKEL": 250}
    assert home.learn_sizes(Settings(), {"MCX:NICKEL": 250}) == {}
    use_sizes()

    home.settings()
    assert size_of("MCX:NICKEL26DECFUT") == 250

    home.sizes_file.write_text("{half")
    home.settings()
    assert size_of("MCX:NICKEL26DECFUT") is None, "a file that cannot be read tells nothing"


def test_the_settings_name_contracts_that_are_counted_in_lots() -> None:
    with pytest.raises(InvalidSettings, match=r"market\.contract_sizes\.NSE:INFY"):
        Settings().replaced({"market": {"contract_sizes": {"NSE:INFY": 10}}})
    with pytest.raises(InvalidSettings, match=r"market\.contract_sizes\.MCX:NICKEL"):
        Settings().replaced({"market": {"contract_sizes": {"MCX:NICKEL": 0}}})
