"""What every test on the real Temporal server shares: one server, and homes with accounts of their own on it.

Task queues, workflow ids and the rows of the ledger carry the account, so any number of tests can use one server at a
time, each with its own account, home and ledger.
"""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import hypothesis
import pytest
import yaml

from durable_orders.trading.orders.order import Account
from durable_orders.workers import ports, server
from durable_orders.workers.home import SETTINGS_FILE, Home, ServerAddress
from tests.ledgers import empty_ledger
from tests.properties import PATIENT

R = TypeVar("R")

hypothesis.settings.register_profile("patient", PATIENT)
hypothesis.settings.load_profile("patient")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
for size in ("COLUMNS", "LINES"):  # of the developer's terminal: the command line reads it where it is imported
    os.environ.pop(size, None)

LONGEST = (
    "operators/test_cancels.py",
    "live/test_close_day.py",
    "workflows/test_plans.py",
    "operators/test_supervision.py",
    "live/test_split_orders.py",
    "durable_orders/web/test_browser.py",
    "live/test_faults.py",
    "live/test_crashes.py",
    "operators/test_books.py",
    "live/test_evenings.py",
    "live/test_exits.py",
    "operators/test_restores.py",
    "live/test_account_model.py",
    "live/test_session.py",
    "workflows/test_supervision.py",
    "durable_orders/test_checking.py",
    "workers/test_up.py",
    "live/test_model.py",
    "workflows/test_resets.py",
    "live/test_external_orders.py",
    "test_compose.py",
    "live/test_asking.py",
    "live/test_rates.py",
    "live/test_rehearsal.py",
    "account/test_exits.py",
    "test_wheel.py",
    "durable_orders/test_mistakes.py",
    "operators/test_backups_page.py",
    "live/test_stream.py",
    "durable_orders/running/test_asking.py",
    "durable_orders/web/test_up.py",
    "durable_orders/test_walk_readme.py",
    "durable_orders/test_walk_tutorial.py",
    "crashes/test_worker.py",
    "durable_orders/test_tutorial.py",
    "durable_orders/engines/test_bad_days.py",
    "trading/backtest/test_differential.py",
    "trading/exchange/test_state_machine.py",
)
"""The files that take longest come first, so that no process is left alone with one of them in the end."""
PLACES = {f"tests/{file}": place for place, file in enumerate(LONGEST)}
MAX_WAIT = 180.0
"""Seconds until a test that waits for something gives up. Only a failing test ever waits so long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: PLACES.get(item.nodeid.partition("::")[0], len(PLACES)))


class MakeHome(Protocol):
    def __call__(self, settings: dict[str, Any] | None = None, /) -> Home: ...


def new_account() -> Account:
    """An account that no other test has."""
    return Account(f"t-{uuid.uuid4().hex[:12]}")


def write_home(path: Path, settings: dict[str, Any] | None = None) -> Home:
    """A home with a settings file. Its account is a new one unless the settings name it; no server belongs to it."""
    home = Home(path).make()
    empty_ledger(home.ledger_db)
    content = {"account": new_account()} | (settings or {})
    (path / SETTINGS_FILE).write_text(yaml.safe_dump(content), encoding="utf-8")
    return home


def any_port() -> int:
    """A port of the loopback that nobody has."""
    return ports.choose(ports.ANY, 0)


async def until(condition: Callable[[], R], what: str = "") -> R:
    """What the condition gives, as soon as that is true. Fails after `MAX_WAIT`, naming `what`."""

    async def asked() -> R:
        return condition()

    return await eventually(asked, what)


async def eventually(condition: Callable[[], Awaitable[R]], what: str = "") -> R:
    """The same for a condition that is awaited."""
    deadline = time.monotonic() + MAX_WAIT
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"waited {MAX_WAIT:.0f} s in vain: {what or condition}"
        await asyncio.sleep(0.02)
    return found


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Whatever server and settings the developer's shell names, the tests and their processes use their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "DURABLE_ORDERS_"))]:
            patch.delenv(name)
        patch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
        yield


@pytest.fixture(scope="session")
async def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerAddress]:
    """The embedded server, as `up` starts it, for the length of the test run. It is shared: never stop it."""
    home = Home(tmp_path_factory.mktemp("temporal")).make()
    async with server.running(home, ports.ANY, ports.ANY) as address:
        yield address


@pytest.fixture
def make_home(temporal_server: ServerAddress, tmp_path: Path) -> MakeHome:
    """Makes homes on the shared server: `make_home({"market": {"speed": 600}})`."""

    def make(settings: dict[str, Any] | None = None, /) -> Home:
        home = write_home(tmp_path / f"home-{uuid.uuid4().hex[:8]}", settings)
        home.save_address(temporal_server)
        return home

    return make
