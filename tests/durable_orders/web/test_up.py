"""The page beside `up`: printed at the start, started again when it dies, gone with whoever started it."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from tests.conftest import any_port, until
from tests.durable_orders.program import MAX_WAIT, OWN_PORTS, Program, once_started


def pages(of: int) -> list[psutil.Process]:
    """The page's processes that this one has started."""
    return [each for each in psutil.Process(of).children() if _is_page(each)]


def _is_page(process: psutil.Process) -> bool:
    try:
        return "web" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


async def test_up_serves_the_page_and_starts_it_again(tmp_path: Path) -> None:
    program, port = Program(tmp_path), any_port()
    with program.started("up", *OWN_PORTS, "--page-port", str(port)) as running:
        url = running.line("Page and API on ").removeprefix("Page and API on ")
        assert url == f"http://127.0.0.1:{port}"
        token = program.here("token", "create", "robot", "--role", "read", "--json").json["token"]

        def answers() -> bool:
            try:
                headers = {"Authorization": f"Bearer {token}"}
                return str(httpx.get(f"{url}/api/v1/account", headers=headers).json()["state"]) == "ACTIVE"
            except httpx.HTTPError:
                return False

        assert answers(), "the page is there when it is said to be"
        (first,) = pages(running.process.pid)
        first.kill()
        await until(lambda: [each for each in pages(running.process.pid) if each.pid != first.pid])
        await until(answers, "the page, again")
        (second,) = pages(running.process.pid)
        assert running.stop(signal.SIGTERM).code == 0
        assert not second.is_running()


def test_a_port_that_somebody_has_is_told_in_one_line(tmp_path: Path) -> None:
    program = once_started(tmp_path)
    with program.started("web", "--port", "0") as running:
        port = running.line("Page on").rsplit(":", 1)[1]
        assert f"port {port} of 127.0.0.1 cannot be used" in program("web", "--port", port).error


def test_a_home_without_anything_in_it_is_told_in_one_line(tmp_path: Path) -> None:
    assert "nothing was started in it yet" in Program(tmp_path)("web", "--port", "0").error


def test_the_page_ends_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    home = once_started(tmp_path).home
    words = ["--home", str(home), "--port", "0", "--with-parent"]
    with subprocess.Popen(
        [sys.executable, "-m", "durable_orders.cli", "web", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as page:
        assert page.stdout is not None
        assert page.stdin is not None
        assert page.stdout.readline().startswith(b"Page on http://127.0.0.1:")
        page.stdin.close()
        assert page.wait(MAX_WAIT) is not None
