"""One `up` on a home of its own, shared by the tests of the command line."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from durable_orders.workers.home import ServerAddress
from tests.durable_orders.program import OWN_PORTS, Program

SYMBOL = "NFO:NIFTY25MAYFUT"
LOT = "75"
FAR_BELOW, FAR_ABOVE = "20000", "30000"
"""Rupees that the shipped day, around 24,300, never comes near."""
SPEED = "10"
"""Market seconds per second: the day lasts 37 minutes, longer than all tests, so resting orders stay."""
MOST = 1800
"""The desk's `guardian.max_order_quantity`."""
ASKS = "asks"
"""A strategy of the desk whose orders wait for a person's approval."""
NUMBERS = itertools.count()


@contextmanager
def up(home: Path, speed: str) -> Iterator[Program]:
    """The program on a home that is up and has seen its first tick, for the length of a block."""
    guardian = {"max_order_quantity": MOST, "strategies": {ASKS: {"approve": True}}}
    (home / "durable-orders.yaml").write_text(yaml.safe_dump({"guardian": guardian}))
    program = Program(home)
    with program.started("up", *OWN_PORTS, "--speed", speed) as running:
        running.line("Ctrl-C")
        assert program.here("place", "BUY", SYMBOL, LOT, "--wait", "--strategy", "opening").code == 0
        yield program
        running.stop(signal.SIGTERM)


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with up(tmp_path_factory.mktemp("desk"), SPEED) as program:
        yield program


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Another, at the wall's pace: hours are left of its day, however late the tests come to it."""
    with up(tmp_path_factory.mktemp("morning"), "1") as program:
        yield program


@pytest.fixture
def over_the_shared_server(temporal_server: ServerAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine starts a server of its own."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.target)


@pytest.fixture
def own_id(request: pytest.FixtureRequest) -> str:
    """A client order id that no other test uses."""
    return f"{str(request.node.name).removeprefix('test_')[:50]}-{next(NUMBERS)}"


@pytest.fixture
def short_id() -> str:
    """A plan's id that no other test uses."""
    return f"p{next(NUMBERS)}"
