"""One `up` on a home of its own, shared by the tests of the command line."""

import itertools
import signal
from collections.abc import Iterator

import pytest
import yaml

from tests.durable_orders.program import OWN_PORTS, Program

SYMBOL = "NFO:NIFTY25MAYFUT"
LOT = "75"
FAR_BELOW, FAR_ABOVE = "20000", "30000"
"""Rupees that the shipped day, around 24,300, never comes near."""
SPEED = "20"
"""Market seconds per second: the day lasts 19 minutes, longer than any test, so resting orders stay."""
MOST = 1800
"""The desk's `guardian.max_order_quantity`."""
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program on a home that is up and has seen its first tick."""
    home = tmp_path_factory.mktemp("desk")
    (home / "durable-orders.yaml").write_text(yaml.safe_dump({"guardian": {"max_order_quantity": MOST}}))
    program = Program(home)
    with program.started("up", *OWN_PORTS, "--speed", SPEED) as running:
        running.line("Ctrl-C")
        assert program.here("place", "BUY", SYMBOL, LOT, "--wait", "--strategy", "opening").code == 0
        yield program
        running.stop(signal.SIGTERM)


@pytest.fixture
def own_id(request: pytest.FixtureRequest) -> str:
    """A client order id that no other test uses."""
    return f"{str(request.node.name).removeprefix('test_')[:50]}-{next(NUMBERS)}"
