"""Contracts that are ordered in lots, and a master that also has one of which nobody knows how much a lot is."""

from pathlib import Path

import pytest

from durable_orders.trading.market.instruments import Instruments
from durable_orders.trading.market.shipped import shipped_instruments

CRUDE, DOLLAR, NICKEL = "MCX:CRUDEOIL25MAYFUT", "CDS:USDINR25MAYFUT", "MCX:NICKEL25MAYFUT"
"""100 barrels, 1000 dollars, and not known."""
CROSS = "CDS:EURUSD25MAYFUT"
"""Not known either."""
ROWS = """\
111140871,434144,NICKEL25MAYFUT,"NICKEL",0,2025-05-30,0,0.1,1,FUT,MCX-FUT,MCX
1076227,4204,EURUSD25MAYFUT,"EURUSD",0,2025-05-28,0,0.0025,1,FUT,CDS-FUT,CDS
"""


@pytest.fixture
def with_nickel(tmp_path: Path) -> Instruments:
    file = tmp_path / "instruments.csv"
    file.write_text(shipped_instruments().read_text(encoding="utf-8") + ROWS, encoding="utf-8")
    return Instruments.read(file)
