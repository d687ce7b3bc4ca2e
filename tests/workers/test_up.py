"""`up` and `worker` as processes: two homes side by side, stopping, starting again, and who may have a home."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from durable_orders.workers import server
from durable_orders.workers.home import Home, ServerAddress
from tests.conftest import MakeHome, any_port, until
from tests.durable_orders.conftest import FAR_BELOW, LOT, SPEED, SYMBOL
from tests.durable_orders.program import MAX_WAIT, OWN_PORTS, Program, Running

RESTING = ("place", "BUY", SYMBOL, LOT, "--type", "LIMIT", "--price", FAR_BELOW, "--json", "--id")


@contextmanager
def up(program: Program, *options: str) -> Iterator[Running]:
    """The program's home, up and ready."""
    with program.started("up", *OWN_PORTS, *options, "--speed", SPEED) as running:
        running.line("Ctrl-C stops it")
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A home that is up."""
    program = Program(tmp_path_factory.mktemp("desk"))
    with up(program) as running:
        yield program
        running.stop(signal.SIGTERM)


@contextmanager
def server_of_another(port: int) -> Iterator[None]:
    """Another home, up on a port that used to be somebody else's."""
    with TemporaryDirectory() as other, up(Program(Path(other)), "--port", str(port)) as running:
        yield
        running.stop(signal.SIGTERM)


def address_of(program: Program) -> ServerAddress:
    found = Home(program.home).address()
    assert found is not None
    return found


def test_a_home_goes_on_where_it_stopped(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    with up(program) as first:
        assert program.here(*RESTING, "stays").json["status"] == "PLACED"
        before = address_of(program)
        stopped = first.stop(signal.SIGINT)
    assert (stopped.code, stopped.out, stopped.err) == (0, "Stopped.\n", "")
    assert not server.is_our_server(before, Home(program.home)), "the server is stopped with it"
    assert [order["status"] for order in program.here("list", "--json").json] == ["PLACED"], "told by the ledger"
    assert program.here("show", "stays").code == 0
    with server_of_another(before.port):
        gone = program.here("cancel", "stays").err
    said = f"note: no server is running for home {program.home}: start one with"
    assert gone.startswith(said), "not the one on its port; and the exchange itself is asked"
    with up(program) as second:
        assert program.here("cancel", "stays", "--json").json["status"] == "CANCELLED"
        assert second.stop(signal.SIGTERM).code == 0


def test_a_home_has_one_up_and_another_home_its_own(desk: Program, tmp_path: Path) -> None:
    other = Program(tmp_path / "other")
    second = desk("up")
    assert (second.code, second.out) == (1, "")
    assert second.error.startswith(f"home {desk.home}: already up (process ")
    with up(other) as running:
        assert other.here(*RESTING, "twin").json["client_order_id"] == "twin"
        assert "no order order:paper:twin" in desk.here("show", "twin").error, "two homes know nothing of each other"
        assert address_of(other).port != address_of(desk).port
        assert running.stop(signal.SIGTERM).code == 0


@pytest.mark.parametrize("option", ["--port", "--ui-port"])
def test_a_port_that_somebody_has_is_not_taken_for_ones_own(desk: Program, tmp_path: Path, option: str) -> None:
    taken = address_of(desk).port
    answer = Program(tmp_path).here("up", option, str(taken))
    assert (answer.code, answer.out) == (1, "")
    assert answer.error == f"port {taken} cannot be used (Address already in use): choose another"
    assert Home(tmp_path).address() is None


async def test_a_server_that_died_is_started_again_and_stopped_in_the_end(tmp_path: Path) -> None:
    program = Program(tmp_path)
    home = Home(tmp_path)
    with up(program) as running:
        first = address_of(program)
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: address_of(program).pid != first.pid, "another server")
        second = address_of(program)
        assert (second.port, second.ui_port) == (first.port, first.ui_port)
        answer = await asyncio.to_thread(program, *RESTING, "after")
        assert answer.json["status"] == "PLACED"
        stopped = await asyncio.to_thread(running.stop, signal.SIGTERM)
    assert stopped.code == 0
    assert not server.is_our_server(second, home), "nothing is left running"


def test_up_does_not_leave_a_server_behind_when_it_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text("timestamp,last_price,symbol\n")
    program = Program(tmp_path / "home")
    answer = program("up", "--ticks", str(tmp_path / "ticks.csv"), "--port", str(any_port()))
    assert (answer.code, answer.out) == (1, "")
    assert "ticks.csv: has a header but no rows" in answer.error
    address = Home(program.home).address()
    assert address is None or not server.is_our_server(address, Home(program.home))


def test_workers_join_a_server_and_leave_it(make_home: MakeHome) -> None:
    home = make_home({"market": {"speed": float(SPEED)}})
    program = Program(home.path)
    said = f"Worker for account {home.settings().account} (paper) is running."
    with program.started("worker") as first, program.started("worker") as second:
        assert (first.line("Worker"), second.line("Worker")) == (said, said)
        filled = program.here("place", "SELL", SYMBOL, LOT, "--wait", "--json").json
        assert (filled["status"], filled["account"]) == ("FILLED", home.settings().account)
        (poll,) = [f for f in program.here("doctor", "--json").json if f["name"].startswith("worker orders:")]
        assert poll["detail"] == "2 polling"
        assert first.stop(signal.SIGTERM).code == 0
        assert program.here(*RESTING, "one-left").json["status"] == "PLACED"
        assert second.stop(signal.SIGINT).code == 0


def test_a_home_that_is_deleted_ends_what_is_up_in_it(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    with up(program) as running:
        while program.home.exists():  # what is up in it may write a file meanwhile
            shutil.rmtree(program.home, ignore_errors=True)
        running.process.wait(MAX_WAIT)
        ended = running.stop(signal.SIGTERM)
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith("it was deleted while it was up; look at the broker for open orders")
    assert "Traceback" not in ended.err
    assert not program.home.exists()


def test_every_command_goes_by_the_settings_that_up_was_started_with(tmp_path: Path) -> None:
    program, settings = Program(tmp_path / "home"), tmp_path / "other.yaml"
    settings.write_text("account: elsewhere")
    with up(program, "--config", str(settings)) as running:
        placed = program.here(*RESTING, "dip").json
        assert placed["order_id"] == "order:elsewhere:dip"
        running.stop(signal.SIGTERM)
    assert [order["account"] for order in program.here("list", "--json").json] == ["elsewhere"]
