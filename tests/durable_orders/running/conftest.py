"""A home whose market is a minute of ticks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from durable_orders.trading.strategies.strategy import StrategyContext
from durable_orders.workers.home import Home
from tests.conftest import MakeHome
from tests.durable_orders.running.stage import (
    home_with_ticks,
    write_ticks,
)

Call = Callable[[StrategyContext], object]


@pytest.fixture
def home(make_home: MakeHome, tmp_path: Path) -> Home:
    """Ticks at 9:15:00, :10, :20 and so on, to 9:16:00."""
    return home_with_ticks(make_home, write_ticks(tmp_path / "ticks.csv"))
